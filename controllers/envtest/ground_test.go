package envtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/controllers/pods/podtest"
)

const poolName = "orders-db"

// ground is a namespace with one pool, and what of a cluster the operator needs.
type ground struct {
	namespace string
	network   *podtest.Network
	endpoints []*endpoint
}

// endpoint is a pod in the EndpointSlice.
type endpoint struct {
	*podtest.Pod
	terminating bool
}

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

// newGround makes a namespace.
func newGround(ctx context.Context) *ground {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	Expect(cluster.Create(ctx, namespace)).To(Succeed())
	return &ground{namespace: namespace.Name, network: podtest.NewNetwork()}
}

// standsStill waits until nothing is written any more, although the operator looks at the pool again and again. It is called in
// AfterEach, while operators and pods still run.
func (g *ground) standsStill(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(still Gomega) {
		g.touch(ctx)
		before := g.versions(ctx)
		still.Consistently(func() map[string]string {
			g.poke(ctx)
			return g.versions(ctx)
		}, "2500ms").Should(Equal(before))
	}, "40s").Should(Succeed())
}

// poker is an EndpointSlice that belongs to nobody; a change of it makes the operator look at the pool.
const poker = "poker"

func (g *ground) poke(ctx context.Context) {
	GinkgoHelper()
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta(g.namespace, poker), AddressType: discoveryv1.AddressTypeIPv4}
	slice.Labels = map[string]string{v1alpha1.LabelPool: poolName}
	if err := cluster.Create(ctx, slice); apierrors.IsAlreadyExists(err) {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"example.com/poked":"%d"}}}`, time.Now().UnixNano())
		Expect(cluster.Patch(ctx, slice, client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
	}
}

// touch changes something of each child that means nothing, so that the operator looks at it.
func (g *ground) touch(ctx context.Context) {
	GinkgoHelper()
	for _, child := range g.children() {
		if cluster.Get(ctx, client.ObjectKeyFromObject(child), child) != nil || child.GetLabels()[v1alpha1.LabelPool] == "" {
			continue
		}
		touched := child.DeepCopyObject().(client.Object)
		touched.SetAnnotations(maps.Clone(child.GetAnnotations()))
		if touched.GetAnnotations() == nil {
			touched.SetAnnotations(map[string]string{})
		}
		touched.GetAnnotations()["example.com/touched"] = strconv.FormatInt(time.Now().UnixNano(), 10)
		Expect(client.IgnoreNotFound(cluster.Patch(ctx, touched, client.MergeFrom(child)))).To(Succeed())
	}
}

// versions are the resourceVersions of everything in the namespace.
func (g *ground) versions(ctx context.Context) map[string]string {
	GinkgoHelper()
	versions := map[string]string{}
	for _, list := range []client.ObjectList{
		&v1alpha1.ConnectionPoolList{}, &appsv1.DeploymentList{}, &corev1.ServiceList{}, &corev1.ConfigMapList{},
		&policyv1.PodDisruptionBudgetList{}, &discoveryv1.EndpointSliceList{}, &corev1.EventList{},
	} {
		Expect(cluster.List(ctx, list, client.InNamespace(g.namespace))).To(Succeed())
		Expect(apimeta.EachListItem(list, func(item runtime.Object) error {
			object := item.(client.Object)
			if object.GetName() == poker {
				return nil
			}
			versions[fmt.Sprintf("%T/%s", object, object.GetName())] = object.GetResourceVersion()
			return nil
		})).To(Succeed())
	}
	return versions
}

// newPool is a pool of one destination, "main", with 20 connections, and two pods.
func (g *ground) newPool(change ...func(*v1alpha1.ConnectionPool)) *v1alpha1.ConnectionPool {
	pool := &v1alpha1.ConnectionPool{
		ObjectMeta: meta(g.namespace, poolName),
		Spec: v1alpha1.ConnectionPoolSpec{Destinations: []v1alpha1.Destination{{
			Name:       "main",
			Protocol:   v1alpha1.ProtocolPostgreSQL,
			Endpoints:  []v1alpha1.Endpoint{{Host: "postgres.demo.svc", Port: 5432}},
			Limits:     v1alpha1.Limits{MaxOpen: 20},
			PostgreSQL: v1alpha1.PostgreSQL{Auth: v1alpha1.Auth{UsersSecretRef: v1alpha1.SecretReference{Name: "orders-users"}}},
		}}},
	}
	for _, c := range change {
		c(pool)
	}
	return pool
}

// create makes the pool.
func (g *ground) create(ctx context.Context, change ...func(*v1alpha1.ConnectionPool)) {
	GinkgoHelper()
	Expect(cluster.Create(ctx, g.newPool(change...))).To(Succeed())
}

// change updates the pool.
func (g *ground) change(ctx context.Context, change func(*v1alpha1.ConnectionPool)) {
	GinkgoHelper()
	Expect(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		pool := g.pool(ctx)
		change(pool)
		return cluster.Update(ctx, pool)
	})).To(Succeed())
}

func (g *ground) pool(ctx context.Context) *v1alpha1.ConnectionPool {
	GinkgoHelper()
	return get(ctx, g.namespace, poolName, &v1alpha1.ConnectionPool{})
}

// get reads an object that is there.
func get[T client.Object](ctx context.Context, namespace, name string, into T) T {
	GinkgoHelper()
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)).To(Succeed())
	return into
}

// children are the objects that a pool has, empty.
func (g *ground) children() []client.Object {
	return []client.Object{
		&corev1.Service{ObjectMeta: meta(g.namespace, poolName)},
		&corev1.ConfigMap{ObjectMeta: meta(g.namespace, poolName+"-pooler")},
		&appsv1.Deployment{ObjectMeta: meta(g.namespace, poolName+"-pooler")},
		&policyv1.PodDisruptionBudget{ObjectMeta: meta(g.namespace, poolName+"-pooler")},
	}
}

// awaitChildren waits until all children are there, and returns them.
func (g *ground) awaitChildren(ctx context.Context) []client.Object {
	GinkgoHelper()
	children := g.children()
	for _, child := range children {
		Eventually(func() error { return cluster.Get(ctx, client.ObjectKeyFromObject(child), child) }).Should(Succeed(), "%T", child)
	}
	return children
}

// document is what the ConfigMap holds.
func (g *ground) document(ctx context.Context) plan.Document {
	GinkgoHelper()
	document, err := plan.ParseDocument(get(ctx, g.namespace, poolName+"-pooler", &corev1.ConfigMap{}).Data)
	Expect(err).NotTo(HaveOccurred())
	return document
}

// addPods starts pods and puts them into the EndpointSlice.
func (g *ground) addPods(ctx context.Context, uids ...string) []*podtest.Pod {
	GinkgoHelper()
	var started []*podtest.Pod
	for _, uid := range uids {
		address := fmt.Sprintf("10.0.0.%d:9902", len(g.endpoints)+1)
		pod, err := podtest.Start(g.network, uid, address, authority.PEM())
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(pod.Stop)
		g.endpoints = append(g.endpoints, &endpoint{Pod: pod})
		started = append(started, pod)
	}
	g.publish(ctx)
	return started
}

// terminate marks a pod as leaving; remove takes it away.
func (g *ground) terminate(ctx context.Context, uid string) {
	GinkgoHelper()
	for _, e := range g.endpoints {
		if e.UID == uid {
			e.terminating = true
			e.SetDraining(true)
		}
	}
	g.publish(ctx)
}

func (g *ground) remove(ctx context.Context, uid string) {
	GinkgoHelper()
	g.endpoints = slices.DeleteFunc(g.endpoints, func(e *endpoint) bool { return e.UID == uid })
	g.publish(ctx)
}

// publish plays the EndpointSlice and the Deployment controller: it writes who is there and ready.
func (g *ground) publish(ctx context.Context) {
	GinkgoHelper()
	g.publishSlice(ctx)
	var staying, ready int32
	for _, e := range g.endpoints {
		if e.terminating {
			continue
		}
		staying++
		if e.State().Ready {
			ready++
		}
	}
	Expect(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		deployment := get(ctx, g.namespace, poolName+"-pooler", &appsv1.Deployment{})
		status := appsv1.DeploymentStatus{
			ObservedGeneration: deployment.Generation,
			Replicas:           staying, UpdatedReplicas: staying, ReadyReplicas: ready, AvailableReplicas: ready,
		}
		if equality.Semantic.DeepEqual(deployment.Status, status) {
			return nil
		}
		deployment.Status = status
		return cluster.Status().Update(ctx, deployment)
	})).To(Succeed())
}

func (g *ground) publishSlice(ctx context.Context) {
	GinkgoHelper()
	service := get(ctx, g.namespace, poolName, &corev1.Service{})
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta(g.namespace, poolName+"-1"), AddressType: discoveryv1.AddressTypeIPv4}
	write := cluster.Update
	if cluster.Get(ctx, client.ObjectKeyFromObject(slice), slice) != nil {
		write = func(ctx context.Context, object client.Object, _ ...client.UpdateOption) error {
			return cluster.Create(ctx, object)
		}
	}
	before := slice.DeepCopy()
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: service.Name}
	for key, value := range service.Labels {
		slice.Labels[key] = value
	}
	slice.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(service, corev1.SchemeGroupVersion.WithKind("Service"))}
	slice.Endpoints = nil
	for _, e := range g.endpoints {
		ready := e.State().Ready
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{e.Address[:len(e.Address)-len(":9902")]},
			Conditions: discoveryv1.EndpointConditions{Ready: new(ready && !e.terminating), Serving: new(ready), Terminating: new(e.terminating)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: g.namespace, Name: "pod-" + e.UID, UID: types.UID(e.UID)},
		})
	}
	if asJSON(before) != asJSON(slice) {
		Expect(write(ctx, slice)).To(Succeed())
	}
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// serve waits until the pool is ready with these pods, each as ready as it says it is.
func (g *ground) serve(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(now Gomega) {
		g.publish(ctx)
		now.Expect(condition(g.pool(ctx), v1alpha1.ConditionReady)).To(Equal("True/Ready"))
	}).Should(Succeed())
}

// condition is a condition's status and reason, or nothing.
func condition(pool *v1alpha1.ConnectionPool, kind string) string {
	c := apimeta.FindStatusCondition(pool.Status.Conditions, kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + "/" + c.Reason
}

// conditionOf is the same of the live pool.
func (g *ground) conditionOf(ctx context.Context, kind string) func() string {
	return func() string { return condition(g.pool(ctx), kind) }
}

// bounds is the most connections that all pods together may have of the destination. The latest pod is asked first: while
// connections move to it from the others nothing is counted twice.
func (g *ground) bounds() int32 {
	var sum int32
	for _, e := range slices.Backward(g.endpoints) {
		for _, d := range e.State().Destinations {
			sum += d.Bound()
		}
	}
	return sum
}
