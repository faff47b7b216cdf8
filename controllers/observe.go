package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/controllers/pods"
)

// observe gathers what the plan is made of.
func (p *pass) observe(ctx context.Context) error {
	if err := p.readChildren(ctx); err != nil {
		return err
	}
	found, known, err := p.podsOf(ctx)
	if err != nil {
		return err
	}
	document, err := p.document()
	if err != nil { // the ledger is lost: the plan proves it anew before anything is given out
		logf.FromContext(ctx).Error(err, "the ConfigMap cannot be read; it is written anew")
	}
	p.pods = found
	p.Pods.Meet(p.key(), found)
	p.observation = plan.Observation{
		Pool:       p.pool,
		Document:   document,
		Deployment: own(p.pool, p.deployment),
		PodsKnown:  known,
		ClientCA:   p.ClientCA,
		Image:      p.Image,
		Now:        p.Now(),
		Vanish:     p.Vanish,
	}
	p.heard(p.Pods.Poll(ctx, found, p.known.trusts))
	return nil
}

// heard puts what pods answered into the observation.
func (p *pass) heard(results []pods.Result) {
	p.observation.Pods = make([]plan.Pod, len(results))
	for i, result := range results {
		p.observation.Pods[i] = plan.Pod{
			UID:         result.Pod.UID,
			Name:        result.Pod.Name,
			Address:     result.Pod.Address.String(),
			Ready:       result.Pod.Ready,
			Terminating: result.Pod.Terminating,
			State:       result.State,
			AnsweredAt:  result.At,
			Silent:      result.Err != nil,
		}
	}
}

// readChildren reads the pool's children from the cache, whoever controls them.
func (p *pass) readChildren(ctx context.Context) error {
	var err error
	if p.service, err = read(ctx, p.Client, p.pool.Namespace, p.pool.ServiceName(), &corev1.Service{}); err != nil {
		return err
	}
	if p.deployment, err = read(ctx, p.Client, p.pool.Namespace, p.pool.ChildName(), &appsv1.Deployment{}); err != nil {
		return err
	}
	if p.disruption, err = read(ctx, p.Client, p.pool.Namespace, p.pool.ChildName(), &policyv1.PodDisruptionBudget{}); err != nil {
		return err
	}
	p.configMap, err = p.readConfigMap(ctx)
	return err
}

// readConfigMap reads past the cache when the cache has none or is known to lag: a ledger must not start over for want of a
// look.
func (p *pass) readConfigMap(ctx context.Context) (*corev1.ConfigMap, error) {
	if !p.known.reread {
		cached, err := read(ctx, p.Client, p.pool.Namespace, p.pool.ChildName(), &corev1.ConfigMap{})
		if err != nil || cached != nil {
			return cached, err
		}
	}
	live, err := read(ctx, p.Direct, p.pool.Namespace, p.pool.ChildName(), &corev1.ConfigMap{})
	if err == nil {
		p.known.reread = false
	}
	return live, err
}

// read reads an object; it is nil when there is none.
func read[T client.Object](ctx context.Context, reader client.Reader, namespace, name string, into T) (T, error) {
	var none T
	err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	if apierrors.IsNotFound(err) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("read %T %s/%s: %w", into, namespace, name, err)
	}
	return into, nil
}

// document is what the pool's ConfigMap holds. One that belongs to somebody else holds nothing of this pool.
func (p *pass) document() (plan.Document, error) { return p.known.latest(own(p.pool, p.configMap)) }

// own is the object if the pool controls it, or nil.
func own[T any, P interface {
	*T
	client.Object
}](pool *v1alpha1.ConnectionPool, object P) P {
	if object == nil || !metav1.IsControlledBy(object, pool) {
		return nil
	}
	return object
}

// podsOf finds the pods of the pool. They are known only when there is an EndpointSlice that belongs to the Service of this
// very pool: without one, pods that cannot be seen may well be there. (The EndpointSlice controller keeps an empty one for
// a Service without pods.)
func (p *pass) podsOf(ctx context.Context) (found []pods.Pod, known bool, err error) {
	list := &discoveryv1.EndpointSliceList{}
	err = p.Client.List(ctx, list, client.InNamespace(p.pool.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: p.pool.ServiceName()})
	if err != nil {
		return nil, false, fmt.Errorf("list EndpointSlices of Service %q: %w", p.pool.ServiceName(), err)
	}
	service := own(p.pool, p.service)
	if service == nil || !service.DeletionTimestamp.IsZero() {
		return nil, false, nil
	}
	var own []discoveryv1.EndpointSlice
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], service) {
			own = append(own, list.Items[i])
		}
	}
	return pods.Find(own), len(own) > 0, nil
}
