package bench

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// series are the values of Prometheus series whose name and labels a filter takes.
func (w *world) series(text string, take func(name string, labels map[string]string) bool) (sum float64) {
	w.b.Helper()
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		name, rest, _ := strings.Cut(line[:at], "{")
		labels := map[string]string{}
		for pair := range strings.SplitSeq(strings.TrimSuffix(rest, "}"), ",") {
			key, value, _ := strings.Cut(pair, "=")
			labels[key] = strings.Trim(value, `"`)
		}
		if !take(name, labels) {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			w.b.Fatalf("%s: %v", line, err)
		}
		sum += value
	}
	return sum
}

// hookd is a figure of hookd's own metrics.
func (w *world) hookd(metric string, labels ...string) float64 {
	w.b.Helper()
	return w.series(w.scrape(w.Hookd[0].Metrics+"/metrics"), func(name string, has map[string]string) bool {
		return name == metric && (len(labels) == 0 || has[labels[0]] == labels[1])
	})
}

func (w *world) scrape(url string) string {
	w.b.Helper()
	req, err := http.NewRequestWithContext(w.b.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.b.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.b.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}

// writes counts what the API server was asked to write since it started, whoever asked:
// only leases and reviews, which store nothing of a run, are left out.
func (w *world) writes() float64 {
	w.b.Helper()
	return w.apiServer(func(name string, labels map[string]string) bool {
		write := slices.Contains([]string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}, labels["verb"])
		r := labels["resource"]
		return name == "apiserver_request_total" && write && r != "leases" && !strings.HasSuffix(r, "reviews")
	})
}

// usage is what the programs had used of the processor, which does not depend on who
// else uses it.
type usage struct {
	w            *world
	hookd, whole float64 // seconds
}

func (w *world) usage() usage {
	w.b.Helper()
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		w.b.Fatal(err)
	}
	u := usage{w: w, hookd: w.hookd("process_cpu_seconds_total")}
	u.whole = u.hookd + w.apiServer(func(name string, _ map[string]string) bool { return name == "process_cpu_seconds_total" }) +
		time.Duration(self.Utime.Nano()+self.Stime.Nano()).Seconds()
	return u
}

// report says what was used since for each of n runs: by hookd, and by it, the API
// server, and this process with its Jenkins double together.
func (u usage) report(n int) {
	u.w.b.Helper()
	now := u.w.usage()
	u.w.b.ReportMetric((now.hookd-u.hookd)*1000/float64(n), "hookd-cpu-ms/execution")
	u.w.b.ReportMetric((now.whole-u.whole)*1000/float64(n), "cpu-ms/execution")
}

// apiServer is a figure of the API server's own metrics.
func (w *world) apiServer(take func(name string, labels map[string]string) bool) float64 {
	w.b.Helper()
	text, err := w.Clients.CoreREST().Get().AbsPath("/metrics").DoRaw(w.b.Context())
	if err != nil {
		w.b.Fatal(err)
	}
	return w.series(string(text), take)
}

// report says what share of durations was at most how long, in milliseconds.
func (w *world) report(name string, took []time.Duration, shares ...int) {
	w.b.Helper()
	if len(took) == 0 {
		w.b.Fatalf("nothing was measured of %s", name)
	}
	slices.Sort(took)
	for _, share := range shares {
		at := took[min(len(took)*share/100, len(took)-1)]
		w.b.ReportMetric(float64(at.Microseconds())/1000, fmt.Sprintf("%s-p%d-ms", name, share))
	}
}
