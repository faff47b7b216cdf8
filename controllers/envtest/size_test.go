package envtest_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
	ac "github.com/weir-dev/weir/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

var _ = Describe("the sizes of a pool", func() {
	var g *ground

	BeforeEach(func(ctx context.Context) { g = newGround(ctx) })
	AfterEach(func(ctx context.Context) { g.standsStill(ctx) })

	destination := func(name string, port int32) *ac.DestinationApplyConfiguration {
		return ac.Destination().WithName(name).WithProtocol(v1alpha1.ProtocolPostgreSQL).WithListenPort(port).
			WithEndpoints(ac.Endpoint().WithHost("postgres.demo.svc")).
			WithPostgreSQL(ac.PostgreSQL().WithAuth(ac.Auth().WithUsersSecretRef(ac.SecretReference().WithName("users"))))
	}
	apply := func(ctx context.Context, owner string, spec *ac.ConnectionPoolSpecApplyConfiguration) {
		GinkgoHelper()
		pool := ac.ConnectionPool(poolName, g.namespace).WithSpec(spec)
		Expect(cluster.Apply(ctx, pool, client.FieldOwner(owner))).To(Succeed())
	}
	shared := func(ctx context.Context) func() int32 {
		return func() int32 { return g.document(ctx).Ledger.Charged("main") }
	}

	It("are an autoscaler's, while the rest is GitOps's, and neither fights the other", func(ctx context.Context) {
		g.startOperator()
		apply(ctx, "gitops", ac.ConnectionPoolSpec().WithDestinations(destination("main", 5432), destination("extra", 5433)))
		g.awaitChildren(ctx)
		g.addPods(ctx, "a", "b")
		g.serve(ctx)
		Eventually(shared(ctx)).Should(Equal(int32(20)))

		apply(ctx, "autoscaler", ac.ConnectionPoolSpec().WithSizes(
			ac.Size().WithDestination("main").WithMaxOpen(12), ac.Size().WithDestination("extra").WithMaxOpen(3)))
		Eventually(shared(ctx)).Should(Equal(int32(12)))
		Eventually(func() *int32 { return g.pool(ctx).Status.Destinations[0].MaxOpen }).Should(HaveValue(Equal(int32(12))))

		By("removing a destination that has a size")
		apply(ctx, "gitops", ac.ConnectionPoolSpec().WithDestinations(destination("main", 5432)))
		Expect(g.pool(ctx).Spec.Destinations).To(HaveLen(1), "the autoscaler leaves no stub behind")
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionSizesIgnored)).Should(Equal("True/UnknownDestination"))
		g.serve(ctx)

		By("taking the sizes away")
		apply(ctx, "autoscaler", ac.ConnectionPoolSpec())
		Eventually(shared(ctx)).Should(Equal(int32(20)))
		Eventually(g.conditionOf(ctx, v1alpha1.ConditionSizesIgnored)).Should(BeEmpty())
	})

	It("move by themselves, are kept for the next operator, and never written to the spec", func(ctx context.Context) {
		main := g.startOperator()
		g.create(ctx, func(pool *v1alpha1.ConnectionPool) {
			pool.Spec.Destinations[0].Limits.Autoscale = &v1alpha1.Autoscale{MinOpen: 4}
		})
		g.awaitChildren(ctx)
		g.addPods(ctx, "a", "b")
		g.serve(ctx)
		Eventually(shared(ctx)).Should(Equal(int32(20)))
		Expect(g.document(ctx).Sizes["main"].Limit).To(Equal(int32(20)))
		generation := g.pool(ctx).Generation
		Eventually(func() int64 { return g.document(ctx).Sizes["main"].LowSince }, "20s").ShouldNot(BeZero(), "a lower limit is in sight")
		kept := g.document(ctx).Sizes["main"]
		main.stop()
		g.startOperator()
		g.poke(ctx)
		Consistently(func() any { return g.document(ctx).Sizes["main"] }, "2s").Should(Equal(kept))
		Expect(g.pool(ctx).Generation).To(Equal(generation))
	})
})
