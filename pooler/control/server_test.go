package control

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/podapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority signs certificates.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	a.key, der = sign(t, template, nil)
	var err error
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func sign(t *testing.T, template *x509.Certificate, by *authority) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

func (a *authority) client(usage x509.ExtKeyUsage, life time.Duration) *tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "operator"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life), ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	key, der := sign(a.t, template, a)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// pod is what the port drives in these tests.
type pod struct {
	trusted atomic.Pointer[x509.CertPool]
	pushed  atomic.Int64
	news    atomic.Pointer[string]
	asked   atomic.Int64
	answer  error
}

func (p *pod) Push(document []byte) (podapi.Applied, error) {
	p.pushed.Add(1)
	return podapi.Applied{Generation: 3, Ledger: int64(len(document))}, p.answer
}
func (p *pod) State() podapi.State     { return podapi.State{Version: 1, PodUID: "uid", Ledger: 7} }
func (p *pod) Trusted() *x509.CertPool { return p.trusted.Load() }
func (p *pod) News() string {
	p.asked.Add(1)
	if p.news.Load() == nil {
		return ""
	}
	return *p.news.Load()
}

// serve runs the port until the test ends and returns its URL.
func serve(t *testing.T, p *pod) string {
	t.Helper()
	server, err := New(p, t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "https://" + listener.Addr().String()
}

// caller is a client that shows a certificate; nil: none.
func caller(t *testing.T, certificate *tls.Certificate) *http.Client {
	t.Helper()
	c := &tls.Config{InsecureSkipVerify: true}
	if certificate != nil {
		// Shown whatever CAs the server says that it knows.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	transport := &http.Transport{TLSClientConfig: c}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func get(client *http.Client, url string) (int, string, error) {
	response, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func put(t *testing.T, client *http.Client, url string, body io.Reader) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPut, url, body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

func TestOnlyTheOperatorIsLetIn(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	p := &pod{}
	p.trusted.Store(ours.pool())
	url := serve(t, p)
	for name, test := range map[string]struct {
		certificate *tls.Certificate
		letIn       bool
	}{
		"a certificate of the CA":                   {ours.client(x509.ExtKeyUsageClientAuth, time.Hour), true},
		"no certificate":                            {nil, false},
		"a certificate of another CA":               {other.client(x509.ExtKeyUsageClientAuth, time.Hour), false},
		"a certificate of the CA for servers":       {ours.client(x509.ExtKeyUsageServerAuth, time.Hour), false},
		"a certificate of the CA that is too old":   {ours.client(x509.ExtKeyUsageClientAuth, -time.Minute), false},
		"the certificate of the CA without its key": {&tls.Certificate{Certificate: [][]byte{ours.certificate.Raw}, PrivateKey: other.key}, false},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, err := get(caller(t, test.certificate), url+podapi.PathState)
			if test.letIn != (err == nil && status == http.StatusOK) {
				t.Fatalf("status %d, %q, error %v", status, body, err)
			}
		})
	}
}

func TestWithoutACANobodyIsLetIn(t *testing.T) {
	p := &pod{}
	p.trusted.Store(x509.NewCertPool())
	url := serve(t, p)
	client := caller(t, newAuthority(t).client(x509.ExtKeyUsageClientAuth, time.Hour))
	if status, _, err := get(client, url+podapi.PathState); err == nil {
		t.Fatalf("let in with status %d", status)
	}
}

func TestAKeptConnectionEndsWithTheCA(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	p := &pod{}
	p.trusted.Store(before.pool())
	url := serve(t, p)
	client := caller(t, before.client(x509.ExtKeyUsageClientAuth, time.Hour))
	if status, _, err := get(client, url+podapi.PathState); err != nil || status != http.StatusOK {
		t.Fatalf("before: %d %v", status, err)
	}
	p.trusted.Store(after.pool())
	if status, _, err := get(client, url+podapi.PathState); err != nil || status != http.StatusForbidden {
		t.Fatalf("the kept connection: %d %v, want 403", status, err)
	}
	if status, _, err := get(client, url+podapi.PathState); err == nil {
		t.Fatalf("a new connection is let in with %d", status)
	}
	status, _, err := get(caller(t, after.client(x509.ExtKeyUsageClientAuth, time.Hour)), url+podapi.PathState)
	if err != nil || status != http.StatusOK {
		t.Fatalf("the new CA: %d %v", status, err)
	}
}

func TestAPushIsAnsweredByWhatBecameOfIt(t *testing.T) {
	ca := newAuthority(t)
	for name, test := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"applied":      {nil, http.StatusOK, `{"generation":3,"ledger":2}`},
		"stale":        {fmt.Errorf("%w: its ledger is 1", agent.ErrStale), http.StatusConflict, "stale configuration: its ledger is 1"},
		"foreign":      {fmt.Errorf("%w: a/b", agent.ErrForeign), http.StatusUnprocessableEntity, "configuration of another pool: a/b"},
		"invalid":      {&config.Invalid{Faults: []string{"ledger: is missing"}}, http.StatusUnprocessableEntity, "invalid configuration: ledger: is missing"},
		"not keepable": {fmt.Errorf("keep the configuration: disk full"), http.StatusServiceUnavailable, "keep the configuration: disk full"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pod{answer: test.err}
			p.trusted.Store(ca.pool())
			client := caller(t, ca.client(x509.ExtKeyUsageClientAuth, time.Hour))
			status, body := put(t, client, serve(t, p)+podapi.PathConfig, strings.NewReader("{}"))
			if status != test.status || strings.TrimSpace(body) != test.says {
				t.Fatalf("got %d %q, want %d %q", status, body, test.status, test.says)
			}
		})
	}
}

func TestABodyIsBounded(t *testing.T) {
	ca := newAuthority(t)
	p := &pod{}
	p.trusted.Store(ca.pool())
	url := serve(t, p)
	client := caller(t, ca.client(x509.ExtKeyUsageClientAuth, time.Hour))
	most := bytes.Repeat([]byte{' '}, podapi.MaxConfigBytes)
	if status, body := put(t, client, url+podapi.PathConfig, bytes.NewReader(most)); status != http.StatusOK {
		t.Fatalf("the largest: %d %s", status, body)
	}
	if status, _ := put(t, client, url+podapi.PathConfig, bytes.NewReader(append(most, ' '))); status != http.StatusRequestEntityTooLarge {
		t.Fatalf("one byte more: %d, want 413", status)
	}
	if p.pushed.Load() != 1 {
		t.Fatal("what is too large was pushed all the same")
	}
}

func TestOtherPathsAndMethodsAreRefused(t *testing.T) {
	ca := newAuthority(t)
	p := &pod{}
	p.trusted.Store(ca.pool())
	url := serve(t, p)
	client := caller(t, ca.client(x509.ExtKeyUsageClientAuth, time.Hour))
	for path, want := range map[string]int{
		podapi.PathState: http.StatusMethodNotAllowed, "/": http.StatusNotFound, "/v2/config": http.StatusNotFound,
	} {
		if status, _ := put(t, client, url+path, nil); status != want {
			t.Errorf("PUT %s: %d, want %d", path, status, want)
		}
	}
}

func TestStateIsAnsweredAsItIs(t *testing.T) {
	ca := newAuthority(t)
	p := &pod{}
	p.trusted.Store(ca.pool())
	_, body, err := get(caller(t, ca.client(x509.ExtKeyUsageClientAuth, time.Hour)), serve(t, p)+podapi.PathState)
	if err != nil {
		t.Fatal(err)
	}
	var s podapi.State
	if err := json.Unmarshal([]byte(body), &s); err != nil || s.PodUID != "uid" || s.Ledger != 7 {
		t.Fatalf("%+v %v", s, err)
	}
}
