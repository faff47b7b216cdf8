//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// A HorizontalPodAutoscaler of the samples, fed by metrics-server with what the pods really use.
var _ = Describe("a HorizontalPodAutoscaler", func() {
	const pool = "scaled-db"
	dsn := fmt.Sprintf("postgres://app:%s@%s.%s.svc:5432/app?sslmode=disable", password, pool, namespace)

	It("adds pods when they are busy and takes them away when they are not, and no client notices", func() {
		metrics := readFile("metrics-server.yaml")
		apply(metrics)
		DeferCleanup(func() {
			_, err := kubectlWith(metrics, "delete", "-f", "-", "--timeout=60s")
			Expect(err).NotTo(HaveOccurred())
		})
		must("-n", "kube-system", "rollout", "status", "deployment/metrics-server", "--timeout=120s")

		apply(strings.Replace(poolManifest(pool, 1, "postgres.demo.svc", "app-users", ""), "  replicas: 1\n", "", 1))
		DeferCleanup(removePool, pool)
		started(pool)
		startLoad(dsn)
		DeferCleanup(stopLoad)

		By("applying the sample, which a little load is enough for and which does not wait long")
		autoscaler := strings.NewReplacer("name: orders-db", "name: "+pool, "minReplicas: 2", "minReplicas: 1", "maxReplicas: 5", "maxReplicas: 3",
			"averageUtilization: 70", "averageUtilization: 10", "stabilizationWindowSeconds: 600", "stabilizationWindowSeconds: 15").
			Replace(readFile("../../config/samples/horizontal-pod-autoscaler.yaml"))
		_, err := kubectlWith(autoscaler, "-n", namespace, "apply", "-f", "-")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { must("-n", namespace, "delete", "hpa", pool) })
		ready := func(replicas int) {
			GinkgoHelper()
			Eventually(func() string { return field(pool, ".spec.replicas} {.status.readyReplicas") }, 5*time.Minute).
				Should(Equal(fmt.Sprintf("%d %d", replicas, replicas)), func() string {
					out, _ := kubectl("-n", namespace, "describe", "hpa", pool)
					return out
				})
			Eventually(func() string { return field(pool, ".status.connections.limit") }).Should(Equal(strconv.Itoa(maxOpen)))
		}
		ready(3)
		var run runStats
		Expect(stats("load", &run)).To(Succeed())
		Expect(run.Errors).To(BeZero(), "%v", run.Samples)
		must("-n", namespace, "delete", "pod", "load", "--timeout=60s")
		ready(1)
		neverTooMany()
	})
})

func readFile(name string) string {
	GinkgoHelper()
	text, err := os.ReadFile(name)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}
