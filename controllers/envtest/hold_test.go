package envtest_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/weir-dev/weir/api/v1alpha1"
)

var _ = Describe("a destination on hold", func() {
	var g *ground

	BeforeEach(func(ctx context.Context) { g = newGround(ctx) })
	AfterEach(func(ctx context.Context) { g.standsStill(ctx) })

	It("is acknowledged when the pods proved that nothing runs, and taken off again", func(ctx context.Context) {
		g.startOperator()
		g.create(ctx)
		g.awaitChildren(ctx)
		pods := g.addPods(ctx, "a", "b")
		g.serve(ctx)
		Expect(g.conditionOf(ctx, v1alpha1.ConditionHeld)()).To(BeEmpty())
		for _, pod := range pods {
			pod.SetOpen("main", 3)
		}
		pods[0].Hold(true)

		hold := func(policy v1alpha1.StopPolicy) {
			g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Destinations[0].StopPolicy = policy })
		}
		hold(v1alpha1.StopPolicyHoldAndDrain)
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionHeld)).Should(Equal("False/Holding"))
		Expect(g.conditionOf(ctx, v1alpha1.ConditionReady)()).To(Equal("False/Held"))
		pods[0].Hold(false)
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionHeld)).Should(Equal("True/Drained"))
		Expect(g.conditionOf(ctx, v1alpha1.ConditionReady)()).To(Equal("False/Held"))
		Expect(g.conditionOf(ctx, v1alpha1.ConditionStalled)()).To(BeEmpty())
		Expect(g.conditionOf(ctx, v1alpha1.ConditionReconciling)()).To(BeEmpty(), "nothing is left to be done")
		Eventually(func() map[string]int { return g.events(ctx) }).Should(HaveKeyWithValue("Normal/Drained", 1))

		hold(v1alpha1.StopPolicyNone)
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionReady)).Should(Equal("True/Ready"))
		Expect(g.conditionOf(ctx, v1alpha1.ConditionHeld)()).To(BeEmpty())
	})
})
