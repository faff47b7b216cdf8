package envtest_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/pooler/podapi"
)

var _ = Describe("the status of a pool", func() {
	var g *ground

	BeforeEach(func(ctx context.Context) { g = newGround(ctx) })
	AfterEach(func(ctx context.Context) { g.standsStill(ctx) })

	It("says that it waits before any operator has looked", func(ctx context.Context) {
		g.create(ctx)
		Expect(g.conditionOf(ctx, v1alpha1.ConditionReady)()).To(Equal("Unknown/Pending"))
	})

	It("says what is missing, and then that the pool is ready", func(ctx context.Context) {
		g.startOperator()
		g.create(ctx)
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionReady)).Should(Equal("False/NoPods"))
		Expect(g.conditionOf(ctx, v1alpha1.ConditionAvailable)()).To(Equal("False/NoPods"))
		Expect(g.conditionOf(ctx, v1alpha1.ConditionReconciling)()).To(Equal("True/RollingOut"))
		g.addPods(ctx, "a", "b")
		g.serve(ctx)
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionReconciling)).Should(BeEmpty())

		pool := g.pool(ctx)
		Expect(condition(pool, v1alpha1.ConditionAvailable)).To(Equal("True/EnoughPods"))
		Expect(condition(pool, v1alpha1.ConditionConfigSynced)).To(Equal("True/AllPodsSynced"))
		Expect(condition(pool, v1alpha1.ConditionSaturated)).To(Equal("False/ConnectionsLeft"))
		Expect(condition(pool, v1alpha1.ConditionStalled)).To(BeEmpty())
		Expect(pool.Status.ObservedGeneration).To(Equal(pool.Generation))
		for _, c := range pool.Status.Conditions {
			Expect(c.ObservedGeneration).To(Equal(pool.Generation), c.Type)
		}
		Expect(pool.Status.Address).To(Equal(poolName + "." + g.namespace + ".svc:5432"))
		Expect(pool.Status.Replicas).To(HaveValue(Equal(int32(2))))
		Expect(pool.Status.ReadyReplicas).To(HaveValue(Equal(int32(2))))
		Expect(pool.Status.SyncedReplicas).To(HaveValue(Equal(int32(2))))

		By("showing the connections within the time in which numbers are written")
		Eventually(func() *int32 { return g.pool(ctx).Status.Connections.Limit }).Should(HaveValue(Equal(int32(20))))
		Eventually(func() map[string]int { return g.events(ctx) }).Should(HaveKeyWithValue("Normal/Ready", 1))
	})

	It("does not say that the configuration is synced while a pod refuses it", func(ctx context.Context) {
		g.startOperator()
		g.create(ctx)
		g.awaitChildren(ctx)
		pods := g.addPods(ctx, "a", "b")
		g.serve(ctx)
		pods[1].Refuse("this makes no sense to me")
		g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Destinations[0].Limits.MaxOpen = 10 })
		Eventually(func(now Gomega) {
			pool := g.pool(ctx)
			now.Expect(pool.Status.ObservedGeneration).To(Equal(pool.Generation))
			now.Expect(condition(pool, v1alpha1.ConditionReconciling)).NotTo(BeEmpty())
			now.Expect(pool.Status.SyncedReplicas).To(HaveValue(Equal(int32(1))))
		}).Should(Succeed())
		Expect(pods[0].Limit("main")).To(Equal(int32(5)), "the other pod goes on")
		Expect(g.document(ctx).Ledger.Pods["b"].Destinations["main"].Charge).To(Equal(int32(10)), "and the one that refuses keeps its charge")

		pods[1].Refuse("")
		g.serve(ctx)
		Expect(pods[1].Limit("main")).To(Equal(int32(5)))
	})

	It("says what pods complain of, and tells people once", func(ctx context.Context) {
		g.startOperator()
		g.create(ctx)
		g.awaitChildren(ctx)
		pods := g.addPods(ctx, "a", "b")
		for _, pod := range pods {
			pod.SetProblems(podapi.Problem{Reason: podapi.ReasonSecretMissing, Message: `Secret "orders-users" is missing`})
		}
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionStalled)).Should(Equal("True/SecretMissing"))
		Expect(apimeta.FindStatusCondition(g.pool(ctx).Status.Conditions, v1alpha1.ConditionReady).Message).To(ContainSubstring("orders-users"))
		g.standsStill(ctx)
		Expect(g.events(ctx)).To(HaveKeyWithValue("Warning/SecretMissing", 1))
		for _, pod := range pods {
			pod.SetProblems()
		}
		g.serve(ctx)
	})

	It("says that a destination cannot be reached, for its own reason", func(ctx context.Context) {
		g.startOperator()
		g.create(ctx)
		g.awaitChildren(ctx)
		pods := g.addPods(ctx, "a", "b")
		g.serve(ctx)
		pods[0].SetFault("main", podapi.Problem{Reason: podapi.ReasonAuthenticationFailed, Message: "the server refuses the password"})
		g.touch(ctx)
		reachable := func() string {
			destinations := g.pool(ctx).Status.Destinations
			if len(destinations) == 0 {
				return ""
			}
			c := apimeta.FindStatusCondition(destinations[0].Conditions, v1alpha1.ConditionReachable)
			return string(c.Status) + "/" + c.Reason
		}
		Eventually(reachable).Should(Equal("False/AuthenticationFailed"))
		Eventually(func() map[string]int { return g.events(ctx) }).Should(HaveKeyWithValue("Warning/AuthenticationFailed", 1))
		pods[0].SetFault("main", podapi.Problem{})
		g.touch(ctx)
		Eventually(reachable).Should(Equal("True/Reachable"))
	})

	It("says that there are more pods than connections", func(ctx context.Context) {
		g.startOperator()
		g.create(ctx, func(pool *v1alpha1.ConnectionPool) {
			pool.Spec.Replicas, pool.Spec.Destinations[0].Limits.MaxOpen = new(int32(3)), 2
		})
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionStalled)).Should(Equal("True/BudgetTooSmall"))
		g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Destinations[0].Limits.MaxOpen = 3 })
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionStalled)).Should(BeEmpty())
	})

	It("says that the API server refuses a child", func(ctx context.Context) {
		g.startOperator()
		g.create(ctx, func(pool *v1alpha1.ConnectionPool) {
			pool.Spec.Template.NodeSelector = map[string]string{"not a label!": "x"}
		})
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionStalled)).Should(Equal("True/ApplyFailed"))
		Expect(apimeta.FindStatusCondition(g.pool(ctx).Status.Conditions, v1alpha1.ConditionStalled).Message).To(ContainSubstring("not a label!"))
		g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Template.NodeSelector = nil })
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionStalled)).Should(BeEmpty())
		g.awaitChildren(ctx)
	})

	It("belongs to the operator's field owner", func(ctx context.Context) {
		g.startOperator()
		g.create(ctx)
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionReady)).Should(Equal("False/NoPods"))
		for _, fields := range g.pool(ctx).ManagedFields {
			if fields.Subresource == "status" {
				Expect(fields.Manager).To(Equal(v1alpha1.FieldOwner))
			} else {
				Expect(fields.Manager).NotTo(Equal(v1alpha1.FieldOwner), "the spec is the user's")
			}
		}
	})
})

func inNamespace(g *ground) client.DeleteAllOfOption { return client.InNamespace(g.namespace) }

func ofPool() client.DeleteAllOfOption { return client.HasLabels{v1alpha1.LabelPool} }

func deleteSlices(ctx context.Context, g *ground) error {
	return cluster.DeleteAllOf(ctx, &discoveryv1.EndpointSlice{}, inNamespace(g), ofPool())
}

// strangeSlice is an EndpointSlice with the labels of the pool's Service that does not belong to it.
func strangeSlice(g *ground, pod types.UID) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta(g.namespace, "strange"), AddressType: discoveryv1.AddressTypeIPv4}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: poolName, v1alpha1.LabelPool: poolName}
	slice.Endpoints = []discoveryv1.Endpoint{{
		Addresses: []string{"10.0.9.9"},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: g.namespace, Name: "strange", UID: pod},
	}}
	return slice
}
