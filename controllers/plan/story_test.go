package plan_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/pooler/podapi"
)

var update = flag.Bool("update", false, "write the golden files")

func pool() *v1alpha1.ConnectionPool {
	return &v1alpha1.ConnectionPool{
		ObjectMeta: metav1.ObjectMeta{Name: "orders-db", Namespace: "shop", UID: "0b7c1a52", Generation: 1},
		Spec: v1alpha1.ConnectionPoolSpec{
			Destinations: []v1alpha1.Destination{{
				Name:      "orders",
				Protocol:  v1alpha1.ProtocolPostgreSQL,
				Endpoints: []v1alpha1.Endpoint{{Host: "postgres.shop.svc"}},
				PostgreSQL: v1alpha1.PostgreSQL{
					Auth: v1alpha1.Auth{UsersSecretRef: v1alpha1.SecretReference{Name: "orders-users"}},
				},
			}},
		},
	}
}

// story is a pool, its pods, and what is told of them step by step.
type story struct {
	t     *testing.T
	pool  *v1alpha1.ConnectionPool
	data  map[string]string
	pods  []*fakePod
	now   time.Time
	lines []string
}

// fakePod is a pod that takes over what is pushed at once.
type fakePod struct {
	name        string
	terminating bool
	silent      bool
	config      podapi.Config // accepted
	open        int32
	busy        int32 // of open: in transactions, which a lower limit does not end
	waiting     int32 // clients; they take what the limit allows
}

// began is when all stories do.
var began = time.Unix(1_800_000_000, 0)

func newStory(t *testing.T) *story {
	return &story{t: t, pool: pool(), now: began}
}

func (s *story) start(name string) *fakePod {
	p := &fakePod{name: name}
	s.pods = append(s.pods, p)
	return p
}

func (s *story) gone(p *fakePod) {
	s.pods = slices.DeleteFunc(s.pods, func(q *fakePod) bool { return p == q })
}

func (p *fakePod) stopPolicy() string {
	if len(p.config.Destinations) == 0 {
		return ""
	}
	return p.config.Destinations[0].StopPolicy
}

func (p *fakePod) limit() int32 { return p.config.Shares[p.name]["orders"].MaxOpen }

func (p *fakePod) state() *podapi.State {
	limit := p.limit()
	if p.terminating {
		limit = min(limit, p.busy)
	}
	if p.waiting > 0 && p.stopPolicy() == "" {
		p.busy = limit
	}
	p.open = max(min(p.open, limit), p.busy)
	return &podapi.State{
		Generation: p.config.Generation, Ledger: p.config.Ledger, Draining: p.terminating, Ready: limit > 0,
		Destinations: []podapi.DestinationState{{Name: "orders", Limit: limit, Open: p.open, Lent: p.busy, PeakLent: p.busy, Waiting: p.waiting, StopPolicy: p.stopPolicy()}},
	}
}

func (s *story) observation() *plan.Observation {
	o := &plan.Observation{Pool: s.pool, PodsKnown: true, ClientCA: "CA", Image: "weir:v1", Now: s.now, Vanish: 30 * time.Second}
	if s.data != nil {
		document, err := plan.ParseDocument(s.data)
		if err != nil {
			s.t.Fatal(err)
		}
		o.Document = document
	}
	for _, p := range s.pods {
		pod := plan.Pod{UID: p.name, Name: p.name, Address: "10.0.0." + strconv.Itoa(int(p.name[0])), Terminating: p.terminating, Silent: p.silent}
		if !p.silent {
			pod.State, pod.AnsweredAt = p.state(), s.now
		}
		o.Pods = append(o.Pods, pod)
	}
	return o
}

// pass makes a plan, carries it out and writes down what it did.
func (s *story) pass() *plan.Plan {
	p, err := plan.Make(s.observation())
	if err != nil {
		s.t.Fatal(err)
	}
	line := fmt.Sprintf("  v%d", p.Document.Ledger.Version-began.UnixMilli()+1)
	if p.Write {
		line += " write"
	}
	if len(p.Lagging) > 0 {
		line += " push(" + strings.Join(p.Lagging, " ") + ")"
	}
	for _, uid := range slices.Sorted(keys(p.Document.Ledger.Pods)) {
		a := p.Document.Ledger.Pods[uid]
		e := a.Destinations["orders"]
		line += fmt.Sprintf(" %s=%d/%d", uid, e.Limit, e.Charge)
		if e.Charge > 1000 {
			line = strings.TrimSuffix(line, strconv.Itoa(int(e.Charge))) + "unknown"
		}
		if a.GoneSince != 0 {
			line += "(gone)"
		}
	}
	if line = fmt.Sprintf("%s again in %s", line, p.Requeue); s.lines[len(s.lines)-1] != line {
		s.lines = append(s.lines, line)
	}
	s.data = p.Data
	var pushed podapi.Config
	if err := json.Unmarshal([]byte(p.Data[podapi.ConfigKey]), &pushed); err != nil {
		s.t.Fatal(err)
	}
	for _, pod := range s.pods {
		if slices.Contains(p.Lagging, pod.name) && !pod.silent {
			pod.config = pushed
		}
	}
	s.now = s.now.Add(p.Requeue)
	return p
}

// rest makes passes until there is nothing left to do.
func (s *story) rest(what string) {
	s.lines = append(s.lines, what)
	for range 60 {
		if p := s.pass(); !p.Write && p.Requeue == plan.Slow {
			return
		}
	}
	s.t.Errorf("%s: the pool does not come to rest", what)
}

func (s *story) passes(n int, what string) {
	s.lines = append(s.lines, what)
	for range n {
		s.pass()
	}
}

// A golden file per story shows each step that differs from the one before as: version, what is done, and limit/charge of
// each pod.
func (s *story) golden(file string) {
	path := filepath.Join("testdata", file)
	got := strings.Join(s.lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if got != string(want) {
		s.t.Errorf("%s has changed:\n%s", path, got)
	}
}

func keys[M ~map[K]V, K comparable, V any](m M) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestStoryOfARollout(t *testing.T) {
	s := newStory(t)
	s.rest("a new pool, no pod yet")
	a, b := s.start("a"), s.start("b")
	s.rest("two pods start")
	a.open, a.busy, b.open, b.busy = 10, 9, 10, 2
	c := s.start("c")
	s.passes(3, "a rollout adds c while a has 9 connections in transactions")
	a.busy = 3
	s.rest("a's transactions end")
	a.terminating, a.open = true, 3
	s.passes(2, "a leaves, 3 connections still in transactions")
	a.busy = 0
	s.passes(2, "a has let go of everything")
	s.gone(a)
	s.rest("a is gone: there is nothing to wait for")
	b.terminating, b.busy = true, 2
	s.passes(2, "b leaves, with 2 connections in transactions")
	s.gone(b)
	s.rest("b is killed: servers may not have noticed")
	if c.limit() != 20 {
		t.Errorf("the last pod has %d of 20 connections", c.limit())
	}
	s.golden("rollout.txt")
}

func TestStoryOfAPodThatCannotBeReached(t *testing.T) {
	s := newStory(t)
	s.start("a")
	b := s.start("b")
	s.rest("two pods")
	b.silent = true
	s.start("c")
	s.passes(4, "b cannot be reached, c starts: b keeps what it has")
	b.silent = false
	s.rest("b is back")
	s.golden("unreachable.txt")
}

func TestStoryOfALowerMaxOpen(t *testing.T) {
	s := newStory(t)
	a := s.start("a")
	s.start("b")
	s.rest("two pods")
	a.open, a.busy = 10, 8
	s.pool.Spec.Destinations[0].Limits.MaxOpen = 6
	s.pool.Generation++
	s.passes(3, "maxOpen falls from 20 to 6 while a has 8 connections in transactions")
	a.busy = 0
	s.rest("a's transactions end")
	s.golden("lower.txt")
}

func TestStoryOfALostConfigMap(t *testing.T) {
	s := newStory(t)
	s.start("a")
	s.start("b")
	s.rest("two pods")
	s.data = nil
	s.rest("somebody deletes the ConfigMap")
	s.golden("lost.txt")
}
