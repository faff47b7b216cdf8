package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/controllers/pods"
)

// vanish is how long the charge of a pod is held that is gone without having left in order: as long as a database needs
// at most to notice that its peer is dead. Pools set their server connections so that it is.
const vanish = 45 * time.Second

// soon is when to look again after losing a race: the cache needs a moment to catch up.
const soon = 200 * time.Millisecond

// calm is how old what pods said may be while nothing moves: a little more than they are heard anyway.
const calm = plan.Slow + 5*time.Second

// Options of a Reconciler. All are required unless they say otherwise.
type Options struct {
	Client client.Client        // reads from a cache and writes
	Direct client.Reader        // reads past the cache
	Pods   *pods.Client         // talks to pods
	News   *News                // of pods, to be given to Pods
	Events events.EventRecorder // tells people

	ClientCA string // PEM of the control CA, by which pods know the operator
	Image    string // of pooler pods, for pools that name none

	// Vanish is how long the charge of a pod is held that is gone without having left in order. Unset: 45 s.
	Vanish time.Duration
	// Now is the clock. Unset: time.Now.
	Now func() time.Time
}

// Reconciler makes ConnectionPools true.
type Reconciler struct {
	Options
	applier *applier
	memory  *memory
}

// New makes a Reconciler.
func New(options Options) *Reconciler {
	if options.Vanish == 0 {
		options.Vanish = vanish
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Reconciler{
		Options: options,
		applier: &applier{client: options.Client, direct: options.Direct},
		memory:  newMemory(),
	}
}

// Reconcile makes one pass over a pool.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	pool := &v1alpha1.ConnectionPool{}
	err := r.Client.Get(ctx, request.NamespacedName, pool)
	if apierrors.IsNotFound(err) {
		r.forget(request)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("read the ConnectionPool: %w", err)
	}
	if !pool.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // its children go with it
	}
	p := &pass{Reconciler: r, pool: pool, known: r.memory.of(pool, r.Now())}
	if r.comes(request) {
		ctx = patient(ctx)
	}
	return p.result(p.run(ctx))
}

// forget drops what is known of a pool that is gone.
func (r *Reconciler) forget(request ctrl.Request) {
	r.Pods.Meet(request.String(), nil)
	r.memory.forget(request.NamespacedName)
}

// What is looked at first when there is more to look at than can be: pools that change, or whose pods have something to say.
// A pool in calm is only looked at again to renew the numbers of its status; and pools that come may come in a crowd, see lanes.
const (
	urgent = 0
	idle   = handler.LowPriority
)

// result turns the outcome of a pass into when to look again.
func (p *pass) result(err error) (ctrl.Result, error) {
	p.known.trusts = 0
	switch {
	case err == nil && p.pushed: // what pods proved may be given to others at once
		return again(soon, urgent), nil
	case err == nil && p.plan.Requeue == plan.Slow:
		p.known.trusts = calm
		p.memory.settled(p.known)
		return again(plan.Slow, idle), nil
	case err == nil:
		return again(p.plan.Requeue, urgent), nil
	case only(err, errChanged):
		return again(soon, urgent), nil
	case only(err, errChanged, errLeaving):
		return again(plan.Fast, urgent), nil
	default:
		return ctrl.Result{Priority: new(urgent)}, err
	}
}

func again(after time.Duration, priority int) ctrl.Result {
	return ctrl.Result{RequeueAfter: after, Priority: &priority}
}

// only says whether an error is nothing but the ones named.
func only(err error, named ...error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, part := range joined.Unwrap() {
			if !only(part, named...) {
				return false
			}
		}
		return true
	}
	for _, target := range named {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
