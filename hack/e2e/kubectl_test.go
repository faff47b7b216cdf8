//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// kubectl runs kubectl as a person would, and returns what it prints.
func kubectl(args ...string) (string, error) { return kubectlWith("", args...) }

func kubectlWith(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "kubectl", args...)
	command.Stdin = strings.NewReader(stdin)
	var out, complaint bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, complaint.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// must is kubectl where a failure ends the spec.
func must(args ...string) string {
	out, err := kubectl(args...)
	ExpectWithOffset(1, err).NotTo(HaveOccurred())
	return out
}

func apply(manifest string) {
	_, err := kubectlWith(manifest, "apply", "-f", "-")
	ExpectWithOffset(1, err).NotTo(HaveOccurred())
}

// field reads one field of the pool by JSONPath; empty when it is not there.
func field(pool, path string) string {
	out, err := kubectl("-n", namespace, "get", "connectionpool", pool, "-o", "jsonpath={"+path+"}")
	if err != nil {
		return ""
	}
	return out
}

// condition is "Status/Reason: message" of a condition of the pool.
func condition(pool, kind string) string {
	at := fmt.Sprintf(`.status.conditions[?(@.type==%q)]`, kind)
	return fmt.Sprintf("%s/%s: %s", field(pool, at+".status"), field(pool, at+".reason"), field(pool, at+".message"))
}

// podsOf is a field of each of the pool's pods that are not being deleted, in the order of their UIDs.
func podsOf(pool, field string) ([]string, error) {
	out, err := kubectl("-n", namespace, "get", "pods", "-l", "weir.dev/pool="+pool, "--sort-by=.metadata.uid", "-o",
		`go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{`+field+`}} {{end}}{{end}}`)
	return strings.Fields(out), err
}

const uid = ".metadata.uid"

func podUIDs(pool string) ([]string, error) { return podsOf(pool, uid) }

// ofPods is podsOf where a failure ends the spec.
func ofPods(pool, field string) []string {
	GinkgoHelper()
	found, err := podsOf(pool, field)
	Expect(err).NotTo(HaveOccurred())
	return found
}

// started waits until a new pool is ready, and then until nothing is under way any more: it is ready before its last pod is.
func started(pool string) {
	GinkgoHelper()
	must("-n", namespace, "wait", "--for=condition=Ready", "connectionpool/"+pool, "--timeout=120s")
	const of = `.status.conditions[?(@.type==%q)].status`
	Eventually(field).WithArguments(pool, fmt.Sprintf(of+"} {"+of, "Ready", "Reconciling")).Should(Equal("True"))
}

// removePool deletes a pool and returns when its pods are gone too: until then they have connections, which the next spec
// would count.
func removePool(pool string) {
	must("-n", namespace, "delete", "connectionpool", pool, "--ignore-not-found", "--timeout=120s")
	must("-n", namespace, "wait", "--for=delete", "pod", "-l", "weir.dev/pool="+pool, "--timeout=180s")
}

// inPostgres runs SQL as the superuser in the database's own pod, around every pool.
func inPostgres(sql string) (string, error) {
	return kubectl("-n", namespace, "exec", "deploy/postgres", "--", "psql", "-U", "postgres", "-XAtqc", sql)
}

// throughPool runs a client program in the client pod. One that takes two minutes waits for ever, which no retry may hide.
func throughPool(args ...string) (string, error) {
	out, err := kubectl(append([]string{"-n", namespace, "exec", "client", "--", "timeout", "120"}, args...)...)
	if err != nil && strings.Contains(err.Error(), "exit code 124") {
		return out, StopTrying("no answer for two minutes").Wrap(err)
	}
	return out, err
}

// everyPodAnswers waits until each pod of a pool serves a client with this DSN, and then its Service. The kubelet takes about a
// minute to bring what is in a Secret to a pod, not the same for all, and longer on a busy machine; and kube-proxies lag.
func everyPodAnswers(pool, dsn string) {
	GinkgoHelper()
	var ips []string
	Eventually(func() (_ []string, err error) {
		ips, err = podsOf(pool, `or .status.podIP "none"`)
		return ips, err
	}).Should(And(Not(BeEmpty()), Not(ContainElement("none"))))
	for _, way := range append(ips, "") {
		Eventually(func() error {
			_, err := throughPool("psql", dsn+"&hostaddr="+way, "-XAtqc", "select 1")
			return err
		}, "6m").Should(Succeed(), "by the address %q; none: by the Service", way)
	}
}

// startLoad has 24 clients at work at a pool, and PostgreSQL itself count the connections that the pool has.
func startLoad(dsn string) {
	GinkgoHelper()
	apply(clientPod("load", "localhost/weir-e2e:dev", "/load", "run", "--clients", "24", "--dsn", dsn))
	apply(clientPod("watch", "localhost/weir-e2e:dev", "/load", "watch", "--user", "app", "--dsn", directly()))
	must("-n", namespace, "wait", "--for=condition=Ready", "pod/load", "pod/watch", "--timeout=120s")
}

func stopLoad() {
	GinkgoHelper()
	must("-n", namespace, "delete", "pod", "load", "watch", "--ignore-not-found", "--timeout=120s")
}

// goesOn waits until the load has done more.
func goesOn() {
	GinkgoHelper()
	var run runStats
	Eventually(func() error { return stats("load", &run) }).Should(Succeed()) // its container may just have started
	before := run.Transactions
	Eventually(func() int64 { _ = stats("load", &run); return run.Transactions }).Should(BeNumerically(">", before+500))
}

// neverTooMany sees that PostgreSQL has counted connections of the pool, and never more than maxOpen at once.
func neverTooMany() (watched watchStats) {
	GinkgoHelper()
	Expect(stats("watch", &watched)).To(Succeed())
	Expect(watched.Most).To(And(BeNumerically("<=", maxOpen), BeNumerically(">", 0)), "connections that PostgreSQL counted at once")
	return watched
}

// stats asks a load pod what it has counted.
func stats(pod string, into any) error {
	out, err := kubectl("-n", namespace, "exec", pod, "--", "/load", "stats")
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), into)
}
