package controllers

import (
	"context"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// The pauses after errors of the API server.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Cache is how the operator keeps copies of objects: of children and EndpointSlices only those that carry the label of a pool
// (EndpointSlices have the labels of their Service), and nobody's managed fields. It holds what is in the given namespaces;
// none: in all.
func Cache(namespaces ...string) cache.Options {
	ofPools := cache.ByObject{Label: hasPool()}
	watched := make(map[string]cache.Config, len(namespaces))
	for _, namespace := range namespaces {
		watched[namespace] = cache.Config{}
	}
	return cache.Options{
		DefaultNamespaces:           watched,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ReaderFailOnMissingInformer: true,
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.Deployment{}:            ofPools,
			&corev1.Service{}:               ofPools,
			&corev1.ConfigMap{}:             ofPools,
			&policyv1.PodDisruptionBudget{}: ofPools,
			&discoveryv1.EndpointSlice{}:    ofPools,
		},
	}
}

func hasPool() labels.Selector {
	requirement, err := labels.NewRequirement(v1alpha1.LabelPool, selection.Exists, nil)
	if err != nil {
		panic(err) // the label is a constant
	}
	return labels.NewSelector().Add(*requirement)
}

// SetupWithManager lets the manager run the Reconciler, over that many pools at a time.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager, concurrency int) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("connectionpool").
		// A change of the spec has a new generation, whether it came by the object itself or by /scale.
		For(&v1alpha1.ConnectionPool{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&policyv1.PodDisruptionBudget{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(poolOfSlice)).
		WatchesRawSource(source.Func(r.News.start)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			EnableWarmup:            new(true),
			NewQueue:                r.lanes,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		}).
		Complete(r)
}

// poolOfSlice is the pool whose Service an EndpointSlice belongs to.
func poolOfSlice(_ context.Context, object client.Object) []reconcile.Request {
	pool := object.GetLabels()[v1alpha1.LabelPool]
	if pool == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: pool}}}
}

// News are pools whose pods have something to say: a source of passes.
type News struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request] // nil before the controller starts
}

// Of asks for a pass over a pool, namespace/name. It is what pods.Options.News is for.
func (n *News) Of(pool string) {
	namespace, name, ok := strings.Cut(pool, "/")
	n.mu.Lock()
	defer n.mu.Unlock()
	if ok && n.queue != nil {
		n.queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
	}
}

// start is a source.Func.
func (n *News) start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = queue
	return nil
}
