package jenkinstest

import (
	"slices"
	"time"
)

// BuildInfo is a build as tests see it.
type BuildInfo struct {
	Job      string // full name
	Number   int
	QueueID  int64
	Params   map[string]string
	Building bool
	Result   string // "" while unknown
	Start    time.Time
	Log      string // as consoleText
	Stages   []StageInfo
	Inputs   []InputInfo // asked so far
}

// StageInfo is a stage of a build, in the order of their start.
type StageInfo struct{ Name, Status string }

// QueueInfo is an item that waits in the queue.
type QueueInfo struct {
	ID     int64
	Job    string // full name
	Node   bool   // it is a `node` step of a build of that job
	Params map[string]string
	Why    string
}

// Jobs lists the full names of all jobs, sorted.
func (s *Server) Jobs() []string { return s.items(false) }

// Folders lists the full names of all folders, sorted.
func (s *Server) Folders() []string { return s.items(true) }

func (s *Server) items(folders bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	s.root.walk(func(it *item) {
		if it != s.root && it.isFolder() == folders {
			names = append(names, it.fullName())
		}
	})
	slices.Sort(names)
	return names
}

// Builds lists all builds of all jobs, or of one when its full name is given, oldest first within a job.
func (s *Server) Builds(job ...string) []BuildInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []BuildInfo
	s.root.walk(func(it *item) {
		if len(job) > 0 && !slices.Contains(job, it.fullName()) {
			return
		}
		for _, b := range it.builds {
			all = append(all, b.info())
		}
	})
	return all
}

func (b *build) info() BuildInfo {
	b.mu.Lock()
	defer b.mu.Unlock()
	info := BuildInfo{
		Job: b.jobName, Number: b.number, QueueID: b.queueID, Params: paramMap(b.params), Building: !b.over, Result: b.result,
		Start: b.start, Log: string(consoleNote.ReplaceAll(b.log, nil)),
	}
	for _, st := range b.stages {
		info.Stages = append(info.Stages, StageInfo{st.name, b.stageStatus(st)})
	}
	for _, in := range b.asked {
		info.Inputs = append(info.Inputs, in.info())
	}
	return info
}

func paramMap(params []param) map[string]string {
	m := map[string]string{}
	for _, p := range params {
		m[p.name] = p.value
	}
	return m
}

// Queue lists what waits, oldest first.
func (s *Server) Queue() []QueueInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []QueueInfo
	for _, it := range s.queue {
		why, _ := s.why(it).(string)
		info := QueueInfo{ID: it.id, Params: paramMap(it.params), Why: why}
		if info.Node = it.node != nil; info.Node {
			info.Job = it.node.build.jobName
		} else {
			info.Job = it.job.fullName()
		}
		all = append(all, info)
	}
	return all
}

// Config is the config.xml of a job as it was posted, "" when there is no such job.
func (s *Server) Config(job string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	config := ""
	s.root.walk(func(it *item) {
		if it.fullName() == job {
			config = it.config
		}
	})
	return config
}

// Session is the X-Jenkins-Session of now.
func (s *Server) Session() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session
}

// Requests lists "METHOD /path?query" of all requests since the last call.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.requests
	s.requests = nil
	return all
}

// SetResult worsens the result of a build that runs, as if one of its steps had: "UNSTABLE", or a word that Jenkins does not know. The
// build goes on.
func (s *Server) SetResult(job string, number int, result string) {
	s.mu.Lock()
	b := s.findBuild(job, number)
	s.mu.Unlock()
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.result = worse(b.result, result)
	}
}

// AppendLog writes into the log of a build that runs, as if one of its steps had.
func (s *Server) AppendLog(job string, number int, text string) {
	s.mu.Lock()
	found := s.findBuild(job, number)
	s.mu.Unlock()
	if found != nil {
		_, _ = found.Write([]byte(text))
	}
}

func (s *Server) findBuild(job string, number int) (found *build) {
	s.root.walk(func(it *item) {
		if it.fullName() == job {
			found = it.findBuild(number)
		}
	})
	return found
}
