//go:build e2e

package e2e_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What load's run and watch print.
type runStats struct {
	Transactions, LetGo, Connects, Errors int64
	SlowestMilliseconds                   int64
	Samples                               []string
}

type watchStats struct {
	Samples, Now, Most int64
	Error              string
}

var _ = Describe("a pool", Ordered, func() {
	const pool = "main-db"
	dsn := fmt.Sprintf("postgres://app:%s@%s.%s.svc:5432/app?sslmode=disable", password, pool, namespace)

	BeforeAll(func() {
		apply(poolManifest(pool, 2, "postgres.demo.svc", "app-users", ""))
		DeferCleanup(removePool, pool) // if the spec that deletes it does not run
		started(pool)
		everyPodAnswers(pool, dsn)
	})

	It("says in one row what it allows and uses", func() {
		row := must("-n", namespace, "get", "connectionpool", pool)
		Expect(row).To(ContainSubstring("DESIRED"))
		Eventually(func() string { return field(pool, ".status.connections.limit") }).Should(Equal(strconv.Itoa(maxOpen)))
		Eventually(func() string { return field(pool, ".status.readyReplicas") }).Should(Equal("2"))
		Expect(condition(pool, "Available")).To(HavePrefix("True/"))
		Expect(condition(pool, "ConfigSynced")).To(HavePrefix("True/"))
	})

	It("serves psql as if it were the database", func() {
		out, err := throughPool("psql", dsn, "-XAtqc", "select current_user || '@' || current_database()")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(Equal("app@app"))
		_, err = throughPool("psql", dsn, "-XAtqc", "select 1/0")
		Expect(err).To(MatchError(ContainSubstring("division by zero")))
	})

	It("refuses a wrong password with PostgreSQL's own words", func() {
		wrong := strings.Replace(dsn, password, "wrong", 1)
		_, err := throughPool("psql", wrong, "-XAtqc", "select 1")
		Expect(err).To(MatchError(ContainSubstring(`password authentication failed for user "app"`)))
	})

	It("carries pgbench, more clients than connections, in the simple and the extended protocol", func() {
		bench := strings.Replace(dsn, "/app?", "/pgbench?", 1)
		_, err := throughPool("pgbench", "-i", "-q", "-s", "1", bench)
		Expect(err).NotTo(HaveOccurred())
		for _, mode := range []string{"simple", "extended"} {
			out, err := throughPool("pgbench", "-n", "-M", mode, "-c", "30", "-t", "20", bench)
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(ContainSubstring("600/600"))
			Expect(out).To(MatchRegexp(`number of failed transactions: 0 `))
		}
	})

	Context("under load", Ordered, func() {
		var run runStats
		noErrors := func() {
			GinkgoHelper()
			Expect(stats("load", &run)).To(Succeed())
			Expect(run.Errors).To(BeZero(), "%v", run.Samples)
			Expect(neverTooMany().Error).To(BeEmpty())
		}

		BeforeAll(func() {
			startLoad(dsn)
			goesOn()
		})
		AfterAll(stopLoad)

		It("scales 2 -> 1 -> 3 -> 1 with zero errors and never more than maxOpen", func() {
			for _, replicas := range []int{1, 3, 1} {
				By(fmt.Sprintf("scaling to %d", replicas))
				must("-n", namespace, "scale", "connectionpool", pool, fmt.Sprintf("--replicas=%d", replicas))
				Eventually(podUIDs, 3*time.Minute).WithArguments(pool).Should(HaveLen(replicas))
				Eventually(func() string { return field(pool, ".status.readyReplicas") }, 3*time.Minute).Should(Equal(strconv.Itoa(replicas)))
				Eventually(func() string { return field(pool, ".status.connections.limit") }, 3*time.Minute).Should(Equal(strconv.Itoa(maxOpen)))
				goesOn()
				noErrors()
			}
		})

		It("changes a limit without a pod restart", func() {
			before := ofPods(pool, uid)
			must("-n", namespace, "patch", "connectionpool", pool, "--type=json", "-p", `[{"op":"replace","path":"/spec/destinations/0/limits/maxOpen","value":4}]`)
			Eventually(func() string { return field(pool, ".status.connections.limit") }).Should(Equal("4"))
			Eventually(func() (int64, error) { var w watchStats; err := stats("watch", &w); return w.Now, err }).Should(BeNumerically("<=", 4))
			must("-n", namespace, "patch", "connectionpool", pool, "--type=json", "-p", fmt.Sprintf(`[{"op":"replace","path":"/spec/destinations/0/limits/maxOpen","value":%d}]`, maxOpen))
			Eventually(func() string { return field(pool, ".status.connections.limit") }).Should(Equal(strconv.Itoa(maxOpen)))
			Expect(podUIDs(pool)).To(Equal(before))
			goesOn()
			noErrors()
		})

		It("rolls its pods with zero errors", func() {
			before := ofPods(pool, uid)
			must("-n", namespace, "patch", "connectionpool", pool, "--type=merge", "-p", `{"spec":{"template":{"annotations":{"example.com/rolled":"yes"}}}}`)
			Eventually(podUIDs, 3*time.Minute).WithArguments(pool).Should(And(HaveLen(1), Not(Equal(before))))
			Eventually(func() string { return condition(pool, "Ready") }, 3*time.Minute).Should(HavePrefix("True/"))
			goesOn()
			noErrors()
		})
	})

	It("never exceeds maxOpen when a pod and the operator die in the middle of a resize", func() {
		startLoad(dsn)
		DeferCleanup(stopLoad)
		must("-n", namespace, "scale", "connectionpool", pool, "--replicas=2")
		Eventually(func() string { return field(pool, ".status.readyReplicas") }).Should(Equal("2"))

		must("-n", namespace, "scale", "connectionpool", pool, "--replicas=3")
		dying := must("-n", namespace, "get", "pods", "-l", "weir.dev/pool="+pool, "-o", "jsonpath={.items[0].metadata.name}")
		must("-n", namespace, "delete", "pod", dying, "--grace-period=1", "--wait=false") // killed before it has let its clients go
		must("-n", "weir-system", "delete", "pods", "--all", "--grace-period=1")

		Eventually(func() string { return field(pool, ".status.readyReplicas") }, 3*time.Minute).Should(Equal("3"))
		Eventually(func() string { return field(pool, ".status.connections.limit") }, 3*time.Minute).Should(Equal(strconv.Itoa(maxOpen)))
		neverTooMany()
		must("-n", namespace, "scale", "connectionpool", pool, "--replicas=1")
		Eventually(podUIDs, 3*time.Minute).WithArguments(pool).Should(HaveLen(1))
	})

	It("never exceeds maxOpen when a container is killed and starts again", func() {
		startLoad(dsn)
		DeferCleanup(stopLoad)
		goesOn()
		before := ofPods(pool, uid)
		killContainer(pool)
		Eventually(podsOf).WithArguments(pool, "(index .status.containerStatuses 0).restartCount").Should(ContainElement("1"))
		Eventually(func() string { return condition(pool, "Ready") }, 3*time.Minute).Should(HavePrefix("True/"))
		goesOn()
		Expect(podUIDs(pool)).To(Equal(before))
		neverTooMany()
	})

	It("waits out a restart of the database", func() {
		uid := must("-n", namespace, "get", "pods", "-l", "app=postgres", "-o", "jsonpath={.items[0].metadata.uid}")
		_, _ = inPostgres("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
		_, _ = kubectl("-n", namespace, "exec", "deploy/postgres", "--", "sh", "-c", "kill -INT 1")
		out, err := throughPool("psql", dsn, "-XAtqc", "select 'served'")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(Equal("served"))
		Expect(must("-n", namespace, "get", "pods", "-l", "app=postgres", "-o", "jsonpath={.items[0].metadata.uid}")).To(Equal(uid))
	})

	It("takes everything with it when it is deleted", func() {
		must("-n", namespace, "delete", "connectionpool", pool, "--timeout=60s")
		Eventually(func() string {
			out, err := kubectl("-n", namespace, "get", "deployments,replicasets,pods,services,configmaps,poddisruptionbudgets,endpointslices", "-l", "weir.dev/pool="+pool, "-o", "name")
			if err != nil {
				return err.Error()
			}
			return out
		}, 3*time.Minute).Should(BeEmpty())
		Eventually(func() (string, error) {
			return inPostgres("select count(*) from pg_stat_activity where usename = 'app'")
		}).Should(Equal("0"))
	})
})

// directly is how the superuser connects to the database, around every pool.
func directly() string {
	secret := must("-n", namespace, "get", "secret", "postgres", "-o", `go-template={{.data.password | base64decode}}`)
	Expect(secret).NotTo(BeEmpty())
	return fmt.Sprintf("postgres://postgres:%s@postgres.%s.svc:5432/postgres?sslmode=disable", secret, namespace)
}

// killContainer kills the process of one of a pool's pods, as the kernel does for want of memory.
func killContainer(pool string) {
	GinkgoHelper()
	node, id := ofPods(pool, ".spec.nodeName")[0], ofPods(pool, "(index .status.containerStatuses 0).containerID")[0]
	id = strings.TrimPrefix(id, "containerd://")
	onNode(node, "sh", "-c", fmt.Sprintf("for p in $(pgrep -x pooler); do ! grep -q %s /proc/$p/cgroup || kill -KILL $p; done", id))
}
