package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
)

// DefaultLeaseDuration is that of Kubernetes' own controllers.
const DefaultLeaseDuration = 15 * time.Second

// Times of a lease, in the proportions of Kubernetes' own controllers: 15, 10 and 2 s.
// Who cannot renew gives up after the deadline, so that there is time for what was begun
// to end before somebody else may take over after the duration. All are measured by each
// process' own clock: the times written in the lease are for people.
func (l *Lease) duration() time.Duration {
	if l.Duration <= 0 {
		return DefaultLeaseDuration
	}
	return max(l.Duration.Truncate(time.Second), time.Second) // the API counts seconds
}

func (l *Lease) renewDeadline() time.Duration { return l.duration() * 2 / 3 }
func (l *Lease) renewPeriod() time.Duration   { return l.duration() * 2 / 15 }

// Lease elects one of several processes, by a Lease object of the API server: the one
// that holds it leads. It takes the place of client-go's leaderelection, which brings
// all 56 API groups along: 12 MiB, a third of hookd.
type Lease struct {
	Clients *Clients
	// Namespace and Name of the Lease.
	Namespace, Name string
	// Identity of this process, unlike any other's, also of this host's next one.
	Identity string
	// Duration is how long the lease of a process that died stays with it, in whole
	// seconds. Default: DefaultLeaseDuration.
	Duration time.Duration
	Log      *slog.Logger
	Clock    clock.WithTicker

	known   *coordinationv1.Lease // as seen last; nil: it does not exist
	changed time.Time             // when it was seen to change, by our clock
	renewed time.Time             // when our last successful renewal was sent
}

var errHeld = errors.New("somebody else holds the lease")

// Lead calls run whenever this process becomes the leader, and cancels its context when
// it is none any more, or when ctx ends:
//
//	waiting ──free, or not renewed for its duration──▶ leading ──ctx ends──▶ run ends ──▶ given back
//	   ▲                                                   │
//	   └──run has ended◀── taken, or not renewed for the deadline
//
// It returns when ctx has ended or run has failed, never before run has returned; only
// then is the lease given back. A process that is halted for longer than the duration,
// and then goes on, may be a second leader for a moment: what a leader does must bear
// that.
func (l *Lease) Lead(ctx context.Context, run func(context.Context) error) error {
	for ctx.Err() == nil {
		err := l.take(ctx)
		if err == nil {
			l.Log.Info("leading", "lease", l.Name, "identity", l.Identity)
			err := l.hold(ctx, run)
			l.Log.Info("not leading", "lease", l.Name, "identity", l.Identity, "error", err)
			if err != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, errHeld) && ctx.Err() == nil {
			l.Log.Warn("lease not taken", "lease", l.Name, "error", err)
		}
		timer := l.Clock.NewTimer(l.renewPeriod() + rand.N(l.renewPeriod()/4))
		select {
		case <-ctx.Done():
		case <-timer.C():
		}
		timer.Stop()
	}
	return nil
}

// hold runs while the lease is renewed.
func (l *Lease) hold(ctx context.Context, run func(context.Context) error) error {
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(work) }()
	ticker := l.Clock.NewTicker(l.renewPeriod())
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			l.giveBack(context.WithoutCancel(ctx))
			return err
		case <-ticker.C(): // also while run ends
			err := l.renew(context.WithoutCancel(ctx))
			switch {
			case err == nil:
				continue
			case errors.Is(err, errHeld), l.Clock.Since(l.renewed) >= l.renewDeadline():
				l.Log.Error("lease lost", "lease", l.Name, "error", err)
				cancel()
				return <-ended
			default:
				l.Log.Warn("lease not renewed", "lease", l.Name, "error", err)
			}
		}
	}
}

// renew takes no longer than there is time.
func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(0, l.renewDeadline()-l.Clock.Since(l.renewed)))
	defer cancel()
	return l.take(ctx)
}

// take takes or renews the lease, or says who holds it. The API server refuses a write
// on top of what is not there any more, so of two who try at once one fails.
func (l *Lease) take(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.renewDeadline()/2)
	defer cancel()
	sent := l.Clock.Now()
	if l.known == nil || !l.ours(l.known) {
		if err := l.look(ctx); err != nil {
			return err
		}
		if l.known != nil && !l.free() {
			return fmt.Errorf("%w: %s", errHeld, ptr.Deref(l.known.Spec.HolderIdentity, ""))
		}
	}
	leases := l.Clients.Leases(l.Namespace)
	var (
		written *coordinationv1.Lease
		err     error
	)
	if l.known == nil {
		written, err = leases.Create(ctx, l.claim(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: l.Name, Namespace: l.Namespace}}), metav1.CreateOptions{})
	} else {
		written, err = leases.Update(ctx, l.claim(l.known.DeepCopy()), metav1.UpdateOptions{})
	}
	switch {
	case err == nil:
		l.known, l.changed, l.renewed = written, l.Clock.Now(), sent
		return nil
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		// Somebody else wrote, or an earlier write of ours arrived whose answer was lost.
		if err := l.look(ctx); err != nil {
			return err
		}
		if l.known != nil && !l.ours(l.known) {
			return fmt.Errorf("%w: %s", errHeld, ptr.Deref(l.known.Spec.HolderIdentity, ""))
		}
		return fmt.Errorf("write lease: %w", err)
	default:
		return fmt.Errorf("write lease: %w", err)
	}
}

// look reads the lease and notes when it changed.
func (l *Lease) look(ctx context.Context) error {
	found, err := l.Clients.Leases(l.Namespace).Get(ctx, l.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		l.known = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("read lease: %w", err)
	}
	if l.known == nil || l.known.ResourceVersion != found.ResourceVersion {
		l.changed = l.Clock.Now()
	}
	l.known = found
	return nil
}

func (l *Lease) ours(lease *coordinationv1.Lease) bool {
	return ptr.Deref(lease.Spec.HolderIdentity, "") == l.Identity
}

func (l *Lease) free() bool {
	s := l.known.Spec
	return ptr.Deref(s.HolderIdentity, "") == "" || l.ours(l.known) ||
		l.Clock.Since(l.changed) > time.Duration(ptr.Deref(s.LeaseDurationSeconds, 0))*time.Second
}

func (l *Lease) claim(lease *coordinationv1.Lease) *coordinationv1.Lease {
	now := metav1.NewMicroTime(l.Clock.Now())
	if !l.ours(lease) {
		lease.Spec.AcquireTime = &now
		lease.Spec.LeaseTransitions = new(ptr.Deref(lease.Spec.LeaseTransitions, -1) + 1)
	}
	lease.Spec.HolderIdentity, lease.Spec.RenewTime = &l.Identity, &now
	lease.Spec.LeaseDurationSeconds = new(int32(l.duration() / time.Second))
	return lease
}

// giveBack lets the next one lead at once. If it fails, they wait for the duration.
func (l *Lease) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.renewDeadline()/2)
	defer cancel()
	lease := l.known.DeepCopy()
	now := metav1.NewMicroTime(l.Clock.Now())
	lease.Spec.HolderIdentity, lease.Spec.RenewTime, lease.Spec.LeaseDurationSeconds = nil, &now, new(int32(1))
	written, err := l.Clients.Leases(l.Namespace).Update(ctx, lease, metav1.UpdateOptions{})
	if err != nil {
		l.Log.Warn("lease not given back", "lease", l.Name, "error", err)
		return
	}
	l.known = written
}
