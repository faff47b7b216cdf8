//go:build e2e

package e2e_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("kubectl weir", Ordered, func() {
	const pool = "plugin-db"
	weir := func(args ...string) string {
		GinkgoHelper()
		return must(append([]string{"weir", "-n", namespace}, args...)...)
	}

	BeforeAll(func() {
		apply(poolManifest(pool, 2, "postgres.demo.svc", "app-users", ""))
		DeferCleanup(removePool, pool)
		started(pool)
	})

	It("shows pools from their status", func() {
		Expect(weir("status", pool)).To(MatchRegexp(`(?m)^plugin-db +main +12 .* True +Ready$`))
		Expect(weir("status")).To(ContainSubstring(pool))
	})
	It("shows each pod from its own metrics", func() {
		Expect(weir("top", pool, "--once", "--interval=1s")).To(MatchRegexp(`(?s)DESTINATION.*main +plugin-db-pooler-\S+ +\d+ .*main +plugin-db-pooler-\S+ +\d+ `))
	})
	It("explains a pool that is ready, and one that is not", func() {
		Expect(weir("explain", pool)).To(Equal("Pool plugin-db is ready. Clients connect to plugin-db.demo.svc:5432."))
		apply(poolManifest("plugin-lame", 1, "postgres.demo.svc", "no-such-users", ""))
		DeferCleanup(removePool, "plugin-lame")
		Eventually(func() string { return weir("explain", "plugin-lame") }).Should(And(
			ContainSubstring("is not ready"), ContainSubstring("no-such-users")))
	})
	It("opens the console of a pod", func() {
		must("-n", namespace, "patch", "connectionpool", pool, "--type=json", "-p", `[{"op":"add","path":"/spec/destinations/0/postgresql/console","value":{"adminUsers":["app"]}}]`)
		must("-n", namespace, "wait", "--for=condition=Ready", "connectionpool/"+pool, "--timeout=120s")
		GinkgoT().Setenv("PGPASSWORD", password)
		Eventually(func() (string, error) {
			return kubectl("weir", "-n", namespace, "console", pool, "--user", "app", "-c", "SHOW DATABASES", "-c", "SHOW VERSION")
		}).Should(And(ContainSubstring("force_user"), ContainSubstring("PgBouncer")))
		_, err := kubectl("weir", "-n", namespace, "console", pool, "--user", "nobody", "-c", "SHOW POOLS")
		Expect(err).To(MatchError(ContainSubstring("password authentication failed")))
	})
	It("holds clients and lets them go on", func() {
		Expect(weir("hold", pool, "--drain")).To(ContainSubstring("Held. Clients wait until: kubectl weir resume plugin-db"))
		Expect(weir("explain", pool)).To(ContainSubstring("is not ready"))
		Expect(weir("resume", pool)).To(ContainSubstring("Clients go on."))
		must("-n", namespace, "wait", "--for=condition=Ready", "connectionpool/"+pool, "--timeout=120s")
	})
	It("lets a pod go, as the PodDisruptionBudget allows", func() {
		leaving := must("-n", namespace, "get", "pods", "-l", "weir.dev/pool="+pool, "-o", "jsonpath={.items[0].metadata.name}")
		Expect(weir("drain", leaving)).To(HaveSuffix("Gone."))
		_, err := kubectl("-n", namespace, "get", "pod", leaving)
		Expect(err).To(MatchError(ContainSubstring("NotFound")))
	})
})
