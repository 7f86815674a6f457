package controller

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Times of the lease. A leader that cannot renew gives up after renewDeadline and
// drainTime at the latest, before another one may take over after leaseDuration.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// Lease says which lease it is and who we are.
type Lease struct {
	Config    *rest.Config
	Namespace string
	Name      string
	// Identity of this process, unlike any other's.
	Identity string
	Log      *slog.Logger
}

// Lead calls run whenever this process becomes the leader, and cancels its context when
// it is not any more. It returns when ctx has ended and run has returned; only then is
// the lease given back, so that two leaders never work at once.
func Lead(ctx context.Context, l Lease, run func(context.Context) error) error {
	cfg := rest.CopyConfig(l.Config)
	cfg.Timeout = renewDeadline / 2
	client, err := coordinationv1.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("make client of leases: %w", err)
	}
	for ctx.Err() == nil {
		if err := lead(ctx, l, client, run); err != nil {
			return err
		}
	}
	return nil
}

// lead holds the lease once.
func lead(ctx context.Context, l Lease, client coordinationv1.LeasesGetter, run func(context.Context) error) error {
	candidate, giveBack := context.WithCancel(context.WithoutCancel(ctx))
	defer giveBack()
	started := make(chan struct{})
	ended := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name},
			Client:     client,
			LockConfig: resourcelock.ResourceLockConfig{Identity: l.Identity},
		},
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		ReleaseOnCancel: true, Name: l.Name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				close(started)
				l.Log.Info("leading", "identity", l.Identity)
				both, cancel := context.WithCancelCause(leading)
				stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
				err := run(both)
				stop()
				cancel(nil)
				ended <- err
				giveBack()
			},
			OnStoppedLeading: func() { l.Log.Info("not leading", "identity", l.Identity) },
		},
	})
	if err != nil {
		return fmt.Errorf("take part in the election of a leader: %w", err)
	}
	// Who does not lead gives up at once; who does lets run end first.
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-started:
		default:
			giveBack()
		}
	})
	defer stop()
	elector.Run(candidate)
	select {
	case <-started:
		return <-ended
	default:
		return nil
	}
}
