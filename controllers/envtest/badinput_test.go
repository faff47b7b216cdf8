package envtest_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/pods/podtest"
	"github.com/weir-dev/weir/pooler/podapi"
)

// What people get wrong is told once, as a condition and an event, and nothing is written any more for as long as it lasts.
var _ = DescribeTable("bad input comes to rest, with a reason:", func(ctx context.Context, spec func(*v1alpha1.ConnectionPool), suffer func(*podtest.Pod), reason string) {
	g := newGround(ctx)
	g.startOperator()
	g.create(ctx, spec)
	g.awaitChildren(ctx)
	for _, pod := range g.addPods(ctx, "a", "b") {
		suffer(pod)
	}
	Eventually(func() string {
		g.publish(ctx)
		return condition(g.pool(ctx), v1alpha1.ConditionReady)
	}).Should(Equal("False/" + reason))
	g.standsStill(ctx)
	Expect(g.conditionOf(ctx, v1alpha1.ConditionReady)()).To(Equal("False/" + reason))
	Expect(g.events(ctx)).To(HaveKeyWithValue("Warning/"+reason, 1))
},
	Entry("a Secret that is missing", asIs, problem(podapi.ReasonSecretMissing), v1alpha1.ReasonSecretMissing),
	Entry("a Secret that cannot be used", asIs, problem(podapi.ReasonSecretInvalid), v1alpha1.ReasonSecretInvalid),
	Entry("a port that is taken", asIs, problem(podapi.ReasonListenFailed), v1alpha1.ReasonListenFailed),
	Entry("a database that is not there", asIs, fault(podapi.ReasonUnreachable), v1alpha1.ReasonUnreachable),
	Entry("a wrong password", asIs, fault(podapi.ReasonAuthenticationFailed), v1alpha1.ReasonAuthenticationFailed),
	Entry("a query that finds no users", func(pool *v1alpha1.ConnectionPool) {
		pool.Spec.Destinations[0].PostgreSQL.Auth.Lookup.UserSecretRef.Name = "finder"
	}, func(p *podtest.Pod) { p.SetLookupFault("permission denied for table pg_authid") }, v1alpha1.ReasonLookupFailed),
	Entry("fewer connections than pods", func(pool *v1alpha1.ConnectionPool) { pool.Spec.Destinations[0].Limits.MaxOpen = 1 },
		func(*podtest.Pod) {}, v1alpha1.ReasonBudgetTooSmall),
)

func asIs(*v1alpha1.ConnectionPool) {}

func problem(reason string) func(*podtest.Pod) {
	return func(p *podtest.Pod) { p.SetProblems(podapi.Problem{Reason: reason, Message: "because"}) }
}

func fault(reason string) func(*podtest.Pod) {
	return func(p *podtest.Pod) { p.SetFault("main", podapi.Problem{Reason: reason, Message: "because"}) }
}
