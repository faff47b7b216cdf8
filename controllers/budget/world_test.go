package budget_test

import (
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/controllers/budget"
	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/podapi"
)

// vanish is what operators wait for; servers notice dead peers a little earlier, which covers two clocks that differ.
const (
	vanish  = 30 * time.Second
	notices = 25 * time.Second

	// apart is how much two clocks differ at most.
	apart = 4 * time.Second
)

// world is pods, operators, databases and messages between them. Every step of it is one that reality can take.
type world struct {
	now     time.Time
	budgets map[string]int32

	stored   budget.Ledger // the ConfigMap
	deleted  bool          // there is no ConfigMap
	revision int           // its resourceVersion
	edits    int64         // of the spec, which no operator has seen yet

	pods      map[string]*pod
	lingering []linger
	operators []*operator
	pushes    []push
	born      int
}

// pod is a pooler process: the real thinking of one, and what its engine has open.
type pod struct {
	uid         string
	running     bool
	terminating bool
	cut         bool // from the network
	core        agent.Core
	kept        *podapi.Config   // the last accepted push, in its emptyDir
	falls       map[string]int32 // while it drains: what limits have fallen to as clients left
	open        map[string]int32
	wants       map[string]int32 // what its clients want
}

// linger is what a server still counts of a pod that died.
type linger struct {
	until time.Time
	open  map[string]int32
}

// operator is one of two that both believe they lead.
type operator struct {
	skew     time.Duration // of its clock
	read     budget.Ledger
	revision int
	wrote    budget.Ledger // the last time; see package controllers
	states   map[string]*podapi.State
	silent   map[string]bool
	delayed  []*podapi.State
}

type push struct {
	uid    string
	config podapi.Config
}

func newWorld(budgets map[string]int32) *world {
	w := &world{now: time.Unix(1_000_000, 0), budgets: budgets, pods: map[string]*pod{}}
	for range 2 {
		w.operators = append(w.operators, newOperator())
	}
	return w
}

func newOperator() *operator {
	return &operator{states: map[string]*podapi.State{}, silent: map[string]bool{}}
}

// start adds a pod that is not told anything yet.
func (w *world) start() {
	w.born++
	uid := string(rune('a'+w.born%26)) + time.Unix(int64(w.born), 0).UTC().Format("0405")
	w.pods[uid] = &pod{uid: uid, running: true, core: agent.NewCore(uid), open: map[string]int32{}, wants: map[string]int32{}}
}

func (w *world) uids() []string { return slices.Sorted(maps.Keys(w.pods)) }

// die ends a pod with its machine: what it had open lingers in the servers. A machine does not come back within that time.
func (w *world) die(p *pod) {
	w.lingering = append(w.lingering, linger{until: w.now.Add(notices), open: p.open})
	p.running, p.open = false, map[string]int32{}
}

// forget removes the pod's object.
func (w *world) forget(p *pod) {
	if p.running {
		w.die(p)
	}
	delete(w.pods, p.uid)
}

// limit is the one in force.
func (p *pod) limit(name string) int32 {
	limit := p.core.Share(name).MaxOpen
	if p.core.Draining() {
		limit = min(limit, p.falls[name])
	}
	return limit
}

// state is what the pod would answer now.
func (p *pod) state() *podapi.State {
	s := &podapi.State{PodUID: p.uid, Ledger: p.core.Ledger(), Draining: p.core.Draining()}
	for _, name := range []string{"a", "b"} {
		s.Destinations = append(s.Destinations, podapi.DestinationState{
			Name: name, Limit: p.limit(name), Open: p.open[name], Lent: p.open[name], Wanted: p.wants[name],
		})
	}
	return s
}

// accept is the arrival of a push.
func (p *pod) accept(config podapi.Config) {
	if !p.running || p.cut {
		return
	}
	if core, changed, err := p.core.Push(config); err == nil && changed {
		p.core, p.kept = core, &config
	}
}

// drain is a SIGTERM: the pod is deleted, or a probe failed.
func (p *pod) drain() {
	p.falls = map[string]int32{"a": p.limit("a"), "b": p.limit("b")}
	p.core = p.core.Drain()
}

// restart is a container that dies and comes back with what it kept. The kernel closes what was open. The container of a
// pod that terminates does not come back.
func (p *pod) restart() {
	if !p.running || p.terminating {
		return
	}
	p.core, p.open = agent.NewCore(p.uid), map[string]int32{}
	if p.kept != nil {
		p.core = p.core.Kept(*p.kept)
	}
}

// told is the document that pods are pushed.
func told(l budget.Ledger) podapi.Config {
	c := podapi.Config{Version: podapi.Version, Pool: "shop/orders", Ledger: l.Version, Shares: map[string]map[string]podapi.Share{}}
	for uid, a := range l.Pods {
		c.Shares[uid] = map[string]podapi.Share{}
		for name, e := range a.Destinations {
			c.Shares[uid][name] = podapi.Share{MaxOpen: e.Limit}
		}
	}
	return c
}

// look is a reconcile: read, think, write by compare-and-swap, push.
func (w *world) look(o *operator) {
	w.readBy(o)
	w.think(o)
}

// readBy is an operator that reads the ledger. When there is none it recalls what it wrote last.
func (w *world) readBy(o *operator) {
	o.read, o.revision = w.stored, w.revision
	if w.deleted {
		o.read = o.wrote.Recalled()
	}
}

// think goes on with what was read, however old that is.
func (w *world) think(o *operator) {
	var seen []budget.Pod
	for _, uid := range w.uids() {
		seen = append(seen, budget.Pod{UID: uid, Terminating: w.pods[uid].terminating, State: o.states[uid], Silent: o.silent[uid]})
	}
	next := budget.Next(o.read, seen, w.budgets, w.now.Add(o.skew), vanish)
	if w.revision != o.revision {
		return // a conflict
	}
	next.Version += w.edits // see package plan
	w.edits = 0
	w.stored, w.deleted, o.wrote = next, false, next
	w.revision++
	w.pushes = w.pushes[max(0, len(w.pushes)-12):] // older ones are lost
	for _, p := range seen {
		if _, known := next.Pods[p.UID]; known {
			w.pushes = append(w.pushes, push{uid: p.UID, config: told(next)})
		}
	}
}

// glance is a reconcile while it cannot be seen which pods there are.
func (w *world) glance(o *operator) {
	w.readBy(o)
	if o.read.Version == 0 {
		o.read = budget.Begin(w.now.Add(o.skew))
	} else if !w.deleted {
		return
	}
	w.stored, w.deleted, o.wrote = o.read, false, o.read
	w.revision++
}

// lose is somebody who deletes the ledger, though not within the time in which two clocks differ after it began.
func (w *world) lose() {
	w.tick(2 * apart)
	w.stored, w.deleted = budget.Ledger{}, true
	w.revision++
}

// poll asks a pod; the answer may arrive later than others.
func (w *world) poll(o *operator, p *pod, late bool) {
	o.silent[p.uid] = !p.running || p.cut
	switch {
	case o.silent[p.uid]:
	case late:
		o.delayed = append(o.delayed, p.state())
	default:
		o.states[p.uid] = p.state()
	}
}

// tick lets time pass.
func (w *world) tick(d time.Duration) {
	w.now = w.now.Add(d)
	w.lingering = slices.DeleteFunc(w.lingering, func(l linger) bool { return !l.until.After(w.now) })
}

// shed is a client that leaves, or what a pod does by itself: close what is above its limit, let its limit follow its
// clients while it drains.
func (p *pod) shed(name string, client bool) {
	if p.open[name] > 0 && (client || p.open[name] > p.limit(name) || p.core.Draining()) {
		p.open[name]--
	}
	if p.core.Draining() {
		p.falls[name] = min(p.falls[name], p.open[name])
	}
}

// inUse is the most that the database can come to see without another push.
func (w *world) inUse(name string) (sum int32) {
	for _, p := range w.pods {
		if p.running {
			sum += max(p.limit(name), p.open[name])
		}
	}
	for _, l := range w.lingering {
		sum += l.open[name]
	}
	return sum
}

// checkLost fails unless sum(bound) <= ceiling, where the ledger may be lost and charge more than there is.
func (w *world) checkLost(t *rapid.T, ceilings map[string]int32) {
	for name, b := range w.budgets {
		if known := w.stored.Version != 0 && !w.stored.Blind; known {
			ceilings[name] = min(ceilings[name], w.stored.Charged(name))
		}
		ceilings[name] = max(ceilings[name], b)
		if bound := w.inUse(name); bound > ceilings[name] {
			t.Fatalf("%s: pods may have %d connections of a budget of %d\n%+v", name, bound, b, w.stored)
		}
	}
}

// check fails unless sum(open) <= sum(bound) <= sum(charge) <= ceiling.
func (w *world) check(t *rapid.T, ceilings map[string]int32) {
	for name := range ceilings {
		charged := w.stored.Charged(name)
		if bound := w.inUse(name); bound > charged {
			t.Fatalf("%s: pods may have %d connections and are charged %d\n%+v", name, bound, charged, w.stored)
		}
		ceilings[name] = max(w.budgets[name], min(ceilings[name], charged))
		if charged > ceilings[name] {
			t.Fatalf("%s: %d are charged of a budget of %d\n%+v", name, charged, w.budgets[name], w.stored)
		}
	}
}
