package envtest_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/pooler/podapi"
)

var _ = Describe("the children of a pool", func() {
	var g *ground

	BeforeEach(func(ctx context.Context) {
		g = newGround(ctx)
		g.startOperator()
	})
	AfterEach(func(ctx context.Context) { g.standsStill(ctx) })

	It("are made, belong to the pool, and are written by one field owner", func(ctx context.Context) {
		g.create(ctx)
		pool := g.pool(ctx)
		for _, child := range g.awaitChildren(ctx) {
			owner := metav1.GetControllerOf(child)
			Expect(owner).NotTo(BeNil(), "%T", child)
			Expect(*owner).To(Equal(metav1.OwnerReference{
				APIVersion: "weir.dev/v1alpha1", Kind: "ConnectionPool", Name: pool.Name, UID: pool.UID, Controller: new(true),
			}))
			Expect(child.GetLabels()).To(HaveKeyWithValue(v1alpha1.LabelPool, poolName))
			Expect(child.GetFinalizers()).To(BeEmpty())
			for _, fields := range child.GetManagedFields() {
				if fields.Subresource == "" {
					Expect(fields.Manager).To(Equal(v1alpha1.FieldOwner), "%T", child)
					Expect(fields.Operation).To(Equal(metav1.ManagedFieldsOperationApply), "%T", child)
				}
			}
		}
		Expect(pool.Finalizers).To(BeEmpty())
	})

	It("are as the defaults of the API say", func(ctx context.Context) {
		g.create(ctx)
		g.awaitChildren(ctx)
		deployment := get(ctx, g.namespace, poolName+"-pooler", &appsv1.Deployment{})
		Expect(*deployment.Spec.Replicas).To(Equal(int32(2)))
		Expect(deployment.Spec.Template.Spec.Containers[0].Image).To(Equal(operatorImage))
		Expect(*deployment.Spec.Template.Spec.AutomountServiceAccountToken).To(BeFalse())
		service := get(ctx, g.namespace, poolName, &corev1.Service{})
		Expect(service.Spec.Ports).To(ConsistOf(HaveField("Port", int32(5432))))
		disruption := get(ctx, g.namespace, poolName+"-pooler", &policyv1.PodDisruptionBudget{})
		Expect(*disruption.Spec.MaxUnavailable).To(Equal(intstr.FromInt32(1)))
		config := g.document(ctx).Config
		Expect(config.Pool).To(Equal(g.namespace + "/" + poolName))
		Expect(config.ClientCA).To(Equal(authority.PEM()))
		Expect(config.Destinations[0].Limits.AcquireTimeoutMilliseconds).To(Equal(int32(30_000)))
		Expect(config.Shares).To(BeEmpty())
	})

	DescribeTable("are made again when somebody deletes one", func(ctx context.Context, which int) {
		g.create(ctx)
		g.awaitChildren(ctx)
		g.addPods(ctx, "a", "b")
		g.serve(ctx)
		ledger := g.document(ctx).Ledger
		child := g.children()[which]
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(child), child)).To(Succeed())
		before := child.GetUID()
		Expect(cluster.Delete(ctx, child)).To(Succeed())
		Eventually(func() (string, error) {
			err := cluster.Get(ctx, client.ObjectKeyFromObject(child), child)
			return string(child.GetUID()), err
		}).ShouldNot(Equal(string(before)))

		By("keeping what pods are charged with, in a ledger that was not deleted, and giving it to them again in one that was")
		if which != 1 {
			Expect(g.document(ctx).Ledger).To(Equal(ledger))
		}
		g.serve(ctx)
		Eventually(func(now Gomega) {
			again := g.document(ctx).Ledger
			for uid, account := range ledger.Pods {
				now.Expect(again.Pods[uid].Destinations["main"].Charge).To(Equal(account.Destinations["main"].Charge))
			}
		}).Should(Succeed())
	},
		Entry("Service", 0), Entry("ConfigMap", 1), Entry("Deployment", 2), Entry("PodDisruptionBudget", 3))

	It("are mended when somebody changes them", func(ctx context.Context) {
		g.create(ctx)
		g.awaitChildren(ctx)
		deployment := get(ctx, g.namespace, poolName+"-pooler", &appsv1.Deployment{})
		deployment.Spec.Replicas = new(int32(7))
		Expect(cluster.Update(ctx, deployment)).To(Succeed())
		service := get(ctx, g.namespace, poolName, &corev1.Service{})
		service.Spec.Selector = map[string]string{"app": "other"}
		delete(service.Labels, v1alpha1.LabelPool) // out of the sight of the operator's cache
		Expect(cluster.Update(ctx, service)).To(Succeed())
		Eventually(func(now Gomega) {
			now.Expect(*get(ctx, g.namespace, poolName+"-pooler", deployment).Spec.Replicas).To(Equal(int32(2)))
			now.Expect(get(ctx, g.namespace, poolName, service).Spec.Selector).To(Equal(map[string]string{v1alpha1.LabelPool: poolName}))
			now.Expect(service.Labels).To(HaveKey(v1alpha1.LabelPool))
		}).Should(Succeed())
	})

	It("keep what somebody else adds", func(ctx context.Context) {
		g.create(ctx)
		g.awaitChildren(ctx)
		service := get(ctx, g.namespace, poolName, &corev1.Service{})
		service.Annotations = map[string]string{"example.com/dns": "orders.example.com"}
		Expect(cluster.Update(ctx, service)).To(Succeed())
		g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Destinations[0].ListenPort = 6543 })
		Eventually(func() int32 { return get(ctx, g.namespace, poolName, service).Spec.Ports[0].Port }).Should(Equal(int32(6543)))
		Expect(service.Annotations).To(HaveKey("example.com/dns"))
	})

	It("lose what the spec no longer says", func(ctx context.Context) {
		g.create(ctx, func(pool *v1alpha1.ConnectionPool) {
			pool.Spec.Template.NodeSelector = map[string]string{"disk": "fast"}
		})
		g.awaitChildren(ctx)
		g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Template.NodeSelector = nil })
		Eventually(func() map[string]string {
			return get(ctx, g.namespace, poolName+"-pooler", &appsv1.Deployment{}).Spec.Template.Spec.NodeSelector
		}).Should(BeEmpty())
	})

	It("follow /scale, and /scale shows the pods", func(ctx context.Context) {
		g.create(ctx)
		g.awaitChildren(ctx)
		g.addPods(ctx, "a", "b")
		g.serve(ctx)
		scale := &autoscalingv1.Scale{}
		Expect(cluster.SubResource("scale").Get(ctx, g.pool(ctx), scale)).To(Succeed())
		Expect(scale.Spec.Replicas).To(Equal(int32(2)))
		Expect(scale.Status.Replicas).To(Equal(int32(2)))
		Expect(scale.Status.Selector).To(Equal(v1alpha1.LabelPool + "=" + poolName))
		scale.Spec.Replicas = 5
		Expect(cluster.SubResource("scale").Update(ctx, g.pool(ctx), client.WithSubResourceBody(scale))).To(Succeed())
		Eventually(func() int32 {
			return *get(ctx, g.namespace, poolName+"-pooler", &appsv1.Deployment{}).Spec.Replicas
		}).Should(Equal(int32(5)))
	})

	It("change only in their ConfigMap when a limit changes, and pods hear of it at once", func(ctx context.Context) {
		g.create(ctx)
		g.awaitChildren(ctx)
		pods := g.addPods(ctx, "a", "b")
		g.serve(ctx)
		ledger := g.document(ctx).Ledger.Version
		before := map[string]int64{}
		for _, child := range g.awaitChildren(ctx) {
			before[child.GetName()+"/"+string(child.GetUID())] = child.GetGeneration()
		}
		g.change(ctx, func(pool *v1alpha1.ConnectionPool) {
			pool.Spec.Destinations[0].Limits = v1alpha1.Limits{MaxOpen: 8, IdleTimeoutSeconds: 60}
		})
		Eventually(func() []int32 { return []int32{pods[0].Limit("main"), pods[1].Limit("main")} }).Should(Equal([]int32{4, 4}))
		Expect(g.document(ctx).Ledger.Version).To(BeNumerically(">", ledger))
		Expect(g.document(ctx).Config.Destinations[0].Limits.IdleTimeoutSeconds).To(Equal(int32(60)))
		for _, child := range g.awaitChildren(ctx) {
			Expect(before).To(HaveKeyWithValue(child.GetName()+"/"+string(child.GetUID()), child.GetGeneration()))
		}
	})

	It("keep their image when the operator is another", func(ctx context.Context) {
		g.create(ctx)
		g.awaitChildren(ctx)
		g.startOperatorWith("example.com/weir:2")
		image := func() string {
			return get(ctx, g.namespace, poolName+"-pooler", &appsv1.Deployment{}).Spec.Template.Spec.Containers[0].Image
		}
		Consistently(image, "2s").Should(Equal(operatorImage))
	})

	It("hold no secret", func(ctx context.Context) {
		Expect(cluster.Create(ctx, &corev1.Secret{ObjectMeta: meta(g.namespace, "orders-users"), StringData: map[string]string{"orders": "hidden-treasure"}})).To(Succeed())
		g.create(ctx)
		for _, child := range g.awaitChildren(ctx) {
			Expect(asJSON(child)).NotTo(ContainSubstring("hidden-treasure"))
			Expect(asJSON(child)).NotTo(ContainSubstring("PRIVATE KEY"))
		}
		Expect(get(ctx, g.namespace, poolName+"-pooler", &corev1.ConfigMap{}).Data).To(HaveKey(podapi.ConfigKey))
	})
})
