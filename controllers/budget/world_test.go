package budget_test

import (
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/controllers/budget"
	"github.com/weir-dev/weir/pooler/podapi"
)

// vanish is what operators wait for; servers notice dead peers a little earlier, which covers two clocks that differ.
const (
	vanish  = 30 * time.Second
	notices = 25 * time.Second
)

// world is pods, operators, databases and messages between them. Every step of it is one that reality can take.
type world struct {
	now     time.Time
	budgets map[string]int32

	stored   budget.Ledger // the ConfigMap
	revision int           // its resourceVersion

	pods      map[string]*pod
	lingering []linger
	operators []*operator
	pushes    []push
	born      int
}

// pod is a pooler process as the operator's protocol sees it.
type pod struct {
	uid         string
	listed      bool // in the EndpointSlices
	running     bool
	terminating bool
	draining    bool
	cut         bool // from the network
	accepted    int64
	kept        map[string]int32 // the limits that it accepted, in its emptyDir
	limits      map[string]int32 // the limits in force; below kept while it drains
	open        map[string]int32
}

// linger is what a server still counts of a pod that died.
type linger struct {
	until time.Time
	open  map[string]int32
}

// operator is one of two that both believe they lead.
type operator struct {
	read     budget.Ledger
	revision int
	states   map[string]*podapi.State
	silent   map[string]bool
	delayed  []*podapi.State
}

type push struct {
	uid    string
	ledger budget.Ledger
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
	w.pods[uid] = &pod{uid: uid, listed: true, running: true, kept: map[string]int32{}, limits: map[string]int32{}, open: map[string]int32{}}
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

// state is what the pod would answer now.
func (p *pod) state() *podapi.State {
	s := &podapi.State{PodUID: p.uid, Ledger: p.accepted, Draining: p.draining}
	for _, name := range []string{"a", "b"} {
		s.Destinations = append(s.Destinations, podapi.DestinationState{Name: name, Limit: p.limits[name], Open: p.open[name]})
	}
	return s
}

// accept is the pod's side of a push: nothing older than the last accepted, and while draining limits only fall.
func (p *pod) accept(l budget.Ledger) {
	if !p.running || p.cut || l.Version < p.accepted {
		return
	}
	p.accepted = l.Version
	p.kept = map[string]int32{}
	for name, e := range l.Pods[p.uid].Destinations {
		p.kept[name] = e.Limit
	}
	for name, limit := range p.limits {
		if p.draining {
			p.limits[name] = min(limit, p.kept[name])
		}
	}
	if !p.draining {
		p.limits = maps.Clone(p.kept)
	}
}

// look is a reconcile: read, think, write by compare-and-swap, push.
func (w *world) look(o *operator) {
	o.read, o.revision = w.stored, w.revision
	w.think(o)
}

// think goes on with what was read, however old that is.
func (w *world) think(o *operator) {
	var seen []budget.Pod
	for _, uid := range w.uids() {
		if p := w.pods[uid]; p.listed {
			seen = append(seen, budget.Pod{UID: uid, Terminating: p.terminating, State: o.states[uid], Silent: o.silent[uid]})
		}
	}
	next := budget.Next(o.read, seen, w.budgets, w.now, vanish)
	if w.revision != o.revision {
		return // a conflict
	}
	next.Version = max(next.Version, 1) // the first document is written whoever is there, see package plan
	w.stored = next
	w.revision++
	w.pushes = w.pushes[max(0, len(w.pushes)-12):] // older ones are lost
	for _, p := range seen {
		if _, known := next.Pods[p.UID]; known {
			w.pushes = append(w.pushes, push{uid: p.UID, ledger: next})
		}
	}
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

// shed is what a pod does by itself: close what is above its limit, and while draining let its limit follow its clients.
func (p *pod) shed(name string, all bool) {
	if p.open[name] > 0 && (all || p.open[name] > p.limits[name] || p.draining) {
		p.open[name]--
	}
	if p.draining {
		p.limits[name] = min(p.limits[name], p.open[name])
	}
}

// inUse is the most that the database can come to see without another push.
func (w *world) inUse(name string) (sum int32) {
	for _, p := range w.pods {
		if p.running {
			sum += max(p.limits[name], p.open[name])
		}
	}
	for _, l := range w.lingering {
		sum += l.open[name]
	}
	return sum
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
