package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// How hookd serves logs; a test compares these with its own names.
const (
	logAudience       = "hookd.kubectl-pipeline.io"
	logServiceAccount = "pipeline-log-reader"
	logTokenHeader    = "X-Pipeline-Token"
	logCompleteHeader = "X-Pipeline-Log-Complete"
	logErrorHeader    = "X-Pipeline-Log-Error"
	hookdService      = "http:hookd:8080"
	hookdURLVariable  = "KUBECTL_PIPELINE_HOOKD_URL"
)

const (
	// logTokenSeconds is how long a token that leaks can read logs: the least that the API
	// server grants. A stream that is open outlives its token.
	logTokenSeconds = 600
	// logAttempts in a row without a byte give up on a log.
	logAttempts = 8
	// drainIdle is how long the rest of a log may keep still once its run is over.
	drainIdle = 30 * time.Second
	// maxErrorBody bounds what is read of an answer that is an error, in bytes.
	maxErrorBody = 64 << 10
)

// logFlags say where hookd is.
type logFlags struct {
	url, namespace string
}

func (l *logFlags) bind(cmd *cobra.Command) {
	bindHookdNamespace(cmd, &l.namespace)
	cmd.Flags().StringVar(&l.url, "hookd-url", "", "Read logs from hookd at this address instead of through the API server, for development (default $"+hookdURLVariable+")")
}

func bindHookdNamespace(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "hookd-namespace", "kubectl-pipeline", "Namespace that hookd runs in")
}

// runLog reads the log of one run.
type runLog struct {
	p      *project
	run    *v1alpha1.PipelineExecution
	client *http.Client
	url    *url.URL
	pause  func(context.Context, time.Duration) error

	token   string
	written atomic.Int64
	sum     hash.Hash // of what was written
}

func (a *app) newLog(p *project, run *v1alpha1.PipelineExecution, flags logFlags) (*runLog, error) {
	l := &runLog{p: p, run: run, pause: a.pause, sum: sha256.New()}
	path := "/logs/" + run.Namespace + "/" + run.Name
	if direct := or(flags.url, a.getenv(hookdURLVariable)); direct != "" {
		u, err := url.Parse(direct)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("--hookd-url %q: wanted an address such as http://localhost:8080", direct)
		}
		l.url = u.JoinPath(path)
		l.client = &http.Client{}
		return l, nil
	}
	// As the other requests' client, but a log may take longer than --request-timeout.
	cfg := rest.CopyConfig(p.Config)
	cfg.Timeout = 0
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("make HTTP client: %w", err)
	}
	l.client = client
	l.url = p.CoreREST().Get().AbsPath("/api/v1/namespaces", flags.namespace, "services", hookdService, "proxy", path).URL()
	return l, nil
}

// logRefusal is an answer instead of a log.
type logRefusal struct {
	status  int
	message string
}

func (e *logRefusal) Error() string { return e.message }

// errLogBroken is a log that ended before it was complete.
var errLogBroken = errors.New("the log broke off")

// copy writes the log to w; with follow until the run has ended. A connection that
// breaks is made again and goes on behind what w has; hookd compares what is before it.
func (l *runLog) copy(ctx context.Context, w io.Writer, follow bool) error {
	for failures := 0; ; failures++ {
		before := l.written.Load()
		err := l.stream(ctx, w, follow)
		var refusal *logRefusal
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case readerGone(err):
			return err
		case errors.As(err, &refusal):
			if refusal.status == http.StatusUnauthorized && l.token != "" && failures == 0 {
				l.token = "" // it may have expired between two attempts
				continue
			}
			again := refusal.status == http.StatusConflict || refusal.status >= http.StatusInternalServerError || refusal.status == http.StatusTooManyRequests
			if !follow || !again || refusal.status == http.StatusNotImplemented {
				return l.explain(err)
			}
		case !errors.Is(err, errLogBroken) && l.token == "":
			return l.explain(err) // no token was made: the same would happen again
		}
		if l.written.Load() > before {
			failures = 0
		}
		if failures+1 >= logAttempts {
			return l.explain(err)
		}
		if err := l.pause(ctx, retryAfter(nil, failures)); err != nil {
			return err
		}
	}
}

func (l *runLog) explain(err error) error {
	err = fmt.Errorf("read the log of run %s: %w", l.run.Name, err)
	if refusal, ok := errors.AsType[*logRefusal](err); ok {
		switch refusal.status {
		case http.StatusConflict:
			return hinted(err, "kubectl pipeline logs "+l.run.Name+" -f waits for it")
		case http.StatusPreconditionFailed:
			return hinted(err, "kubectl pipeline logs "+l.run.Name+" prints what there is now")
		case http.StatusNotFound, http.StatusServiceUnavailable:
			if strings.Contains(refusal.message, "hookd") {
				return hinted(err, "is hookd installed and running? kubectl pipeline version tells; --hookd-namespace if it is elsewhere")
			}
		}
	}
	return err
}

// stream makes one request and copies its answer.
func (l *runLog) stream(ctx context.Context, w io.Writer, follow bool) error {
	if l.token == "" {
		token, err := l.makeToken(ctx)
		if err != nil {
			return err
		}
		l.token = token
	}
	query := url.Values{}
	if follow {
		query.Set("follow", "true")
	}
	if n := l.written.Load(); n > 0 {
		query.Set("offset", strconv.FormatInt(n, 10))
		query.Set("sum", hex.EncodeToString(l.sum.Sum(nil)))
	}
	u := *l.url
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set(logTokenHeader, l.token)
	resp, err := l.client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errLogBroken, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusalOf(resp)
	}
	out := &countingWriter{w: w, n: &l.written, sum: l.sum}
	if _, err := io.Copy(out, resp.Body); err != nil {
		if out.err != nil {
			return out.err // ours, not the connection's
		}
		return fmt.Errorf("%w: %w", errLogBroken, err)
	}
	// Without a trailer the answer ended on the way here, whatever HTTP says of it.
	switch complete, why := resp.Trailer.Get(logCompleteHeader), resp.Trailer.Get(logErrorHeader); {
	case complete == "true", complete == "false" && why == "" && !follow:
		return nil
	case why != "":
		return fmt.Errorf("%w: %s", errLogBroken, why)
	}
	return errLogBroken
}

type countingWriter struct {
	w   io.Writer
	n   *atomic.Int64
	sum hash.Hash
	err error
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n.Add(int64(n))
	c.sum.Write(b[:n])
	c.err = err
	return n, err
}

// refusalOf reads why there is no log: hookd's words, or the API server's when it did
// not get that far.
func refusalOf(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // half a message is better than none
	var answer struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &answer) // what is no JSON is shown as it is
	text := or(answer.Error, or(answer.Message, strings.TrimSpace(string(body))))
	return &logRefusal{status: resp.StatusCode, message: fmt.Sprintf("%s (%s)", or(oneLine(text), "no reason was given"), resp.Status)}
}

// makeToken asks for a token that opens this project's logs and nothing else.
func (l *runLog) makeToken(ctx context.Context) (string, error) {
	body := fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"audiences":[%q],"expirationSeconds":%d}}`, logAudience, logTokenSeconds)
	raw, err := rawDo(ctx, l.p.CoreREST().Post().Namespace(l.run.Namespace).Resource("serviceaccounts").Name(logServiceAccount).
		SubResource("token").Body([]byte(body)))
	if err != nil {
		return "", hinted(fmt.Errorf("make a token of ServiceAccount %s: %w", logServiceAccount, err),
			fmt.Sprintf("hookd makes the account in each project; you need to be allowed to create serviceaccounts/token of it in namespace %s", l.run.Namespace))
	}
	var answer struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Status.Token == "" {
		return "", fmt.Errorf("make a token of ServiceAccount %s: the API server's answer has none", logServiceAccount)
	}
	return answer.Status.Token, nil
}
