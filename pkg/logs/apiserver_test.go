package logs

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

const goodToken = "token of shop"

// apiServer answers what a handler asks the API server for.
type apiServer struct {
	*httptest.Server
	reviews, gets atomic.Int64
	down          atomic.Bool

	mu         sync.Mutex
	executions map[string]*v1alpha1.PipelineExecution
	onGet      func(n int64) // before the nth read of an execution
}

func newAPIServer(t testing.TB) *apiServer {
	s := &apiServer{executions: map[string]*v1alpha1.PipelineExecution{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) clients(t testing.TB) *kube.Clients {
	t.Helper()
	c, err := kube.NewClients(&rest.Config{Host: s.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *apiServer) set(name string, status v1alpha1.PipelineExecutionStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.executions[name] = &v1alpha1.PipelineExecution{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "PipelineExecution"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Status: status,
	}
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if s.down.Load() {
		sendStatus(w, apierrors.NewInternalError(errors.New("etcd is down")))
		return
	}
	if r.Method == http.MethodPost && r.URL.Path == "/apis/authentication.k8s.io/v1/tokenreviews" {
		s.reviews.Add(1)
		var review authenticationv1.TokenReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Kind != "TokenReview" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		review.Status = reviewed(review.Spec)
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(review)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/apis/kubectl-pipeline.io/v1alpha1/namespaces/shop/pipelineexecutions/")
	n := s.gets.Add(1)
	if s.onGet != nil {
		s.onGet(n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.executions[name]
	if !ok || e == nil {
		sendStatus(w, apierrors.NewNotFound(v1alpha1.Resource("pipelineexecutions"), name))
		return
	}
	json.NewEncoder(w).Encode(e)
}

func sendStatus(w http.ResponseWriter, err *apierrors.StatusError) {
	status := err.Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	w.WriteHeader(int(status.Code))
	json.NewEncoder(w).Encode(status)
}

// reviewed decides as the API server does.
func reviewed(spec authenticationv1.TokenReviewSpec) authenticationv1.TokenReviewStatus {
	yes := func(user string, audiences ...string) authenticationv1.TokenReviewStatus {
		return authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: user}, Audiences: audiences}
	}
	if len(spec.Audiences) != 1 || spec.Audiences[0] != Audience {
		return authenticationv1.TokenReviewStatus{Error: "audiences"}
	}
	switch spec.Token {
	case goodToken:
		return yes("system:serviceaccount:shop:pipeline-log-reader", Audience)
	case "token of bank":
		return yes("system:serviceaccount:bank:pipeline-log-reader", Audience)
	case "token of another account":
		return yes("system:serviceaccount:shop:default", Audience)
	case "token of an admin":
		return yes("admin", Audience)
	case "token for the API server":
		return yes("system:serviceaccount:shop:pipeline-log-reader") // a server that ignores audiences
	}
	return authenticationv1.TokenReviewStatus{Error: "invalid bearer token"}
}

var queued = v1alpha1.PipelineExecutionStatus{Phase: v1alpha1.PhaseQueued}

var running = v1alpha1.PipelineExecutionStatus{
	Phase: v1alpha1.PhaseRunning, Engine: &v1alpha1.EngineStatus{Job: "shop/app-1", Build: 1},
}
