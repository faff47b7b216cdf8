package validation

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// patchProtocols sets the protocols that the CRD knows.
func patchProtocols(ctx context.Context, names string) {
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	crd.SetName("connectionpools.weir.dev")
	const path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/destinations/items/properties/protocol/enum"
	patch := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"`+path+`","value":`+names+`}]`))
	Expect(api.Patch(ctx, crd, patch)).To(Succeed())
}

var _ = Describe("a new pool", func() {
	It("is not Ready before the operator has looked, and has the few defaults that are stored", func(ctx SpecContext) {
		pool := minimal()
		Expect(api.Create(ctx, pool)).To(Succeed())

		Expect(pool.Status.Conditions).To(HaveLen(1))
		ready := pool.Status.Conditions[0]
		Expect(ready.Type).To(Equal(v1alpha1.ConditionReady))
		Expect(ready.Status).To(Equal(metav1.ConditionUnknown))
		Expect(ready.Reason).To(Equal(v1alpha1.ReasonPending))

		Expect(pool.Spec.Replicas).To(HaveValue(BeEquivalentTo(v1alpha1.DefaultReplicas)))
		Expect(pool.Spec.Destinations[0].PostgreSQL.PoolMode).To(Equal(v1alpha1.PoolModeTransaction))
		Expect(pool.Spec.Destinations[0].Limits).To(BeZero(), "what is unset stays unset, so that nobody fights over it")
		Expect(pool.Spec.Listener).To(BeZero())
	})

	It("gets a ClusterIP Service when its listener says nothing of it", func(ctx SpecContext) {
		pool := minimal()
		pool.Spec.Listener.TLS.Mode = v1alpha1.ListenerTLSDisabled
		Expect(api.Create(ctx, pool)).To(Succeed())
		Expect(pool.Spec.Listener.ServiceType).To(BeEquivalentTo("ClusterIP"))
	})
})

const immutable = "protocol is immutable; add a destination under a new name instead"

var _ = Describe("a pool that is there", func() {
	It("keeps a destination's protocol", func(ctx SpecContext) {
		pool := minimal()
		Expect(api.Create(ctx, pool)).To(Succeed())
		patchProtocols(ctx, `["PostgreSQL","Other"]`) // there is only one today, so the rule needs another to be seen
		DeferCleanup(patchProtocols, `["PostgreSQL"]`)
		pool.Spec.Destinations[0].Protocol = "Other"
		Eventually(ctx, func() error { return api.Update(ctx, pool) }).
			Should(MatchError(ContainSubstring(immutable)))
	})

	It("is scaled through /scale, which shows pods and selector from the status", func(ctx SpecContext) {
		pool := minimal()
		Expect(api.Create(ctx, pool)).To(Succeed())
		pool.Status.Replicas = new(int32(2))
		pool.Status.Selector = pool.Selector()
		Expect(api.Status().Update(ctx, pool)).To(Succeed())

		scale := &autoscalingv1.Scale{}
		Expect(api.SubResource("scale").Get(ctx, pool, scale)).To(Succeed())
		Expect(scale.Spec.Replicas).To(BeEquivalentTo(2))
		Expect(scale.Status.Replicas).To(BeEquivalentTo(2))
		Expect(scale.Status.Selector).To(Equal("weir.dev/pool=" + pool.Name))

		scale.Spec.Replicas = 30 // above the maxOpen of 20: no rule may fail an autoscaler's write
		Expect(api.SubResource("scale").Update(ctx, pool, client.WithSubResourceBody(scale))).To(Succeed())
		Expect(api.Get(ctx, client.ObjectKeyFromObject(pool), pool)).To(Succeed())
		Expect(pool.Spec.Replicas).To(HaveValue(BeEquivalentTo(30)))
	})

	It("takes a status with everything that the operator says, zeros included", func(ctx SpecContext) {
		pool := minimal()
		Expect(api.Create(ctx, pool)).To(Succeed())
		zero := new(int32(0))
		counts := v1alpha1.ConnectionCounts{Limit: zero, Open: zero, InUse: zero, Waiting: zero}
		condition := metav1.Condition{
			Type: v1alpha1.ConditionReachable, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotTried,
			Message: "no pod has tried", LastTransitionTime: metav1.Now(), ObservedGeneration: 1,
		}
		pool.Status = v1alpha1.ConnectionPoolStatus{
			Conditions: []metav1.Condition{condition}, ObservedGeneration: 1, Selector: "a=b", Address: "pool.default.svc:5432",
			Replicas: zero, ReadyReplicas: zero, SyncedReplicas: zero, Connections: counts,
			Observation: v1alpha1.Observation{Time: metav1.Now(), ReportingReplicas: zero},
			Destinations: []v1alpha1.DestinationStatus{{
				Name: "orders", Conditions: []metav1.Condition{condition}, Connections: counts, PeakInUse: zero, PeakWaiting: zero,
				UtilizationPercent: zero, AcquireWaitP95Milliseconds: zero, AcquireTimeouts: zero,
			}},
		}
		want := pool.Status.DeepCopy()
		Expect(api.Status().Update(ctx, pool)).To(Succeed())
		Expect(pool.Status.Connections).To(Equal(want.Connections))
		Expect(pool.Status.Destinations[0].UtilizationPercent).To(HaveValue(BeZero()))
		Expect(pool.Status.SyncedReplicas).To(HaveValue(BeZero()))
	})
})
