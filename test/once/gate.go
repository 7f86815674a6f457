package once

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"

	"k8s.io/client-go/rest"
)

// moment is when a process dies at its write.
type moment string

const (
	beforeSent moment = "before it is sent"
	processed  moment = "when it is done and its answer is lost"
	answered   moment = "when its answer has come"
	// onTheWay: the network has the request, and delivers it long after (order.deliver).
	onTheWay moment = "when it is on its way"
)

// order is to kill the process that is about to do a write.
type order struct {
	project string // that the write is about; "": any
	name    string // of the write; "": any
	skip    int    // of the writes that match, how many are let through first
	moment  moment
	halt    bool          // the process is halted, not killed
	done    chan struct{} // closed when the process is dead, or halts
	by      int           // the replica that it hit
	deliver func() error  // what is on the way arrives
}

func newOrder(project string, p point, m moment) *order {
	return &order{project: project, name: p.name, skip: p.nth, moment: m, done: make(chan struct{})}
}

func (o *order) matches(w write) bool {
	return !w.lease && (o.name == "" || o.name == w.name) && (o.project == "" || w.isAbout(o.project))
}

// gates see all that any hookd writes.
type gates struct {
	mu     sync.Mutex
	order  *order
	record func(write) // called for each write, in order, with the lock held
}

// give replaces the order, if there is one.
func (g *gates) give(o *order) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.order = o
}

// withdraw takes the order back, unless it is being carried out.
func (g *gates) withdraw(o *order) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.order != o {
		return false
	}
	g.order = nil
	return true
}

// pass notes a write and says whether somebody has to die for it.
func (g *gates) pass(w write) *order {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.record != nil {
		g.record(w)
	}
	o := g.order
	if o == nil || !o.matches(w) {
		return nil
	}
	if o.skip > 0 {
		o.skip--
		return nil
	}
	g.order = nil
	return o
}

// gate is what stands between one replica and everything else: the API server, which
// it believes to be here, and Jenkins, to which it is a proxy.
type gate struct {
	all     *gates
	replica int
	api     *httptest.Server
	jenkins *httptest.Server
	kill    func() // returns when the replica is dead
	halt    func()
	// leads is called when the replica has taken or renewed the lease.
	leads func(identity string)
}

func newGate(all *gates, replica int, cluster *rest.Config, jenkinsURL string) (*gate, error) {
	g := &gate{all: all, replica: replica}
	transport, err := rest.TransportFor(&rest.Config{Host: cluster.Host, TLSClientConfig: rest.TLSClientConfig{CAData: cluster.CAData}})
	if err != nil {
		return nil, err
	}
	api, err := url.Parse(cluster.Host)
	if err != nil {
		return nil, err
	}
	double, err := url.Parse(jenkinsURL)
	if err != nil {
		return nil, err
	}
	g.api = httptest.NewUnstartedServer(g.handler(api, transport, false))
	g.api.EnableHTTP2 = true
	g.api.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes of those who died
	g.api.StartTLS()
	g.jenkins = httptest.NewServer(g.handler(double, http.DefaultTransport.(*http.Transport).Clone(), true))
	return g, nil
}

func (g *gate) close() {
	g.api.CloseClientConnections()
	g.jenkins.CloseClientConnections()
	g.api.Close()
	g.jenkins.Close()
}

// config leads a client that would use config through the gate.
func (g *gate) config(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Host = g.api.URL
	config.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.api.Certificate().Raw})
	return config
}

func (g *gate) handler(to *url.URL, transport http.RoundTripper, jenkins bool) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		Transport:     transport,
		FlushInterval: -1,
		// What is lost behind the gate is lost before it, too: no answer in its place.
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ModifyResponse: g.noteLease,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			proxy.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // it died in the middle of it
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		change, ok := readWrite(r, body, jenkins)
		if !ok {
			proxy.ServeHTTP(w, r)
			return
		}
		if change.lease {
			r = r.WithContext(context.WithValue(r.Context(), leaseBody{}, body))
		}
		o := g.all.pass(change)
		if o == nil {
			proxy.ServeHTTP(w, r)
			return
		}
		o.by = g.replica
		switch o.moment {
		case processed:
			proxy.ServeHTTP(httptest.NewRecorder(), r)
		case answered:
			proxy.ServeHTTP(w, r)
			_ = http.NewResponseController(w).Flush()
		case onTheWay:
			late := r.Clone(context.Background())
			late.Body = io.NopCloser(bytes.NewReader(body))
			o.deliver = func() error {
				rec := httptest.NewRecorder()
				proxy.ServeHTTP(rec, late)
				if rec.Code >= 400 {
					return fmt.Errorf("%s is answered %d", change.name, rec.Code)
				}
				return nil
			}
		}
		if o.halt {
			g.halt()
			close(o.done)
			<-r.Context().Done() // it waits for its answer
			panic(http.ErrAbortHandler)
		}
		g.kill()
		close(o.done)
		panic(http.ErrAbortHandler)
	})
}

type leaseBody struct{}

func (g *gate) noteLease(r *http.Response) error {
	body, ok := r.Request.Context().Value(leaseBody{}).([]byte)
	if ok && r.StatusCode < 300 {
		g.leads(holderOf(body))
	}
	return nil
}
