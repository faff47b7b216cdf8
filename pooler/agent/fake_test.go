package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/secrets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeEngine holds to its limit and counts what is asked of it. Open connections are set by the test.
type fakeEngine struct {
	mu       sync.Mutex
	applied  []config.Destination
	refuse   error // what Apply answers
	stats    Stats
	fault    *podapi.Problem // what Probe finds
	probes   int
	drained  bool
	closed   bool
	stay     chan struct{} // clients stay until it is closed; nil: they go at once
	closing  func()        // runs within Close; nil: it takes no time
	accepted int
}

func (e *fakeEngine) Apply(d config.Destination) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refuse != nil {
		return e.refuse
	}
	e.applied = append(e.applied, d)
	e.stats.Limit = int32(d.PostgreSQL.Limits.MaxOpen)
	return nil
}

func (e *fakeEngine) Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil
		}
		e.mu.Lock()
		e.accepted++
		e.mu.Unlock()
		conn.Close()
	}
}

func (e *fakeEngine) Drain(ctx context.Context) error {
	e.mu.Lock()
	e.drained = true
	e.mu.Unlock()
	if e.stay != nil {
		select {
		case <-e.stay:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e.set(func(s *Stats) { s.Open, s.Limit, s.Clients = 0, 0, 0 })
	return nil
}

func (e *fakeEngine) Close() error {
	if e.closing != nil {
		e.closing()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed, e.stats.Open = true, 0
	return nil
}

func (e *fakeEngine) Probe(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.probes++
	e.stats.Fault = e.fault
	if e.fault != nil {
		return fmt.Errorf("probe: %s", e.fault.Message)
	}
	return nil
}

func (e *fakeEngine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

func (e *fakeEngine) Detail() Detail { return Detail{} }

func (e *fakeEngine) ResetPeaks() {
	e.set(func(s *Stats) { s.PeakLent, s.PeakWaiting = s.Lent, s.Waiting })
}

func (e *fakeEngine) set(change func(*Stats)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.stats)
}

// limits are the limits that the engine was given, in order.
func (e *fakeEngine) limits() (all []int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.applied {
		all = append(all, d.PostgreSQL.Limits.MaxOpen)
	}
	return all
}

// pod is an Agent in a directory of its own, with fake engines.
type pod struct {
	t       *testing.T
	dir     string
	agent   *Agent
	mu      sync.Mutex
	engines map[string][]*fakeEngine // in the order they were made
	refuse  error                    // for engines that are made
	stay    chan struct{}
	settle  time.Duration
}

// newPod makes the directories of a pod with the users Secret, without starting it.
func newPod(t *testing.T) *pod {
	p := &pod{t: t, dir: t.TempDir(), engines: map[string][]*fakeEngine{}}
	for _, dir := range []string{"secrets/users", "state"} {
		if err := os.MkdirAll(filepath.Join(p.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.write("secrets/users/app", "one")
	t.Cleanup(p.stop)
	return p
}

func (p *pod) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pod) start() *Agent {
	p.agent = New(Options{
		PodUID: "uid", Software: "test", ListenHost: "127.0.0.1",
		ConfigPath: filepath.Join(p.dir, "config.json"),
		StateDir:   filepath.Join(p.dir, "state"),
		Secrets:    secrets.NewStore(filepath.Join(p.dir, "secrets")),
		Settle:     p.settle,
		Logger:     slog.New(slog.DiscardHandler),
		NewEngine: func(d config.Destination) (Engine, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			e := &fakeEngine{refuse: p.refuse, stay: p.stay}
			p.engines[d.Name] = append(p.engines[d.Name], e)
			return e, nil
		},
	})
	return p.agent
}

func (p *pod) stop() {
	if p.agent != nil {
		if err := p.agent.Close(); err != nil {
			p.t.Error(err)
		}
		p.agent = nil
	}
}

// engine is the last one made for a destination.
func (p *pod) engine(name string) *fakeEngine {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.engines[name]
	if len(all) == 0 {
		p.t.Fatalf("destination %q has no engine", name)
	}
	return all[len(all)-1]
}

func (p *pod) push(c podapi.Config) podapi.Applied {
	p.t.Helper()
	applied, err := p.agent.Push(document(p.t, c))
	if err != nil {
		p.t.Fatal(err)
	}
	return applied
}

func document(t *testing.T, c podapi.Config) []byte {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// served is a Config that can be served: destinations by name, each at a free port.
func served(t *testing.T, ledger int64, limit int32, names ...string) podapi.Config {
	t.Helper()
	c := podapi.Config{
		Version: podapi.Version, Pool: "shop/orders", Generation: ledger * 10, Ledger: ledger, DrainSeconds: 60,
		Shares: map[string]map[string]podapi.Share{"uid": {}},
	}
	for _, name := range names {
		c.Shares["uid"][name] = podapi.Share{MaxOpen: limit, MaxIdle: limit, MaxWaiting: podapi.Unlimited}
		c.Destinations = append(c.Destinations, podapi.Destination{
			Name: name, Protocol: podapi.ProtocolPostgreSQL, ListenPort: freePort(t),
			Endpoints: []podapi.Endpoint{{Host: "db", Port: 5432}},
			Limits:    podapi.Limits{AcquireTimeoutMilliseconds: 1000, MaxClients: 100},
			PostgreSQL: &podapi.PostgreSQL{
				PoolMode: podapi.PoolModeTransaction, Auth: podapi.Auth{UsersSecret: "users"},
			},
		})
	}
	return c
}

// again is a Config as it was, with another ledger and limit.
func again(c podapi.Config, ledger int64, limit int32) podapi.Config {
	c.Ledger, c.Generation = ledger, ledger*10
	shares := map[string]podapi.Share{}
	for name, share := range c.Shares["uid"] {
		share.MaxOpen = limit
		shares[name] = share
	}
	c.Shares = map[string]map[string]podapi.Share{"uid": shares}
	return c
}

func freePort(t *testing.T) int32 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return int32(l.Addr().(*net.TCPAddr).Port)
}

// answers tells whether somebody listens at a port.
func answers(port int32) bool {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
