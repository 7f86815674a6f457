package controller

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
)

// uselessJenkins fails whatever it is asked, and notes when.
type uselessJenkins struct {
	Jenkins // nil: nothing else may be asked
	err     error
	begin   time.Time
	asked   []time.Duration
}

func (u *uselessJenkins) Ping(context.Context) (jenkins.Info, error) {
	u.asked = append(u.asked, time.Since(u.begin))
	return jenkins.Info{}, u.err
}

func (u *uselessJenkins) Close() {}

// J1, J20: a Jenkins that cannot be used is asked ever more rarely, but at least once a
// minute: one that refuses our token would lock the account otherwise.
func TestModeBackoff(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		reason string
	}{
		"when it does not answer":         {&jenkins.Error{Err: errors.New("connection refused")}, v1alpha1.ReasonEngineUnavailable},
		"when it refuses the credentials": {&jenkins.Error{Status: 401}, v1alpha1.ReasonEngineUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &uselessJenkins{err: tc.err, begin: time.Now()}
				var o Options
				o.setDefaults()
				e := newEngine(o, u, "http://jenkins", func(types.NamespacedName) {}, func() {})
				e.watch("uid", types.NamespacedName{Namespace: "shop", Name: "app-1"}, jenkins.JobRef{Folder: "shop", Name: "app-1"})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { defer close(ended); e.run(ctx) }()
				<-time.After(time.Hour)
				cancel()
				<-ended
				if n := len(u.asked); n > 130 {
					t.Errorf("it was asked %d times in an hour", n)
				}
				last := time.Duration(0)
				for i, at := range append(u.asked, time.Hour) {
					if gap := at - last; gap > failInterval+time.Second || i > 8 && at < time.Hour && gap < failInterval/2 {
						t.Errorf("asked after %s and then after %s", last, at)
					}
					last = at
				}
				if v := e.view("uid"); v.Down != tc.reason {
					t.Errorf("reason = %s, want %s", v.Down, tc.reason)
				}
			})
		})
	}
}
