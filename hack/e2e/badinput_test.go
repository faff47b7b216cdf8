//go:build e2e

package e2e_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Each kind of bad input gives a condition with a reason, and a sentence that says what to do.
var _ = Describe("bad input", func() {
	remove := func(pool string) {
		DeferCleanup(removePool, pool)
	}

	It("names the Secret that is missing, and goes on when it comes", func() {
		const pool = "no-secret"
		apply(poolManifest(pool, 1, "postgres.demo.svc", "nobody-made-me", ""))
		remove(pool)
		Eventually(func() string { return condition(pool, "Ready") }).Should(And(HavePrefix("False/SecretMissing"), ContainSubstring("nobody-made-me")))
		apply(fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: nobody-made-me, namespace: %s}, stringData: {app: %s}}`, namespace, password))
		DeferCleanup(func() { must("-n", namespace, "delete", "secret", "nobody-made-me") })
		Eventually(func() string { return condition(pool, "Ready") }, "4m").Should(HavePrefix("True/"))
	})

	It("says that the server refuses the password", func() {
		const pool = "wrong-password"
		apply(fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: wrong-users, namespace: %s}, stringData: {app: not-the-password}}`, namespace))
		apply(poolManifest(pool, 1, "postgres.demo.svc", "wrong-users", ""))
		remove(pool)
		Eventually(func() string { return destinationCondition(pool) }).Should(And(HavePrefix("False/AuthenticationFailed"), ContainSubstring("app")))
	})

	It("says that the host cannot be reached", func() {
		const pool = "no-host"
		apply(poolManifest(pool, 1, "nowhere.demo.svc", "app-users", ""))
		remove(pool)
		Eventually(func() string { return destinationCondition(pool) }).Should(And(HavePrefix("False/Unreachable"), ContainSubstring("nowhere.demo.svc")))
	})

	It("refuses to take over a Service of the same name", func() {
		const pool = "postgres" // the database's own Service has this name
		apply(poolManifest(pool, 1, "postgres.demo.svc", "app-users", ""))
		remove(pool)
		Eventually(func() string { return condition(pool, "Stalled") }).Should(And(HavePrefix("True/NameClash"), ContainSubstring("postgres")))
		Expect(must("-n", namespace, "get", "service", pool, "-o", "jsonpath={.spec.selector.app}")).To(Equal("postgres"))
		Expect(must("-n", namespace, "get", "events", "--field-selector", "involvedObject.name="+pool+",involvedObject.kind=ConnectionPool")).To(ContainSubstring("NameClash"))
	})

	It("says when there are more pods than connections", func() {
		const pool = "small-budget"
		apply(poolManifest(pool, maxOpen+1, "postgres.demo.svc", "app-users", ""))
		remove(pool)
		Eventually(func() string { return condition(pool, "Stalled") }).Should(And(HavePrefix("True/BudgetTooSmall"), ContainSubstring("maxOpen")))
	})
})

func destinationCondition(pool string) string {
	at := `.status.destinations[0].conditions[?(@.type=="Reachable")]`
	return fmt.Sprintf("%s/%s: %s", field(pool, at+".status"), field(pool, at+".reason"), field(pool, at+".message"))
}
