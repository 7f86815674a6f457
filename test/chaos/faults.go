package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// fault is a way in which things break.
type fault struct {
	name   string
	weight int
	// min and max are between how long and how long it lasts.
	min, max time.Duration
	// hookd: it ends hookd.
	hookd bool
	// must: it occurs in every plan, however short.
	must bool
	// late: its consequences come half a minute after it.
	late bool
	fire func(context.Context, *world, strike) error
}

// faults is the table of all that breaks, side by side: Jenkins and the way to it, the
// API server, hookd, nodes and agents.
func faults() []fault {
	const s = time.Second
	return []fault{
		{name: "slow answers", weight: 6, min: s / 2, max: 6 * s, fire: spoil(func(f *jenkinstest.Fault, st strike) { f.Delay = st.hold })},
		{name: "dropped before", weight: 8, fire: spoil(func(f *jenkinstest.Fault, _ strike) { f.DropBefore = true })},
		{name: "dropped after", weight: 10, must: true, fire: spoil(func(f *jenkinstest.Fault, _ strike) { f.DropAfter = true })},
		{name: "cut off", weight: 6, fire: spoil(func(f *jenkinstest.Fault, st strike) { f.Truncate = int(st.pick%300) + 1 })},
		{name: "a proxy's page", weight: 5, fire: spoil(func(f *jenkinstest.Fault, _ strike) { f.HTML = true })},
		{name: "500", weight: 5, fire: spoil(func(f *jenkinstest.Fault, _ strike) { f.Status = 500 })},
		{name: "503", weight: 4, fire: spoil(func(f *jenkinstest.Fault, _ strike) { f.Status = 503 })},
		{name: "403", weight: 3, fire: once(jenkinstest.Fault{Status: 403})},
		{name: "401", weight: 2, fire: once(jenkinstest.Fault{Status: 401})},
		{name: "bad crumb", weight: 3, fire: once(jenkinstest.Fault{Crumb: true, Method: "POST"})},
		{name: "dripping answer", weight: 2, fire: once(jenkinstest.Fault{Drip: 5 * time.Millisecond})},
		{name: "nothing gets through", weight: 3, min: s, max: 8 * s, fire: cutOff},
		{name: "Jenkins restarts", weight: 3, min: s, max: 5 * s, must: true, fire: restart(jenkinstest.RestartOptions{})},
		{name: "Jenkins crashes", weight: 4, min: s, max: 5 * s, must: true, fire: restart(jenkinstest.RestartOptions{Crash: true})},
		{name: "Jenkins loses builds", weight: 1, min: s, max: 3 * s, must: true, late: true, fire: restart(jenkinstest.RestartOptions{Crash: true, LoseBuilds: true})},
		{name: "Jenkins prepares to shut down", weight: 2, min: 2 * s, max: 8 * s, fire: quietDown},

		{name: "the API server restarts", weight: 3, min: s / 2, max: 6 * s, must: true, fire: restartAPIServer},
		{name: "etcd restarts", weight: 2, fire: restartEtcd},

		{name: "hookd's leader is killed", weight: 2, min: s, max: 5 * s, hookd: true, must: true, fire: endHookd(leading, true)},
		{name: "hookd's leader is replaced", weight: 3, min: s, max: 5 * s, hookd: true, must: true, fire: endHookd(leading, false)},
		{name: "hookd's other replica is killed", weight: 2, min: s, max: 5 * s, hookd: true, fire: endHookd(following, true)},
		{name: "all of hookd is killed", weight: 1, min: s, max: 3 * s, hookd: true, fire: endHookd(all, true)},

		{name: "a node is lost", weight: 2, min: 2 * s, max: 15 * s, must: true, fire: loseNode},
		{name: "a node is emptied", weight: 2, min: 2 * s, max: 10 * s, fire: emptyNode},
		{name: "an agent is deleted", weight: 3, must: true, fire: deleteAgent},
		{name: "an agent is evicted", weight: 2, fire: evictAgent},
		{name: "an agent is out of memory", weight: 2, fire: exhaustAgent},
	}
}

// places are the parts of Jenkins' API that single answers are spoiled of; the empty
// one is all of it.
var places = []struct{ method, path string }{
	{}, {path: "/api/json"}, {path: "/queue/"}, {path: "wfapi"}, {method: "POST"}, {method: "POST", path: "/buildWithParameters"},
	{method: "POST", path: "/createItem"}, {method: "POST", path: "/stop"}, {method: "DELETE"}, {path: "config.xml"},
}

// spoil spoils some answers of one part of the API.
func spoil(how func(*jenkinstest.Fault, strike)) func(context.Context, *world, strike) error {
	return func(_ context.Context, w *world, s strike) error {
		place := places[s.pick%uint64(len(places))]
		f := jenkinstest.Fault{Method: place.method, Path: place.path, Times: 1 + int(s.pick>>8%3)}
		how(&f, s)
		w.log.note("%s: %d × %s %s", s.fault.name, f.Times, f.Method, f.Path)
		w.Jenkins.Spoil(f)
		return nil
	}
}

// once spoils the next answer.
func once(f jenkinstest.Fault) func(context.Context, *world, strike) error {
	return func(_ context.Context, w *world, s strike) error {
		w.log.note("%s", s.fault.name)
		w.Jenkins.Spoil(f)
		return nil
	}
}

func cutOff(ctx context.Context, w *world, s strike) error {
	w.engine.Lock()
	defer w.engine.Unlock()
	defer w.lasting(s)()
	w.Jenkins.SetDown(true)
	defer w.Jenkins.SetDown(false)
	return pass(ctx, s.hold)
}

// restart has Jenkins be away, then be starting, then let builds go on: each for a part
// of the time.
func restart(o jenkinstest.RestartOptions) func(context.Context, *world, strike) error {
	return func(ctx context.Context, w *world, s strike) error {
		w.engine.Lock()
		defer w.engine.Unlock()
		defer w.lasting(s)()
		o := o
		o.Down, o.Starting, o.Resume = s.hold/2, s.hold/4, s.hold/4
		if o.Crash {
			w.log.crash()
		}
		for _, b := range w.Jenkins.Restart(o) {
			w.log.note("  lost the build of %s", w.watch.nameOf(uidOf(b.Params)))
			w.log.hit(uidOf(b.Params), buildGone)
		}
		// Until it is through: a restart within a restart is none that Jenkins knows.
		return pass(ctx, s.hold+time.Second/2)
	}
}

func quietDown(ctx context.Context, w *world, s strike) error {
	w.engine.Lock()
	defer w.engine.Unlock()
	defer w.lasting(s)()
	w.Jenkins.SetQuiet(true)
	defer w.Jenkins.SetQuiet(false)
	return pass(ctx, s.hold)
}

func restartAPIServer(ctx context.Context, w *world, s strike) error {
	w.apiServer.Lock()
	defer w.apiServer.Unlock()
	defer w.lasting(s)()
	if err := w.Cluster.StopAPIServer(); err != nil {
		return err
	}
	_ = pass(ctx, s.hold) // it has to come back in any case
	return w.Cluster.StartAPIServer(context.WithoutCancel(ctx))
}

func restartEtcd(ctx context.Context, w *world, s strike) error {
	w.apiServer.Lock()
	defer w.apiServer.Unlock()
	defer w.lasting(s)()
	return w.Cluster.RestartEtcd(context.WithoutCancel(ctx))
}

// pass lets time pass. This is the schedule of the test itself, not a wait for something.
func pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lasting notes the beginning of what lasts, and its end.
func (w *world) lasting(s strike) (end func()) {
	w.log.note("%s, for %s", s.fault.name, s.hold.Round(time.Millisecond))
	return func() { w.log.note("over: %s", s.fault.name) }
}

func (w *world) nobody(s strike) { w.log.note("%s: there was none", s.fault.name) }

func (s strike) String() string { return fmt.Sprintf("%s at %s", s.fault.name, s.at) }
