package cli

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/logs"
)

const logPath = "/api/v1/namespaces/kubectl-pipeline/services/http:hookd:8080/proxy/logs/shop/"

// logFault serves a complete log where the API server's proxy would.
func logFault(w *world, text string) func(http.ResponseWriter, *http.Request) bool {
	return func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, logPath) {
			return false
		}
		serveLog(rw, text, "true", "")
		return true
	}
}

func serveLog(rw http.ResponseWriter, text, complete, why string) {
	rw.Header().Set("Trailer", logCompleteHeader+", "+logErrorHeader)
	rw.WriteHeader(200)
	_, _ = io.WriteString(rw, text)
	rw.(http.Flusher).Flush()
	rw.Header().Set(logCompleteHeader, complete)
	if why != "" {
		rw.Header().Set(logErrorHeader, why)
	}
}

// unread is what hookd sends to a reader who has the beginning of a log.
func unread(r *http.Request, log string) string {
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(log[:offset]))); offset > 0 && r.URL.Query().Get("sum") != sum {
		return "the reader has something else: " + r.URL.RawQuery
	}
	return log[offset:]
}

// TestLogNames: hookd and the plugin are two programs that must agree.
func TestLogNames(t *testing.T) {
	for _, c := range [][2]string{
		{logAudience, logs.Audience}, {logServiceAccount, logs.ReaderServiceAccount}, {logTokenHeader, logs.HeaderToken},
		{logCompleteHeader, logs.TrailerComplete}, {logErrorHeader, logs.TrailerError},
	} {
		if c[0] != c[1] {
			t.Errorf("the plugin says %q, hookd says %q", c[0], c[1])
		}
	}
}

func TestLogs(t *testing.T) {
	const text = "line 1\n\x1b[31mline 2\x1b[0m\nno newline at the end"
	for name, c := range map[string]struct {
		args string
		// serve answers the n-th request for the log, from 1.
		serve   func(n int, rw http.ResponseWriter, r *http.Request)
		code    int
		out     string
		err     string
		follows bool
	}{
		"byte for byte": {
			args: "logs app#11", serve: func(_ int, rw http.ResponseWriter, _ *http.Request) { serveLog(rw, text, "true", "") }, out: text,
		},
		"what there is of a run that goes on": {
			args: "logs app#12", serve: func(_ int, rw http.ResponseWriter, _ *http.Request) { serveLog(rw, text, "false", "") }, out: text,
		},
		"goes on where the connection broke": {
			args: "logs app#11",
			serve: func(n int, rw http.ResponseWriter, r *http.Request) {
				switch n {
				case 1:
					_, _ = io.WriteString(rw, text[:10])
					rw.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				case 2:
					serveLog(rw, unread(r, text[:15]), "", "") // ended on the way, though HTTP calls it complete
				case 3:
					serveLog(rw, unread(r, text[:20]), "false", "Jenkins does not answer")
				default:
					serveLog(rw, unread(r, text), "true", "")
				}
			},
			out: text,
		},
		"says that what it printed is no longer the log": {
			args: "logs app#11 -f",
			serve: func(n int, rw http.ResponseWriter, _ *http.Request) {
				if n == 1 {
					serveLog(rw, text[:10], "", "")
					return
				}
				reply(rw, 412, `{"error":"the log is no longer what was read of it before"}`)
			},
			code: exitFailed, out: text[:10], err: "the log is no longer what was read of it before (412 Precondition Failed)\nhint: kubectl pipeline logs app-bbbbbb prints what there is now",
		},
		"says that Jenkins has deleted the rest of it": {
			args: "logs app#11 -f",
			serve: func(n int, rw http.ResponseWriter, _ *http.Request) {
				if n == 1 {
					serveLog(rw, text[:10], "false", "the log ends here, incomplete, after 10 bytes: no such build")
					return
				}
				reply(rw, 404, `{"error":"the log ends here, incomplete, after 10 bytes: no such build"}`)
			},
			code: exitFailed, out: text[:10], err: "the log ends here, incomplete, after 10 bytes",
		},
		"asks for a new token when the first has expired": {
			args: "logs app#11",
			serve: func(n int, rw http.ResponseWriter, r *http.Request) {
				if r.Header.Get(logTokenHeader) != "log-token-2" {
					reply(rw, 401, `{"error":"the token is not valid"}`)
					return
				}
				serveLog(rw, text, "true", "")
			},
			out: text,
		},
		"says why there is none yet": {
			args: "logs app#12",
			serve: func(_ int, rw http.ResponseWriter, _ *http.Request) {
				reply(rw, 409, `{"error":"no log yet (Queued)"}`)
			},
			code: exitError, err: "no log yet (Queued)",
		},
		"says that hookd is not there": {
			args: "logs app#11",
			serve: func(_ int, rw http.ResponseWriter, r *http.Request) {
				reply(rw, 404, `{"kind":"Status","message":"services \"http:hookd:8080\" not found","code":404}`)
			},
			code: exitError, err: "hint: is hookd installed",
		},
		"gives up on a log that never arrives": {
			args: "logs app#11",
			serve: func(_ int, rw http.ResponseWriter, _ *http.Request) {
				serveLog(rw, "", "false", "Jenkins does not answer")
			},
			code: exitError, err: "Jenkins does not answer",
		},
		"follows": {
			args: "logs app#11 -f", follows: true,
			serve: func(_ int, rw http.ResponseWriter, r *http.Request) {
				serveLog(rw, text, fmt.Sprint(r.URL.Query().Get("follow") == "true"), "")
			},
			code: exitFailed, out: text,
		},
		"waits out a hookd that restarts while it follows": {
			args: "logs app#11 -f",
			serve: func(n int, rw http.ResponseWriter, _ *http.Request) {
				if n < 4 {
					reply(rw, 503, `{"message":"no endpoints available for service \"http:hookd:8080\""}`)
					return
				}
				serveLog(rw, text, "true", "")
			},
			code: exitFailed, out: text,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := populated(t)
			n := 0
			w.api.fault = func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, logPath) {
					return false
				}
				n++
				if r.Header.Get(logTokenHeader) == "" {
					t.Error("no token was sent")
				}
				c.serve(n, rw, r)
				return true
			}
			got := w.run(strings.Fields(c.args)...)
			if got.code != c.code || got.out != c.out || !strings.Contains(got.err, c.err) {
				t.Errorf("exit code %d, standard output %q, standard error:\n%s", got.code, got.out, got.err)
			}
		})
	}
}

// TestLogsOfARunThatNeverStarted: there is no log; the run's own message says why.
func TestLogsOfARunThatNeverStarted(t *testing.T) {
	w := populated(t)
	pe := in(v1alpha1.PhaseFailed)
	pe.Status.Reason, pe.Status.Message = v1alpha1.ReasonInvalidConfig, "line 3, column 5: unknown field stagess"
	w.api.put(executionsResource, pe)
	got := w.run("logs", "run/app-1", "-f")
	if got.code != exitFailed || got.out != "" || !strings.Contains(got.err, "unknown field stagess") {
		t.Errorf("%+v", got)
	}
}

// TestLogsDirect: for development, hookd is reached without the API server.
func TestLogsDirect(t *testing.T) {
	hookd := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/logs/shop/app-bbbbbb" || r.Header.Get(logTokenHeader) == "" || r.Header.Get("Authorization") != "" {
			t.Errorf("%s %v", r.URL.Path, r.Header)
		}
		serveLog(rw, "direct\n", "true", "")
	}))
	defer hookd.Close()
	w := populated(t)
	if got := w.run("logs", "app#11", "--hookd-url", hookd.URL); got.code != 0 || got.out != "direct\n" {
		t.Errorf("%+v", got)
	}
	w.env[hookdURLVariable] = hookd.URL
	if got := w.run("logs", "app#11"); got.code != 0 || got.out != "direct\n" {
		t.Errorf("%+v", got)
	}
}
