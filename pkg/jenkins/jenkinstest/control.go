package jenkinstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Snapshot is everything that tests may want to know of a double at one moment.
type Snapshot struct {
	Session     string
	Jobs        []string // full names, sorted
	Folders     []string
	Credentials []string // as Server.Credentials lists them
	Queue       []QueueInfo
	Builds      []BuildInfo
}

// Snapshot gives all of it. Without logs, BuildInfo.Log is empty.
func (s *Server) Snapshot(logs bool) Snapshot {
	snap := Snapshot{
		Session: s.Session(), Jobs: s.Jobs(), Folders: s.Folders(), Credentials: s.Credentials(), Queue: s.Queue(), Builds: s.Builds(),
	}
	if !logs {
		for i := range snap.Builds {
			snap.Builds[i].Log = ""
		}
	}
	return snap
}

// Control is what another program steers a double by, for doubles that are not part of the test's own process. Never serve it where
// strangers reach it: it is beside Jenkins' API, not in it. Every request needs the header "Authorization: Bearer <secret>".
//
//	GET    /state?logs=true   Snapshot
//	GET    /config?job=f/j    config.xml as it was posted
//	GET    /requests          what was asked since the last call: ["METHOD /path?query"]
//	POST   /faults            Fault: Server.Spoil
//	DELETE /faults            Server.Mend
//	POST   /restart           RestartOptions: Server.Restart; answers the builds that were lost
//	POST   /mode              {"down":bool,"quiet":bool,"broken":bool}, each optional
//	POST   /deny, /allow      Denial: Server.DenyAt, Server.AllowAt
//	POST   /account           Account: Server.SetAccount
//	POST   /result            {"job":"f/j","number":1,"result":"UNSTABLE"}: Server.SetResult
//	POST   /log               {"job":"f/j","number":1,"text":"…"}: Server.AppendLog
//
// [Remote] is its client.
func (s *Server) Control(secret string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, r *http.Request) {
		reply(w, s.Snapshot(r.FormValue("logs") == "true"))
	})
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, r *http.Request) { reply(w, s.Config(r.FormValue("job"))) })
	mux.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) { reply(w, append([]string{}, s.Requests()...)) })
	mux.HandleFunc("POST /faults", order(s.Spoil))
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) { s.Mend(); reply(w, nil) })
	mux.HandleFunc("POST /restart", ask(s.Restart))
	mux.HandleFunc("POST /mode", order(func(m modeOrder) {
		for flag, set := range map[*bool]func(bool){m.Down: s.SetDown, m.Broken: s.SetBroken, m.Quiet: s.SetQuiet} {
			if flag != nil {
				set(*flag)
			}
		}
	}))
	mux.HandleFunc("POST /deny", order(s.DenyAt))
	mux.HandleFunc("POST /allow", order(s.AllowAt))
	mux.HandleFunc("POST /account", order(s.SetAccount))
	mux.HandleFunc("POST /result", order(func(r resultOrder) { s.SetResult(r.Job, r.Number, r.Result) }))
	mux.HandleFunc("POST /log", order(func(l logOrder) { s.AppendLog(l.Job, l.Number, l.Text) }))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if secret == "" || !same(r.Header.Get("Authorization"), "Bearer "+secret) {
			http.Error(w, "the control's secret is missing", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

type modeOrder struct{ Down, Quiet, Broken *bool }

type resultOrder struct {
	Job    string
	Number int
	Result string
}

type logOrder struct {
	Job    string
	Number int
	Text   string
}

// order makes a handler of a method that takes what the body says.
func order[T any](do func(T)) http.HandlerFunc {
	return ask(func(v T) any { do(v); return nil })
}

// ask makes a handler of a method that takes what the body says and has an answer.
func ask[T, R any](do func(T) R) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var v T
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil {
			err = strictJSON(text, &v)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply(w, do(v))
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func strictJSON(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("more than one JSON value")
	}
	return nil
}

// textDuration is a duration that JSON holds as text.
type textDuration time.Duration

func (d textDuration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *textDuration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("duration: %w", err)
	}
	*d = textDuration(v)
	return nil
}
