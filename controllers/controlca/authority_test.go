package controlca

import (
	"context"
	"crypto/x509"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

const namespace = "weir-system"

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func ensure(t *testing.T, c client.Client, clock *clock) *Authority {
	t.Helper()
	authority, err := Ensure(context.Background(), c, namespace, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// trusts says whether a pod that trusts the authorities in the PEM lets the operator in.
func trusts(t *testing.T, authoritiesPEM string, operator *Authority) bool {
	t.Helper()
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM([]byte(authoritiesPEM)) {
		t.Fatal("the PEM holds no certificate")
	}
	certificate, err := operator.ClientCertificate()
	if err != nil {
		t.Fatal(err)
	}
	_, err = certificate.Leaf.Verify(x509.VerifyOptions{
		Roots: authorities, CurrentTime: operator.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

func TestTheFirstStartMakesTheCAAndLaterOnesReadIt(t *testing.T) {
	cluster, clock := fake.NewFakeClient(), newClock()
	first := ensure(t, cluster, clock)
	second := ensure(t, cluster, clock)
	if first.PEM() != second.PEM() {
		t.Error("the second start has another CA")
	}
	if !trusts(t, first.PEM(), second) {
		t.Error("pods that trust the first start's CA do not know the second start's operator")
	}
}

func TestReplicasThatStartTogetherEndUpWithOneCA(t *testing.T) {
	cluster, clock := fake.NewFakeClient(), newClock()
	const replicas = 8
	authorities := make([]*Authority, replicas)
	var wg sync.WaitGroup
	for i := range replicas {
		wg.Go(func() {
			authority, err := Ensure(context.Background(), cluster, namespace, clock.now)
			if err != nil {
				t.Error(err)
				return
			}
			authorities[i] = authority
		})
	}
	wg.Wait()
	for i, authority := range authorities {
		if authority == nil || authority.PEM() != authorities[0].PEM() {
			t.Errorf("replica %d has another CA", i)
		}
	}
}

func TestTheClientCertificateIsKeptAndRenewedBeforeItExpires(t *testing.T) {
	clock := newClock()
	authority := ensure(t, fake.NewFakeClient(), clock)
	first, err := authority.ClientCertificate()
	if err != nil {
		t.Fatal(err)
	}
	clock.advance(clientLife - clientSpare - time.Minute)
	if kept, _ := authority.ClientCertificate(); kept != first {
		t.Error("it was renewed early")
	}
	clock.advance(2 * time.Minute)
	renewed, err := authority.ClientCertificate()
	if err != nil {
		t.Fatal(err)
	}
	if renewed == first {
		t.Error("it was not renewed in time")
	}
	if !trusts(t, authority.PEM(), authority) {
		t.Error("pods do not know the renewed one")
	}
}

func TestACAThatExpiresSoonIsIssuedAnewWithItsKey(t *testing.T) {
	cluster, clock := fake.NewFakeClient(), newClock()
	old := ensure(t, cluster, clock)
	clock.advance(authorityLife - authoritySpare + time.Hour)
	renewed := ensure(t, cluster, clock)
	if renewed.PEM() == old.PEM() {
		t.Fatal("it was not issued anew")
	}
	if !trusts(t, old.PEM(), renewed) {
		t.Error("pods that trust the old certificate do not know the operator")
	}
	if !trusts(t, renewed.PEM(), old) {
		t.Error("pods that trust the new certificate do not know an operator of before")
	}
	if again := ensure(t, cluster, clock); again.PEM() != renewed.PEM() {
		t.Error("it is issued anew at each start")
	}
}

func TestStrangersAreNotTrusted(t *testing.T) {
	clock := newClock()
	ours, theirs := ensure(t, fake.NewFakeClient(), clock), ensure(t, fake.NewFakeClient(), clock)
	if trusts(t, ours.PEM(), theirs) {
		t.Error("an operator of another CA is let in")
	}
}

func TestASecretThatHoldsNoCASaysWhatToDo(t *testing.T) {
	for name, data := range map[string]map[string][]byte{
		"an empty Secret":   {},
		"a broken key pair": {"ca.crt": []byte("x"), "tls.key": []byte("y")},
	} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{Data: data}
			secret.Namespace, secret.Name = namespace, SecretName
			_, err := Ensure(context.Background(), fake.NewFakeClient(secret), namespace, newClock().now)
			if err == nil || !strings.Contains(err.Error(), "delete it and restart the operator") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTheKeyStaysOutOfWhatPodsGet(t *testing.T) {
	if authority := ensure(t, fake.NewFakeClient(), newClock()); strings.Contains(authority.PEM(), "PRIVATE KEY") {
		t.Error("the PEM for pods holds the private key")
	}
}
