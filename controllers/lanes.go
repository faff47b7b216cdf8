package controllers

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// lanes is the queue of pools to look at. Pools that come wait beside those in calm, whatever makes the operator look at them:
// so a crowd of new pools cannot keep it from a change of another one.
type lanes struct {
	priorityqueue.PriorityQueue[reconcile.Request]
	comes func(reconcile.Request) bool
}

// lanes is for controller.Options.NewQueue.
func (r *Reconciler) lanes(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	queue := priorityqueue.New(name, func(o *priorityqueue.Opts[reconcile.Request]) { o.RateLimiter = limiter })
	return lanes{queue, r.comes}
}

// comes says whether a pool is new: nobody has seen it at rest.
func (r *Reconciler) comes(request reconcile.Request) bool {
	if known, comes := r.memory.comes(request.NamespacedName); known {
		return comes
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	pool := &v1alpha1.ConnectionPool{}
	return r.Client.Get(ctx, request.NamespacedName, pool) == nil && fresh(pool)
}

// fresh says that no operator has written the status of a pool.
func fresh(pool *v1alpha1.ConnectionPool) bool { return pool.Status.ObservedGeneration == 0 }

func (l lanes) Add(request reconcile.Request) { l.AddWithOpts(priorityqueue.AddOpts{}, request) }

func (l lanes) AddAfter(request reconcile.Request, after time.Duration) {
	l.AddWithOpts(priorityqueue.AddOpts{After: after}, request)
}

func (l lanes) AddRateLimited(request reconcile.Request) {
	l.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, request)
}

func (l lanes) AddWithOpts(o priorityqueue.AddOpts, requests ...reconcile.Request) {
	for _, request := range requests {
		of := o
		if l.comes(request) {
			of.Priority = new(idle)
		}
		l.PriorityQueue.AddWithOpts(of, request)
	}
}
