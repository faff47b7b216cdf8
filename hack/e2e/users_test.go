//go:build e2e

package e2e_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What maxOpenPerUser promises: each of two pods opens its part of it, and both together never more. The part is one for each,
// however the connections of the pool move between them.
var _ = Describe("a pool with a limit for each user", func() {
	const (
		pool  = "users-db"
		most  = 2
		pods  = 2
		count = "select coalesce(string_agg(n::text, ' '), '') from (select count(*) n from pg_stat_activity where usename = 'app' group by client_addr) parts"
	)

	It("opens that many as one user over all its pods, and never more", func() {
		dsn := fmt.Sprintf("postgres://app:%s@%s.%s.svc:5432/app?sslmode=disable", password, pool, namespace)
		apply(poolManifest(pool, pods, "postgres.demo.svc", "app-users", fmt.Sprintf(", maxOpenPerUser: %d", most)))
		DeferCleanup(removePool, pool)
		started(pool)
		everyPodAnswers(pool, dsn)

		By("wanting more than that at each pod")
		var clients []string
		DeferCleanup(func() {
			must(append([]string{"-n", namespace, "delete", "pod", "--ignore-not-found", "--timeout=60s", "watch"}, clients...)...)
		})
		for i, ip := range ofPods(pool, ".status.podIP") {
			name := fmt.Sprintf("load-%d", i)
			apply(clientPod(name, "localhost/weir-e2e:dev", "/load", "run", "--clients", "12", "--dsn",
				fmt.Sprintf("postgres://app:%s@%s:5432/app?sslmode=disable", password, ip)))
			clients = append(clients, name)
		}

		By("counting in PostgreSQL")
		Eventually(func() (string, error) { return inPostgres(count) }, "1m").Should(Equal("1 1"), "connections by pod")
		apply(clientPod("watch", "localhost/weir-e2e:dev", "/load", "watch", "--user", "app", "--dsn", directly()))
		must("-n", namespace, "wait", "--for=condition=Ready", "pod/watch", "--timeout=120s")
		var watched watchStats
		Eventually(func() (int64, error) { err := stats("watch", &watched); return watched.Samples, err }, "1m").Should(BeNumerically(">", 400))
		Expect(watched.Most).To(BeEquivalentTo(most))
		for _, name := range clients {
			var run runStats
			Expect(stats(name, &run)).To(Succeed())
			Expect(run.Errors).To(BeZero(), "%v", run.Samples)
			Expect(run.Transactions).To(BeNumerically(">", 500))
		}
	})
})
