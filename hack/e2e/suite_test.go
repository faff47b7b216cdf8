//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	namespace = "demo"
	password  = "app-password-1"
	maxOpen   = 12
)

// withHelm says how Weir was installed: with helm, or with kustomize.
var withHelm = os.Getenv("INSTALL") == "helm"

func TestCluster(t *testing.T) {
	if os.Getenv("KUBECONFIG") == "" {
		t.Fatal("KUBECONFIG is not set: run `make test-e2e`, which makes the cluster")
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(2 * time.Minute)
	SetDefaultEventuallyPollingInterval(500 * time.Millisecond)
	suite, reporter := GinkgoConfiguration()
	suite.FailFast = false
	RunSpecs(t, "Weir on a cluster", suite, reporter)
	for _, failure := range failures { // at the end, where people look first
		t.Log(failure)
	}
}

// failures say in a few words what failed.
var failures []string

var _ = ReportAfterSuite("what failed", func(report Report) {
	for _, spec := range report.SpecReports {
		if spec.Failed() {
			failures = append(failures, fmt.Sprintf("%s\n%s\n%s", spec.FullText(), spec.FailureLocation(), spec.FailureMessage()))
		}
	}
})

var _ = BeforeSuite(func() {
	By("giving the suite a user and databases of its own, beside those of the demo")
	for _, sql := range []string{
		"create role app login password '" + password + "'",
		"create database app owner app",
		"create database pgbench owner app",
	} {
		if _, err := inPostgres(sql); err != nil { // a run before this one may have left them, with KEEP=1
			Expect(err).To(MatchError(ContainSubstring("already exists")))
		}
	}
	apply(fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: app-users, namespace: %s}, stringData: {app: %s}}`, namespace, password))

	By("starting the client pods")
	apply(clientPod("client", "localhost/weir-postgres:15", "sleep", "86400"))
	must("-n", namespace, "wait", "--for=condition=Ready", "pod/client", "--timeout=120s")
})

var _ = AfterSuite(func() {
	if os.Getenv("KEEP") != "" {
		return
	}
	must("delete", "namespace", namespace, "--timeout=180s")
	if withHelm {
		run("helm uninstall weir --namespace weir-system --wait --timeout 180s")
		must("delete", "crd", "connectionpools.weir.dev", "--timeout=180s")
		must("delete", "namespace", "weir-system", "--timeout=180s")
		return
	}
	must("delete", "-k", "../../config/default", "--timeout=180s")
})

var _ = ReportAfterEach(func(report SpecReport) {
	if !report.Failed() {
		return
	}
	for _, args := range [][]string{
		{"-n", namespace, "get", "connectionpools,deployments,pods,endpointslices", "-o", "wide"},
		{"-n", namespace, "get", "connectionpools", "-o", "yaml"},
		{"-n", namespace, "get", "events", "--sort-by=.lastTimestamp"},
		{"-n", namespace, "logs", "-l", "weir.dev/pool", "--all-containers", "--prefix", "--tail=40"},
		{"-n", "weir-system", "logs", "-l", "app.kubernetes.io/name=weir", "--tail=60"},
	} {
		out, err := kubectl(args...)
		GinkgoWriter.Printf("--- kubectl %v (%v)\n%s\n", args, err, out)
	}
})

// clientPod is a pod that passes the restricted pod security standard.
func clientPod(name, image string, command ...string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsNonRoot: true, runAsUser: 999, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: client
    image: %s
    imagePullPolicy: IfNotPresent
    command: [%s]
    env: [{name: PGPASSWORD, value: %s}, {name: PGCONNECT_TIMEOUT, value: "20"}]
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`, name, namespace, image, quoted(command), password)
}

func quoted(words []string) string {
	out := ""
	for i, word := range words {
		if i > 0 {
			out += ", "
		}
		out += fmt.Sprintf("%q", word)
	}
	return out
}

// poolManifest is a small ConnectionPool; more is appended to its only destination.
func poolManifest(name string, replicas int, host, secret, more string) string {
	return fmt.Sprintf(`
apiVersion: weir.dev/v1alpha1
kind: ConnectionPool
metadata: {name: %s, namespace: %s}
spec:
  replicas: %d
  destinations:
  - name: main
    protocol: PostgreSQL
    endpoints: [{host: %s, port: 5432}]
    limits: {maxOpen: %d%s}
    postgresql: {auth: {usersSecretRef: {name: %s}}}
`, name, namespace, replicas, host, maxOpen, more, secret)
}
