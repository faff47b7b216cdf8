package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// probing probes a fake engine in a bubble.
type probing struct {
	t      *testing.T
	agent  *Agent
	engine *fakeEngine
	d      *destination
}

func probe(t *testing.T, body func(*probing)) {
	synctest.Test(t, func(t *testing.T) {
		p := &probing{
			t: t, agent: &Agent{log: slog.New(slog.DiscardHandler)}, engine: &fakeEngine{},
			d: &destination{name: "main", again: make(chan struct{}, 1)},
		}
		ctx, stop := context.WithCancel(context.Background())
		p.agent.background = ctx
		p.d.engine = p.engine
		p.agent.startProbing(p.d)
		body(p)
		stop()
		p.agent.running.Wait()
	})
}

// after lets time pass and expects that the engine was probed so many times since the last call.
func (p *probing) after(d time.Duration, want int) {
	p.t.Helper()
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
	p.engine.mu.Lock()
	defer p.engine.mu.Unlock()
	if p.engine.probes != want {
		p.t.Errorf("after %v: %d probes, want %d", d, p.engine.probes, want)
	}
	p.engine.probes = 0
}

func (p *probing) fault(reason string) {
	p.engine.mu.Lock()
	defer p.engine.mu.Unlock()
	p.engine.fault = nil
	if reason != "" {
		p.engine.fault = &podapi.Problem{Reason: reason}
	}
}

func TestTheServerIsProbedAtOnceAndThenEveryTenSeconds(t *testing.T) {
	probe(t, func(p *probing) {
		p.after(time.Second, 1)
		p.after(60*time.Second, 6)
	})
}

func TestProbesBecomeRarerWhileTheyFailTheSameWay(t *testing.T) {
	probe(t, func(p *probing) {
		p.after(time.Second, 1)
		p.fault(podapi.ReasonUnreachable)
		p.after(10*time.Second, 1) // fails for the first time at 10 s
		p.after(10*time.Second, 1) // 20 s
		p.after(20*time.Second, 1) // 40 s
		p.after(40*time.Second, 1) // 80 s
		p.after(60*time.Second, 1) // 140 s: a minute at most
		p.fault(podapi.ReasonAuthenticationFailed)
		p.after(60*time.Second, 1) // 200 s: fails another way
		p.after(10*time.Second, 1) // 210 s
		p.fault("")
		p.after(20*time.Second, 1) // 230 s: well again
		p.after(30*time.Second, 3)
	})
}

func TestAChangeIsProbedAtOnceHoweverLongTheWait(t *testing.T) {
	probe(t, func(p *probing) {
		p.after(time.Second, 1)
		p.fault(podapi.ReasonUnreachable)
		p.after(190*time.Second, 5) // at 10, 20, 40, 80 and 140 s
		p.fault("")
		p.d.again <- struct{}{}
		p.after(time.Millisecond, 1)
		p.after(10*time.Second, 1)
	})
}

// authorityPEM is a CA's certificate.
func authorityPEM(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func poolOf(pems ...string) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, p := range pems {
		pool.AppendCertsFromPEM([]byte(p))
	}
	return pool
}
