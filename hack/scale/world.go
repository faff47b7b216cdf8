package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/pods/podtest"
)

const (
	where       = "scale"
	destination = "main"
	maxOpen     = 100
	abreast     = 16 // what this process does at the same time
)

// world is the pools and what of a cluster they need.
type world struct {
	settings
	cluster client.Client
	api     rest.Interface
	fleet   *fleet

	podsOf [][]*podtest.Pod // by pool
	synced []time.Duration
}

func (w *world) begin(ctx context.Context) error {
	for _, name := range []string{where, namespace} {
		if err := w.cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	w.podsOf = make([][]*podtest.Pod, w.pools)
	return nil
}

func nameOf(i int) string { return fmt.Sprintf("pool-%d", i) }

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: where, Name: name} }

// each does something for each of n, some at a time.
func each(n int, do func(i int) error) error {
	var (
		wg   sync.WaitGroup
		errs = make([]error, n)
		next = make(chan int)
	)
	for range min(abreast, n) {
		wg.Go(func() {
			for i := range next {
				errs[i] = do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

// create makes the pools, and their pods when the operator has made their Services; it returns when all are in sync.
func (w *world) create(ctx context.Context) error {
	if err := each(w.pools, func(i int) error { return w.cluster.Create(ctx, pool(i, int32(w.pods))) }); err != nil {
		return err
	}
	if err := each(w.pools, func(i int) error { return w.startPods(ctx, i) }); err != nil {
		return err
	}
	return each(w.pools, func(i int) error { return w.awaitSync(ctx, i, 1) })
}

func pool(i int, pods int32) *v1alpha1.ConnectionPool {
	return &v1alpha1.ConnectionPool{
		ObjectMeta: named(nameOf(i)),
		Spec: v1alpha1.ConnectionPoolSpec{Replicas: &pods, Destinations: []v1alpha1.Destination{{
			Name: destination, Protocol: v1alpha1.ProtocolPostgreSQL,
			Endpoints:  []v1alpha1.Endpoint{{Host: "postgres.demo.svc"}},
			Limits:     v1alpha1.Limits{MaxOpen: maxOpen},
			PostgreSQL: v1alpha1.PostgreSQL{Auth: v1alpha1.Auth{UsersSecretRef: v1alpha1.SecretReference{Name: "users"}}},
		}}},
	}
}

// startPods plays the controllers of Kubernetes for a pool: EndpointSlice and the Deployment's status.
func (w *world) startPods(ctx context.Context, i int) error {
	service, deployment := &corev1.Service{}, &appsv1.Deployment{}
	for !exist(ctx, w.cluster, service, nameOf(i)) || !exist(ctx, w.cluster, deployment, nameOf(i)+"-pooler") {
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("wait for the children of %s: %w", nameOf(i), err)
		}
	}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: named(nameOf(i) + "-1"), AddressType: discoveryv1.AddressTypeIPv4}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: service.Name}
	for key, value := range service.Labels {
		slice.Labels[key] = value
	}
	slice.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(service, corev1.SchemeGroupVersion.WithKind("Service"))}
	for j := range w.pods {
		n := i*w.pods + j
		address, uid := fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255), fmt.Sprintf("uid-%d-%d", i, j)
		w.podsOf[i] = append(w.podsOf[i], w.fleet.add(address+":9902", uid))
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{address},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: where, Name: uid, UID: types.UID(uid)},
		})
	}
	if err := w.cluster.Create(ctx, slice); err != nil {
		return err
	}
	all := int32(w.pods)
	deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: deployment.Generation, Replicas: all, UpdatedReplicas: all, ReadyReplicas: all, AvailableReplicas: all,
	}
	return w.cluster.Status().Update(ctx, deployment)
}

func exist(ctx context.Context, cluster client.Client, object client.Object, name string) bool {
	return cluster.Get(ctx, client.ObjectKey{Namespace: where, Name: name}, object) == nil
}

// awaitSync waits until all pods of a pool run a generation, and share all of its connections.
func (w *world) awaitSync(ctx context.Context, i int, generation int64) error {
	for {
		behind := slices.ContainsFunc(w.podsOf[i], func(p *podtest.Pod) bool { return p.Generation() < generation })
		if !behind && (generation > 1 || w.shared(i) == maxOpen) {
			return nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("wait for the pods of %s: %w", nameOf(i), err)
		}
	}
}

func (w *world) shared(i int) (sum int32) {
	for _, p := range w.podsOf[i] {
		sum += p.Limit(destination)
	}
	return sum
}

// busy lets what pods have open change all the time, while something else goes on.
func (w *world) busy(ctx context.Context, meanwhile func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	var changing sync.WaitGroup
	changing.Go(func() {
		for ctx.Err() == nil {
			for _, pods := range w.podsOf {
				pods[rand.IntN(len(pods))].SetOpen(destination, rand.Int32N(maxOpen/int32(w.pods)+1))
			}
			_ = pause(ctx, time.Second)
		}
	})
	err := meanwhile()
	cancel()
	changing.Wait()
	return err
}

// change changes limits of random pools, ten a second, and notes how long each took to all pods.
func (w *world) change(ctx context.Context) error {
	var (
		mu      sync.Mutex
		waiting sync.WaitGroup
		errs    []error
	)
	for range w.changes {
		i := rand.IntN(w.pools)
		waiting.Go(func() {
			took, err := w.changeOne(ctx, i)
			mu.Lock()
			defer mu.Unlock()
			w.synced, errs = append(w.synced, took), append(errs, err)
		})
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	waiting.Wait()
	return errors.Join(errs...)
}

func (w *world) changeOne(ctx context.Context, i int) (time.Duration, error) {
	for {
		p := &v1alpha1.ConnectionPool{}
		if err := w.cluster.Get(ctx, client.ObjectKey{Namespace: where, Name: nameOf(i)}, p); err != nil {
			return 0, err
		}
		p.Spec.Destinations[0].Limits.MaxOpen = maxOpen/2 + rand.Int32N(maxOpen)
		begin := time.Now()
		err := w.cluster.Update(ctx, p)
		if apierrors.IsConflict(err) { // the operator has written the status meanwhile
			continue
		}
		if err != nil {
			return 0, err
		}
		err = w.awaitSync(ctx, i, p.Generation)
		return time.Since(begin), err
	}
}

// percentile is how long that part of the changes took at most.
func (w *world) percentile(percent int) time.Duration {
	slices.Sort(w.synced)
	if len(w.synced) == 0 {
		return 0
	}
	return w.synced[max(0, (len(w.synced)*percent+99)/100-1)].Round(time.Millisecond)
}
