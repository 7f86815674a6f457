package jenkins

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Result is how a build ended, as Jenkins spells it. Values not listed here exist; treat them as "not a success".
type Result string

// Results of builds. They only get worse during a build, and may be set while it still runs.
const (
	Success  Result = "SUCCESS"
	Unstable Result = "UNSTABLE"
	Failure  Result = "FAILURE"
	NotBuilt Result = "NOT_BUILT"
	Aborted  Result = "ABORTED"
)

// Build is one build of a job. It is over if and only if Building is false: a result may be there before.
type Build struct {
	Number     int
	QueueID    int64 // of the item it came from; unique within one session only
	Building   bool
	InProgress bool // false with Building true: not started yet, or resuming
	Result     Result
	Start      time.Time
	Duration   time.Duration // 0 while it runs
	URL        string        // for people; never an address for requests
	UID        string        // value of EXECUTION_UID, "" when the build has none
	Attempt    int
}

// QueueItem waits for something: for its job to be free, for an executor, for Jenkins to leave quiet mode.
type QueueItem struct {
	ID      int64
	Why     string // Jenkins' reason, to be shown, not to be understood
	Stuck   bool   // waits much longer than Jenkins finds normal
	Since   time.Time
	UID     string
	Attempt int
}

// JobState is what the poller needs to know about a job.
type JobState struct {
	InQueue   bool
	NextBuild int         // number of the next build; greater than 1 when one was ever started
	Builds    []Build     // newest first, at most three
	Queued    []QueueItem // items that will become builds of this job, oldest first
	Agents    []QueueItem // `node` steps of running builds that wait for their agent
}

// Snapshot is one look at a set of folders.
type Snapshot struct {
	Session string
	Jobs    map[JobRef]JobState // every job of the folders that could be read
	Missing []string            // folders that do not exist, or are hidden from our account: they show no job
	Failed  map[string]error    // folders that could not be read: nothing is known of their jobs
}

const (
	buildTree = "number,queueId,building,inProgress,result,timestamp,duration,url,actions[parameters[name,value]]"
	itemTree  = "id,stuck,inQueueSince,why,actions[parameters[name,value]]"
	queueTree = "items[" + itemTree + ",task[url]]"
	jobTree   = "name,inQueue,nextBuildNumber,builds[" + buildTree + "]"
)

// Snapshot reads the state of all jobs of the folders: one request for the queue and one per folder, however many jobs there are.
// The queue is read first, so that an item which leaves it in between is seen as a build rather than not at all.
//
// A folder that cannot be read is no error as long as another one can: see [Snapshot.Failed].
func (c *Client) Snapshot(ctx context.Context, folders ...string) (Snapshot, error) {
	queued, agents, err := c.queue(ctx)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read queue: %w", err)
	}
	snap := Snapshot{Jobs: map[JobRef]JobState{}, Failed: map[string]error{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, folderReads)
	for _, folder := range folders {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			jobs, session, err := c.folder(ctx, folder)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case IsNotFound(err):
				snap.Missing = append(snap.Missing, folder)
			case err != nil:
				snap.Failed[folder] = fmt.Errorf("read folder %q: %w", folder, err)
			default:
				snap.Session = session
				for _, j := range jobs {
					snap.Jobs[JobRef{folder, j.Name}] = j.state()
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(snap.Missing)
	if len(folders) > 0 && len(snap.Failed) == len(folders) {
		return Snapshot{}, snap.Failed[folders[0]]
	}
	if snap.Session == "" {
		snap.Session = c.Session()
	}
	for ref, st := range snap.Jobs {
		if key := keyOf(ref); queued[key] != nil || agents[key] != nil {
			st.Queued, st.Agents = queued[key], agents[key]
			snap.Jobs[ref] = st
		}
	}
	return snap, nil
}

// folderReads is how many folders one Snapshot reads at once.
const folderReads = 4

func (c *Client) folder(ctx context.Context, folder string) (jobs []rawJob, session string, err error) {
	var out struct{ Jobs []rawJob }
	ans, err := c.getJSON(ctx, folderPath(folder)+"/api/json", "jobs["+jobTree+"{0,3}]", maxListing, &out)
	if err != nil {
		return nil, "", err
	}
	return out.Jobs, ans.header.Get("X-Jenkins-Session"), nil
}

// Evidence is what Jenkins shows about an execution: whether it was ever triggered.
type Evidence struct {
	Exists    bool       // the job
	Session   string     // in which this was seen
	InQueue   bool       // the job has an item in the queue
	QueueItem *QueueItem // the item with our UID
	Builds    []Build    // builds with our UID, newest first
	Foreign   int        // builds of this job with another UID or none
	NextBuild int        // greater than 1 when a build was started, even if its record is gone
}

// Triggered tells whether the execution is queued, runs or ran. False is not yet proof: between leaving the queue and becoming a
// build an item is in neither. Ask again after a few seconds before starting anew.
func (e Evidence) Triggered() bool { return e.QueueItem != nil || len(e.Builds) > 0 }

// Find searches evidence that the execution with this UID was triggered. A job that is not there
// is an answer, not an error; whether it is gone or hidden is told by [Client.Gone].
func (c *Client) Find(ctx context.Context, ref JobRef, uid string) (Evidence, error) {
	var out rawJob
	tree := jobTree + "{0,30},queueItem[" + itemTree + "]"
	ans, err := c.getJSON(ctx, ref.path()+"/api/json", tree, maxJSON, &out)
	if IsNotFound(err) {
		return Evidence{Session: c.Session()}, nil
	}
	if err != nil {
		return Evidence{}, fmt.Errorf("read job %s: %w", ref, err)
	}
	ev := Evidence{Exists: true, Session: ans.header.Get("X-Jenkins-Session"), InQueue: out.InQueue, NextBuild: out.NextBuildNumber}
	if out.QueueItem != nil {
		if item := out.QueueItem.item(); item.UID == uid {
			ev.QueueItem = &item
		}
	}
	for _, b := range out.state().Builds {
		if b.UID == uid {
			ev.Builds = append(ev.Builds, b)
		} else {
			ev.Foreign++
		}
	}
	return ev, nil
}

// Build reads one build. One that does not exist is [IsNotFound].
func (c *Client) Build(ctx context.Context, ref JobRef, number int) (Build, error) {
	var out rawBuild
	if _, err := c.getJSON(ctx, ref.buildPath(number)+"/api/json", buildTree, maxJSON, &out); err != nil {
		return Build{}, fmt.Errorf("read build %s #%d: %w", ref, number, err)
	}
	return out.build(), nil
}

// LeftItem is the fate of a trigger. All fields but Waiting are zero while the item waits.
type LeftItem struct {
	Waiting   *QueueItem // still in the queue
	Cancelled bool       // left the queue without becoming a build
	Build     int        // became this build; 0 for an instant after it left: ask again
}

// Item follows a queue id of this session. Jenkins forgets items five minutes after they left: then the error is [IsNotFound].
func (c *Client) Item(ctx context.Context, id int64) (LeftItem, error) {
	var out struct {
		rawItem
		Class      string `json:"_class"`
		Cancelled  bool   `json:"cancelled"`
		Executable *struct {
			Number int `json:"number"`
		} `json:"executable"`
	}
	tree := itemTree + ",cancelled,executable[number]"
	if _, err := c.getJSON(ctx, fmt.Sprintf("/queue/item/%d/api/json", id), tree, maxJSON, &out); err != nil {
		return LeftItem{}, fmt.Errorf("read queue item %d: %w", id, err)
	}
	left := LeftItem{Cancelled: out.Cancelled}
	if out.Executable != nil {
		left.Build = out.Executable.Number
	}
	if !strings.HasSuffix(out.Class, "LeftItem") {
		item := out.item()
		left.Waiting = &item
	}
	return left, nil
}

// queue reads all items that wait, by job: those of jobs, and those of `node` steps.
func (c *Client) queue(ctx context.Context) (jobs, agents map[string][]QueueItem, err error) {
	var out struct {
		Items []struct {
			rawItem
			Task struct {
				URL string `json:"url"`
			} `json:"task"`
		} `json:"items"`
	}
	if _, err := c.getJSON(ctx, "/queue/api/json", queueTree, maxListing, &out); err != nil {
		return nil, nil, err
	}
	jobs, agents = map[string][]QueueItem{}, map[string][]QueueItem{}
	for _, it := range slices.Backward(out.Items) { // Jenkins lists the newest first
		ref, number, ok := parseTaskURL(it.Task.URL)
		if !ok {
			continue // something that is no job's: a foreign kind of task
		}
		into := jobs
		if number != 0 {
			into = agents
		}
		into[keyOf(ref)] = append(into[keyOf(ref)], it.item())
	}
	return jobs, agents, nil
}

// parseTaskURL reads which job, and which build of it, a queue item belongs to. The url may be relative or start with any root; what
// is read is its end: (/job/NAME)+[/NUMBER].
func parseTaskURL(raw string) (ref JobRef, build int, ok bool) {
	u, err := url.Parse(raw)
	if err != nil {
		return JobRef{}, 0, false
	}
	parts := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	if n := len(parts); n >= 3 && parts[n-3] == "job" {
		if number, err := strconv.Atoi(parts[n-1]); err == nil && parts[n-2] != "job" {
			build, parts = number, parts[:n-1]
		}
	}
	var names []string
	for len(parts) >= 2 && parts[len(parts)-2] == "job" {
		name, err := url.PathUnescape(parts[len(parts)-1])
		if err != nil {
			return JobRef{}, 0, false
		}
		names = append([]string{name}, names...)
		parts = parts[:len(parts)-2]
	}
	if len(names) == 0 {
		return JobRef{}, 0, false
	}
	last := len(names) - 1
	return JobRef{strings.Join(names[:last], "/"), names[last]}, build, true
}

// keyOf ignores case, as Jenkins does.
func keyOf(ref JobRef) string { return strings.ToLower(ref.String()) }

// The raw types are lenient: of what plugins add to actions, only parameters matter, and a value that is no string is no UID.

type rawAction struct {
	Parameters []struct {
		Name  string          `json:"name"`
		Value json.RawMessage `json:"value"`
	} `json:"parameters"`
}

func params(actions []rawAction) (uid string, attempt int) {
	for _, a := range actions {
		for _, p := range a.Parameters {
			var value string
			if json.Unmarshal(p.Value, &value) != nil {
				continue
			}
			switch p.Name {
			case ParamUID:
				uid = value
			case ParamAttempt:
				attempt, _ = strconv.Atoi(value)
			}
		}
	}
	return uid, attempt
}

type rawItem struct {
	ID      int64       `json:"id"`
	Why     string      `json:"why"`
	Stuck   bool        `json:"stuck"`
	Since   int64       `json:"inQueueSince"`
	Actions []rawAction `json:"actions"`
}

func (r rawItem) item() QueueItem {
	uid, attempt := params(r.Actions)
	return QueueItem{ID: r.ID, Why: r.Why, Stuck: r.Stuck, Since: millis(r.Since), UID: uid, Attempt: attempt}
}

type rawBuild struct {
	Number     int         `json:"number"`
	QueueID    int64       `json:"queueId"`
	Building   bool        `json:"building"`
	InProgress bool        `json:"inProgress"`
	Result     Result      `json:"result"`
	Timestamp  int64       `json:"timestamp"`
	Duration   int64       `json:"duration"`
	URL        string      `json:"url"`
	Actions    []rawAction `json:"actions"`
}

func (r rawBuild) build() Build {
	uid, attempt := params(r.Actions)
	return Build{
		Number: r.Number, QueueID: r.QueueID, Building: r.Building, InProgress: r.InProgress, Result: r.Result, URL: r.URL,
		Start: millis(r.Timestamp), Duration: time.Duration(r.Duration) * time.Millisecond, UID: uid, Attempt: attempt,
	}
}

type rawJob struct {
	Name            string     `json:"name"`
	InQueue         bool       `json:"inQueue"`
	NextBuildNumber int        `json:"nextBuildNumber"`
	Builds          []rawBuild `json:"builds"`
	QueueItem       *rawItem   `json:"queueItem"`
}

func (r rawJob) state() JobState {
	st := JobState{InQueue: r.InQueue, NextBuild: r.NextBuildNumber}
	for _, b := range r.Builds {
		st.Builds = append(st.Builds, b.build())
	}
	return st
}

func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
