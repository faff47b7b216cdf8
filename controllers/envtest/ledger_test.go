package envtest_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/pods/podtest"
)

var _ = Describe("the shares of pods", func() {
	var g *ground
	var main *operator
	const maxOpen = 20

	BeforeEach(func(ctx context.Context) {
		g = newGround(ctx)
		main = g.startOperator()
		g.create(ctx)
		g.awaitChildren(ctx)
	})
	AfterEach(func(ctx context.Context) { g.standsStill(ctx) })

	limits := func(pods ...*podtest.Pod) func() []int32 {
		return func() []int32 {
			all := []int32{}
			for _, pod := range pods {
				all = append(all, pod.Limit("main"))
			}
			return all
		}
	}
	charge := func(ctx context.Context, uid string) func() int32 {
		return func() int32 { return g.document(ctx).Ledger.Pods[uid].Destinations["main"].Charge }
	}
	charged := func(ctx context.Context) int32 { return g.document(ctx).Ledger.Charged("main") }

	It("are equal and sum up to maxOpen", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b", "c")
		Eventually(limits(pods...)).Should(ConsistOf(int32(7), int32(7), int32(6)))
		Expect(charged(ctx)).To(Equal(int32(maxOpen)))
	})

	It("move to a new pod only when the others have let go", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b")
		Eventually(limits(pods...)).Should(Equal([]int32{10, 10}))
		for _, pod := range pods {
			pod.Hold(true) // all connections are in a transaction
			pod.SetOpen("main", 10)
			pod.SetWanted("main", 20)
		}
		late := g.addPods(ctx, "c")[0]
		late.SetWanted("main", 20)

		By("shrinking first")
		Eventually(limits(pods...)).Should(ConsistOf(int32(7), int32(7)))
		Consistently(func(now Gomega) {
			now.Expect(late.Limit("main")).To(BeZero())
			now.Expect(g.bounds()).To(BeNumerically("<=", maxOpen))
		}, "2s").Should(Succeed())

		By("giving what the first one gave back")
		pods[0].Hold(false)
		Eventually(limits(late)).Should(Equal([]int32{3}))
		Expect(g.bounds()).To(BeNumerically("<=", maxOpen))

		By("and then the rest")
		pods[1].Hold(false)
		Eventually(limits(append(pods, late)...)).Should(ConsistOf(int32(7), int32(7), int32(6)))
		Expect(g.bounds()).To(BeNumerically("<=", maxOpen))
	})

	It("stay charged to a pod that cannot be reached", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b")
		Eventually(limits(pods...)).Should(Equal([]int32{10, 10}))
		pods[1].Stop() // its process goes on, for all that anybody knows
		late := g.addPods(ctx, "c")[0]
		Eventually(limits(pods[0], late)).Should(Equal([]int32{5, 5}))
		Consistently(charge(ctx, "b"), "4s").Should(Equal(int32(10)))
		Expect(charged(ctx)).To(BeNumerically("<=", maxOpen))

		By("and move on when it is back and others need them")
		Expect(pods[1].Restart()).To(Succeed())
		late.SetWanted("main", 9)
		Eventually(limits(late)).Should(ContainElement(BeNumerically(">=", 9)))
		Expect(charged(ctx)).To(BeNumerically("<=", maxOpen))
	})

	It("follow demand within two seconds, although a pool in calm is looked at every ten", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b")
		g.serve(ctx)
		g.standsStill(ctx)
		polls := pods[0].Polls()
		Consistently(func() int { return pods[0].Polls() }, "2s").Should(BeNumerically("<=", polls+1), "nobody polls in calm")
		pods[0].SetWanted("main", 17)
		Eventually(limits(pods...), "2s").Should(Equal([]int32{18, 2}))
		Expect(g.bounds()).To(BeNumerically("<=", maxOpen))
		pods[1].SetWanted("main", 30)
		Eventually(limits(pods...), "2s").Should(Equal([]int32{10, 10}))
		pods[0].SetWanted("main", 4)
		Eventually(limits(pods...), "2s").Should(Equal([]int32{4, 16}))
		Expect(charged(ctx)).To(BeNumerically("<=", maxOpen))
	})

	It("come back at once from a pod that leaves in order", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b")
		Eventually(limits(pods...)).Should(Equal([]int32{10, 10}))
		pods[1].SetOpen("main", 4)
		g.terminate(ctx, "b")
		Eventually(limits(pods[0])).Should(Equal([]int32{16}))
		pods[1].SetOpen("main", 0)
		Eventually(limits(pods[0])).Should(Equal([]int32{maxOpen}))
		pods[1].Stop()
		g.remove(ctx, "b")
		Eventually(func() map[string]bool {
			named := map[string]bool{}
			for uid := range g.document(ctx).Ledger.Pods {
				named[uid] = true
			}
			return named
		}).Should(Equal(map[string]bool{"a": true}))
	})

	It("come back from a pod that vanished when the database must have noticed", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b")
		Eventually(limits(pods...)).Should(Equal([]int32{10, 10}))
		pods[1].Stop()
		g.remove(ctx, "b")
		Consistently(charge(ctx, "b"), "1500ms").Should(Equal(int32(10)))
		Eventually(limits(pods[0])).Should(Equal([]int32{maxOpen}))
	})

	It("stand still while the pool's pods cannot be seen", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b")
		Eventually(limits(pods...)).Should(Equal([]int32{10, 10}))
		ledger := g.document(ctx).Ledger
		By("deleting the Service and its EndpointSlice, as the garbage collector would")
		Expect(cluster.DeleteAllOf(ctx, &corev1.Service{}, inNamespace(g), ofPool())).To(Succeed())
		Expect(deleteSlices(ctx, g)).To(Succeed())
		Consistently(func() any { return g.document(ctx).Ledger }, "5s").Should(Equal(ledger))
		g.publish(ctx)
		Consistently(limits(pods...), "1s").Should(Equal([]int32{10, 10}))
	})

	It("survive a restart of the operator, which changes nothing", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b")
		g.serve(ctx)
		g.standsStill(ctx)
		main.stop()
		before := g.versions(ctx)
		pushes := pods[0].Pushes()
		g.startOperator()
		Consistently(func() map[string]string { return g.versions(ctx) }, "3s").Should(Equal(before))
		Expect(pods[0].Pushes()).To(Equal(pushes))
	})

	It("are proved anew by an operator that finds no ledger", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b")
		Eventually(limits(pods...)).Should(Equal([]int32{10, 10}))
		version := g.document(ctx).Ledger.Version
		main.stop()
		Expect(cluster.Delete(ctx, get(ctx, g.namespace, poolName+"-pooler", &corev1.ConfigMap{}))).To(Succeed())
		late := g.addPods(ctx, "c")[0]
		g.startOperator()
		Eventually(func(now Gomega) {
			Expect(g.bounds()).To(BeNumerically("<=", maxOpen))
			now.Expect(limits(append(pods, late)...)()).To(ConsistOf(int32(7), int32(7), int32(6)))
		}).Should(Succeed())
		Expect(g.document(ctx).Ledger.Version).To(BeNumerically(">", version))
	})

	It("never sum up to more than maxOpen while two operators work", func(ctx context.Context) {
		g.startOperator()
		pods := g.addPods(ctx, "a", "b")
		Eventually(limits(pods...)).Should(Equal([]int32{10, 10}))
		versions := []int64{g.document(ctx).Ledger.Version}
		for step, uid := range []string{"c", "d", "e", "f"} {
			if step%2 == 0 {
				g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Replicas = new(int32(3 + step)) })
			}
			pods = append(pods, g.addPods(ctx, uid)...)
			Eventually(func(now Gomega) {
				Expect(g.bounds()).To(BeNumerically("<=", maxOpen)) // a failure here is final
				Expect(charged(ctx)).To(BeNumerically("<=", maxOpen))
				for _, limit := range limits(pods...)() {
					now.Expect(limit).To(BeNumerically(">=", maxOpen/len(pods)))
				}
			}).Should(Succeed())
			versions = append(versions, g.document(ctx).Ledger.Version)
		}
		Expect(versions).To(HaveLen(5))
		for i := range versions[1:] {
			Expect(versions[i+1]).To(BeNumerically(">", versions[i]))
		}
	})

	It("reach the pods although somebody writes to the ConfigMap all the time", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b")
		Eventually(limits(pods...)).Should(Equal([]int32{10, 10}))
		for range 20 { // somebody else writes to the ConfigMap all the time
			g.touch(ctx)
			g.change(ctx, func(pool *v1alpha1.ConnectionPool) { pool.Spec.Destinations[0].Limits.IdleTimeoutSeconds++ })
		}
		Eventually(func() int32 { return g.document(ctx).Config.Destinations[0].Limits.IdleTimeoutSeconds }).Should(Equal(int32(20)))
		Eventually(func() int64 { return pods[0].State().Ledger }).Should(Equal(g.document(ctx).Ledger.Version))
	})

	It("are for pods of this pool's Service only", func(ctx context.Context) {
		pods := g.addPods(ctx, "a", "b")
		Eventually(limits(pods...)).Should(Equal([]int32{10, 10}))
		By("showing a pod in a slice that claims the Service and does not belong to it")
		stranger, err := podtest.Start(g.network, "stranger", "10.0.9.9:9902", authority.PEM())
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(stranger.Stop)
		Expect(cluster.Create(ctx, strangeSlice(g, types.UID(stranger.UID)))).To(Succeed())
		Consistently(limits(append(pods, stranger)...), "2s").Should(Equal([]int32{10, 10, 0}))
		Expect(get(ctx, g.namespace, poolName+"-pooler", &appsv1.Deployment{}).Spec.Replicas).To(HaveValue(Equal(int32(2))))
	})
})
