//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What people do to a pool and its database while clients are at work. No client may notice, and PostgreSQL must never count
// more than maxOpen.
var _ = Describe("a pool at work", Ordered, ContinueOnFailure, func() {
	const pool = "fleet-db"
	var run runStats
	var watched watchStats

	dsn := fmt.Sprintf("postgres://app:%s@%s.%s.svc:5432/app?sslmode=disable", password, pool, namespace)
	patch := func(operations string) {
		GinkgoHelper()
		must("-n", namespace, "patch", "connectionpool", pool, "--type=json", "-p", operations)
	}
	stopPolicy := func(policy string) string {
		return fmt.Sprintf(`{"op":"add","path":"/spec/destinations/0/stopPolicy","value":%q}`, policy)
	}
	settled := func(replicas int) {
		GinkgoHelper()
		Eventually(podUIDs, 4*time.Minute).WithArguments(pool).Should(HaveLen(replicas))
		Eventually(func() string { return field(pool, ".status.readyReplicas") }, 4*time.Minute).Should(Equal(strconv.Itoa(replicas)))
		Eventually(func() string { return field(pool, ".status.connections.limit") }, 4*time.Minute).Should(Equal(strconv.Itoa(maxOpen)))
	}
	scale := func(replicas int) {
		GinkgoHelper()
		must("-n", namespace, "scale", "connectionpool", pool, fmt.Sprintf("--replicas=%d", replicas))
		settled(replicas)
	}
	// Each spec has a load and a watch of its own, and its own count.
	BeforeEach(func() {
		startLoad(dsn)
		goesOn()
	})
	AfterEach(func() {
		defer stopLoad()
		Expect(stats("load", &run)).To(Succeed())
		Expect(run.Errors).To(BeZero(), "%v", run.Samples)
		watched = neverTooMany()
		AddReportEntry("counted", fmt.Sprintf("%d transactions, %d connections let go, slowest %d ms; at most %d server connections of %d",
			run.Transactions, run.LetGo, run.SlowestMilliseconds, watched.Most, maxOpen))
	})

	BeforeAll(func() {
		apply(poolManifest(pool, 2, "postgres.demo.svc", "app-users", ""))
		DeferCleanup(removePool, pool)
		started(pool)
	})

	// acknowledges changes the pool, and returns how long it takes until all pods run the change and the status says so.
	acknowledges := func(operation, path, want string) (took time.Duration) {
		GinkgoHelper()
		begin := time.Now()
		generation := must("-n", namespace, "patch", "connectionpool", pool, "--type=json", "-o", "jsonpath={.metadata.generation}", "-p", "["+operation+"]")
		Eventually(func() string { // one call: kubectl itself takes a while
			return field(pool, `.status.observedGeneration} {.status.conditions[?(@.type=="ConfigSynced")].status} {`+path)
		}, "20s", "50ms").Should(Equal(strings.TrimSpace(fmt.Sprintf("%s True %s", generation, want))))
		took = time.Since(begin).Round(time.Millisecond)
		AddReportEntry("acknowledged", fmt.Sprintf("%s after %s", operation, took))
		return took
	}
	// soon is how long the fastest of two changes may take: the other one may have waited for a busy machine.
	const soon = 2 * time.Second

	It("takes a new limit within two seconds, says so, and restarts no pod", func() {
		before := ofPods(pool, uid)
		var took []time.Duration
		for _, limit := range []int{4, maxOpen} {
			took = append(took, acknowledges(fmt.Sprintf(`{"op":"replace","path":"/spec/destinations/0/limits/maxOpen","value":%d}`, limit),
				".status.destinations[0].maxOpen", strconv.Itoa(limit)))
			Eventually(func() (int64, error) { err := stats("watch", &watched); return watched.Now, err }, "5s").Should(BeNumerically("<=", limit))
		}
		Expect(slices.Min(took)).To(BeNumerically("<", soon))
		Expect(podUIDs(pool)).To(Equal(before))
		goesOn()
	})

	It("holds its clients within two seconds, says so, and lets them go on as soon", func() {
		const isHeld = `.status.conditions[?(@.type=="Held")].status`
		held := acknowledges(stopPolicy("Hold"), isHeld, "True")
		Expect(stats("load", &run)).To(Succeed())
		before := run.Transactions
		Consistently(func() (int64, error) { err := stats("load", &run); return run.Transactions, err }, "3s").Should(Equal(before), "no transaction on hold")
		Expect(min(held, acknowledges(stopPolicy("None"), isHeld, ""))).To(BeNumerically("<", soon))
		goesOn()
	})

	It("outlasts a restart of its database on hold", func() {
		patch("[" + stopPolicy("HoldAndDrain") + "]")
		must("-n", namespace, "wait", "--for=condition=Held", "connectionpool/"+pool, "--timeout=120s")
		Expect(condition(pool, "Held")).To(HavePrefix("True/Drained"))
		Expect(inPostgres("select count(*) from pg_stat_activity where usename = 'app'")).To(Equal("0"))
		const begun = "select pg_postmaster_start_time()"
		before, err := inPostgres("checkpoint; " + begun)
		Expect(err).NotTo(HaveOccurred())
		_, _ = kubectl("-n", namespace, "exec", "deploy/postgres", "--", "pg_ctl", "stop", "-m", "fast", "-W") // ends its own container
		Eventually(inPostgres).WithArguments(begun).ShouldNot(Equal(before))
		must("-n", namespace, "wait", "--for=condition=Ready", "pods", "-l", "app=postgres", "--timeout=120s")
		patch("[" + stopPolicy("None") + "]")
		must("-n", namespace, "wait", "--for=condition=Ready", "connectionpool/"+pool, "--timeout=120s")
		goesOn()
	})

	It("moves to another server on hold", func() {
		by := func(name string) string {
			return fmt.Sprintf(`{"op":"replace","path":"/spec/destinations/0/endpoints","value":[{"host":"%s.%s.svc","port":5432}]}`, name, namespace)
		}
		startServer("other")
		patch("[" + stopPolicy("Hold") + "]")
		must("-n", namespace, "wait", "--for=condition=Held", "connectionpool/"+pool, "--timeout=120s")
		patch("[" + by("other") + "," + stopPolicy("None") + "]")
		Eventually(func() (string, error) { return throughPool("psql", dsn, "-XAtqc", "show cluster_name") }).Should(Equal("other"))
		goesOn()
		patch("[" + by("postgres") + "]") // a change of endpoints needs no hold
		Eventually(func() (string, error) { return throughPool("psql", dsn, "-XAtqc", "show cluster_name") }).Should(BeEmpty())
		goesOn()
	})

	It("scales 1 -> 8 -> 1", func() {
		for _, replicas := range []int{1, 8, 1, 2} {
			scale(replicas)
			goesOn()
		}
	})

	It("lets a node be drained", func() {
		node := ofPods(pool, ".spec.nodeName")[0]
		DeferCleanup(func() { must("uncordon", node) })
		must("drain", node, "--pod-selector=weir.dev/pool="+pool, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s")
		settled(2)
		goesOn()
	})

	It("takes a new password while sessions stay", func() {
		change := func(secret, role string) {
			apply(fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: app-users, namespace: %s}, stringData: {app: %s}}`, namespace, secret))
			_, err := inPostgres(fmt.Sprintf("alter role app password '%s'", role))
			Expect(err).NotTo(HaveOccurred())
		}
		taken := func(secret string) {
			GinkgoHelper()
			everyPodAnswers(pool, strings.Replace(dsn, password, secret, 1))
		}
		DeferCleanup(func() { change(password, password); taken(password) })
		change("a-new-one", "a-new-one")
		taken("a-new-one")
		_, err := throughPool("psql", dsn, "-XAtqc", "select 1")
		Expect(err).To(MatchError(ContainSubstring("password authentication failed")))
		goesOn()
	})

	It("goes on while its operator is replaced, without touching a pod", func() {
		before := ofPods(pool, uid)
		must("-n", "weir-system", "rollout", "restart", "deployment/weir-operator")
		must("-n", "weir-system", "rollout", "status", "deployment/weir-operator", "--timeout=120s")
		patch(`[{"op":"replace","path":"/spec/destinations/0/limits/maxOpen","value":8}]`) // the new one is at work
		Eventually(func() string { return field(pool, ".status.destinations[0].maxOpen") }).Should(Equal("8"))
		patch(fmt.Sprintf(`[{"op":"replace","path":"/spec/destinations/0/limits/maxOpen","value":%d}]`, maxOpen))
		settled(2)
		Expect(podUIDs(pool)).To(Equal(before))
		goesOn()
	})

	It("never exceeds maxOpen under two operators that both believe they lead", func() {
		arguments := must("-n", "weir-system", "get", "deployment", "weir-operator", "-o", "jsonpath={.spec.template.spec.containers[0].args}")
		replicas := must("-n", "weir-system", "get", "deployment", "weir-operator", "-o", "jsonpath={.spec.replicas}")
		set := func(args, replicas string) {
			operations := fmt.Sprintf(`[{"op":"replace","path":"/spec/replicas","value":%s},{"op":"add","path":"/spec/template/spec/containers/0/args","value":%s}]`, replicas, args)
			must("-n", "weir-system", "patch", "deployment", "weir-operator", "--type=json", "-p", operations)
			must("-n", "weir-system", "rollout", "status", "deployment/weir-operator", "--timeout=120s")
		}
		both := `["--leader-election=false"]`
		if arguments != "" {
			both = strings.TrimSuffix(arguments, "]") + `,"--leader-election=false"]`
		} else {
			arguments = "[]"
		}
		DeferCleanup(func() { set(arguments, replicas) })
		set(both, "2")
		for _, replicas := range []int{4, 1, 2} {
			scale(replicas)
			goesOn()
		}
	})

	It("goes on while the API server is away", func() {
		server := must("get", "nodes", "-l", "node-role.kubernetes.io/control-plane", "-o", "jsonpath={.items[0].metadata.name}")
		move := func(from, to string) { onNode(server, "mv", from, to) }
		const manifest, aside = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/kube-apiserver.yaml.aside"
		answers := func() error { _, err := kubectl("get", "--raw", "/readyz", "--request-timeout=2s"); return err }
		move(manifest, aside)
		back := false
		DeferCleanup(func() {
			if !back {
				move(aside, manifest)
			}
		})
		Eventually(answers, "1m").ShouldNot(Succeed())
		Consistently(answers, "20s").ShouldNot(Succeed())
		move(aside, manifest)
		back = true
		Eventually(answers, "2m").Should(Succeed())
		settled(2)
		goesOn()
	})
})

// onNode runs a command on a node of the cluster, which is a container of kind's.
func onNode(node string, command ...string) {
	GinkgoHelper()
	out, err := exec.Command("docker", append([]string{"exec", node}, command...)...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
}

// startServer starts a PostgreSQL with the suite's user beside the demo's. It goes when the spec ends.
func startServer(name string) {
	GinkgoHelper()
	text, err := os.ReadFile("../postgres/postgres.yaml")
	Expect(err).NotTo(HaveOccurred())
	manifest := strings.NewReplacer("metadata: {name: postgres}", "metadata: {name: "+name+"}", "app: postgres", "app: "+name,
		"fsync=off", "fsync=off, -c, cluster_name="+name).Replace(string(text))
	_, err = kubectlWith(manifest, "-n", namespace, "apply", "-f", "-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { _, _ = kubectlWith(manifest, "-n", namespace, "delete", "-f", "-", "--timeout=120s") })
	must("-n", namespace, "rollout", "status", "deployment/"+name, "--timeout=120s")
	for _, sql := range []string{"create role app login password '" + password + "'", "create database app owner app"} {
		Eventually(func() error {
			_, err := kubectl("-n", namespace, "exec", "deploy/"+name, "--", "psql", "-U", "postgres", "-XAtqc", sql)
			return err
		}, "1m").Should(Succeed())
	}
}
