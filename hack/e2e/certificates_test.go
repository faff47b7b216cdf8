//go:build e2e

package e2e_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os/exec"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("the listener's certificate", func() {
	const pool, secret = "tls-db", "tls-db-certificate"
	host := fmt.Sprintf("%s.%s.svc", pool, namespace)
	// dsn is of a client that knows one certificate and believes in no other.
	dsn := func(known string) string {
		return fmt.Sprintf("postgres://app:%s@%s:5432/app?sslmode=verify-full&sslrootcert=/tmp/%s.crt", password, host, known)
	}
	// serve has the pool show a new certificate, and lets clients know it by a name.
	serve := func(name string) {
		GinkgoHelper()
		certificate, key := selfSigned(host)
		must("-n", namespace, "exec", "client", "--", "sh", "-c", fmt.Sprintf("echo '%s' >/tmp/%s.crt", certificate, name))
		encoded := base64.StdEncoding.EncodeToString
		apply(fmt.Sprintf(`{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {name: %s, namespace: %s}, data: {tls.crt: %s, tls.key: %s}}`,
			secret, namespace, encoded([]byte(certificate)), encoded([]byte(key))))
	}

	It("is renewed while sessions stay", func() {
		serve("old")
		DeferCleanup(func() { must("-n", namespace, "delete", "secret", secret) })
		apply(poolManifest(pool, 2, "postgres.demo.svc", "app-users", "") + fmt.Sprintf("  listener: {tls: {mode: Required, secretRef: {name: %s}}}\n", secret))
		DeferCleanup(removePool, pool)
		started(pool)
		before := ofPods(pool, uid)
		everyPodAnswers(pool, dsn("old"))
		session := startSession(dsn("old"))
		session.say("prepare greet as select 'still here'")
		Expect(session.ask("execute greet")).To(Equal("still here"))

		By("putting a new certificate into the Secret")
		serve("new")
		everyPodAnswers(pool, dsn("new"))
		_, err := throughPool("psql", dsn("old"), "-XAtqc", "select 1")
		Expect(err).To(MatchError(ContainSubstring("certificate verify failed")))
		Expect(session.ask("execute greet")).To(Equal("still here"))
		Expect(podUIDs(pool)).To(Equal(before))
		Expect(condition(pool, "Ready")).To(HavePrefix("True/"))

		By("refusing clients without TLS")
		_, err = throughPool("psql", fmt.Sprintf("postgres://app:%s@%s:5432/app?sslmode=disable", password, host), "-XAtqc", "select 1")
		Expect(err).To(HaveOccurred())
	})
})

// selfSigned is a certificate of a host for an hour, and its key, as PEM.
func selfSigned(host string) (certificate, key string) {
	GinkgoHelper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	Expect(err).NotTo(HaveOccurred())
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	Expect(err).NotTo(HaveOccurred())
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

// session is a psql in the client pod that stays connected until the spec ends.
type session struct {
	in   io.Writer
	out  *bufio.Scanner
	kill func() error
}

func startSession(dsn string) *session {
	GinkgoHelper()
	command := exec.Command("kubectl", "-n", namespace, "exec", "-i", "client", "--", "psql", dsn, "-XAtq")
	in, err := command.StdinPipe()
	Expect(err).NotTo(HaveOccurred())
	out, err := command.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	command.Stderr = GinkgoWriter
	Expect(command.Start()).To(Succeed())
	DeferCleanup(func() {
		_, _ = fmt.Fprintln(in, `\q`) // a kubectl that has written nothing for a minute fails to close
		Expect(in.Close()).To(Succeed())
		Expect(command.Wait()).To(Succeed())
	})
	return &session{in: in, out: bufio.NewScanner(out), kill: command.Process.Kill}
}

func (s *session) say(sql string) {
	GinkgoHelper()
	_, err := fmt.Fprintln(s.in, sql+";")
	Expect(err).NotTo(HaveOccurred())
}

// ask is the one line that a statement answers with, within a minute.
func (s *session) ask(sql string) string {
	GinkgoHelper()
	late := time.AfterFunc(time.Minute, func() { _ = s.kill() })
	defer late.Stop()
	s.say(sql)
	Expect(s.out.Scan()).To(BeTrue(), "no answer to %q: psql has ended, or was ended after a minute: %v", sql, s.out.Err())
	return s.out.Text()
}
