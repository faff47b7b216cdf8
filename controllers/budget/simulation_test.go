package budget_test

import (
	"flag"
	"maps"
	"os"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/controllers/budget"
)

// TestMain asks for more histories than rapid's 100; -rapid.checks says otherwise.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": "2000", "rapid.steps": "60"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// Whatever happens to pods, operators and messages, in any order, the database never sees more than the budget, and when
// things quieten the pods share all of it. mutation_test.go lists the guards without which this test fails.
func TestNoInterleavingExceedsTheBudgetAndQuietConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(map[string]int32{"a": rapid.Int32Range(0, 9).Draw(t, "budget of a"), "b": 40})
		ceilings := map[string]int32{"a": w.budgets["a"], "b": 40}
		w.look(w.operators[0])
		for range rapid.IntRange(0, 4).Draw(t, "pods") {
			w.start()
		}
		w.round()
		actions := w.actions()
		actions[""] = func(t *rapid.T) { w.check(t, ceilings) }
		t.Repeat(actions)
		w.converges(t, ceilings)
	})
}

// After a ledger was lost nobody gets more until every pod has proved what it has, while containers start again and what was
// pushed before still arrives. (Not while pods vanish: of those nobody knows any more.)
func TestALostLedgerIsNotTrusted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(map[string]int32{"a": 7, "b": 40})
		w.round()
		for range rapid.IntRange(1, 4).Draw(t, "pods") {
			w.start()
		}
		w.round()
		w.round()
		actions := w.actions()
		for _, never := range []string{"a pod's node dies", "a pod is forgotten"} {
			delete(actions, never)
		}
		actions["the ledger is lost"] = func(*rapid.T) { w.lose() }
		actions["the ledger is lost, and the operators with it"] = func(*rapid.T) {
			w.lose()
			for _, o := range w.operators {
				*o = *newOperator()
			}
		}
		ceilings := maps.Clone(w.budgets)
		actions[""] = func(t *rapid.T) { w.checkLost(t, ceilings) }
		t.Repeat(actions)
	})
}

// actions are the steps that the world can take.
func (w *world) actions() map[string]func(*rapid.T) {
	anyPod := func(t *rapid.T) *pod {
		if len(w.pods) == 0 {
			t.Skip("no pod")
		}
		return w.pods[rapid.SampledFrom(w.uids()).Draw(t, "pod")]
	}
	anyOperator := func(t *rapid.T) *operator { return rapid.SampledFrom(w.operators).Draw(t, "operator") }
	anyName := func(t *rapid.T) string { return rapid.SampledFrom([]string{"a", "b"}).Draw(t, "destination") }
	takePush := func(t *rapid.T) push {
		if len(w.pushes) == 0 {
			t.Skip("no push")
		}
		i := rapid.IntRange(0, len(w.pushes)-1).Draw(t, "push")
		p := w.pushes[i]
		if rapid.IntRange(0, 3).Draw(t, "keep a copy") > 0 {
			w.pushes = append(w.pushes[:i:i], w.pushes[i+1:]...)
		}
		return p
	}
	return map[string]func(*rapid.T){
		"a client comes": func(t *rapid.T) {
			p, name := anyPod(t), anyName(t)
			if p.running && p.open[name] < p.limit(name) {
				p.open[name] = rapid.Int32Range(p.open[name]+1, p.limit(name)).Draw(t, "open")
			}
		},
		"clients want":       func(t *rapid.T) { anyPod(t).wants[anyName(t)] = rapid.Int32Range(0, 50).Draw(t, "wanted") },
		"a client leaves":    func(t *rapid.T) { anyPod(t).shed(anyName(t), true) },
		"a pod starts":       func(t *rapid.T) { w.startIfFew(t) },
		"a pod is told off":  func(t *rapid.T) { anyPod(t).terminating = true },
		"a pod drains":       func(t *rapid.T) { anyPod(t).drain() },
		"a pod's cable":      func(t *rapid.T) { p := anyPod(t); p.cut = !p.cut },
		"a container starts": func(t *rapid.T) { anyPod(t).restart() },
		"a pod's node dies": func(t *rapid.T) {
			if p := anyPod(t); p.running {
				w.die(p)
			}
		},
		"a pod is forgotten": func(t *rapid.T) { w.leave(anyPod(t)) },
		"a push arrives": func(t *rapid.T) {
			if m := takePush(t); w.pods[m.uid] != nil {
				w.pods[m.uid].accept(m.config)
			}
		},
		"a push is lost":    func(t *rapid.T) { takePush(t) },
		"a pod answers":     func(t *rapid.T) { w.poll(anyOperator(t), anyPod(t), false) },
		"an answer is slow": func(t *rapid.T) { w.poll(anyOperator(t), anyPod(t), true) },
		"a slow answer arrives": func(t *rapid.T) {
			o := anyOperator(t)
			if len(o.delayed) == 0 {
				t.Skip("none")
			}
			i := rapid.IntRange(0, len(o.delayed)-1).Draw(t, "answer")
			o.states[o.delayed[i].PodUID] = o.delayed[i]
		},
		"an operator reads":  func(t *rapid.T) { w.readBy(anyOperator(t)) },
		"an operator thinks": func(t *rapid.T) { w.think(anyOperator(t)) },
		"an operator passes": func(t *rapid.T) { w.look(anyOperator(t)) },
		"an operator dies":   func(t *rapid.T) { *anyOperator(t) = *newOperator() },
		"an operator's clock": func(t *rapid.T) {
			anyOperator(t).skew = time.Duration(rapid.Int64Range(0, int64(apart)).Draw(t, "skew"))
		},
		"the spec changes":         func(t *rapid.T) { w.edits += rapid.Int64Range(1, 9).Draw(t, "edits") },
		"an operator sees no pods": func(t *rapid.T) { w.glance(anyOperator(t)) },
		"maxOpen changes":          func(t *rapid.T) { w.budgets["a"] = rapid.Int32Range(0, 12).Draw(t, "budget") },
		"time passes":              func(t *rapid.T) { w.tick(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second) },
		"all goes well":            func(*rapid.T) { w.round() },
	}
}

func (w *world) startIfFew(t *rapid.T) {
	if len(w.pods) > 5 {
		t.Skip("enough pods")
	}
	w.start()
}

// leave removes a pod that was told to: in order if it has let go of everything, otherwise not.
func (w *world) leave(p *pod) {
	if p.terminating || !p.running {
		w.forget(p)
	}
}

// round is what happens within seconds when nothing fails.
func (w *world) round() {
	o := w.operators[0]
	for _, uid := range w.uids() {
		p := w.pods[uid]
		for name := range w.budgets {
			for range p.open[name] {
				p.shed(name, false)
			}
			p.shed(name, false)
		}
		w.poll(o, p, false)
	}
	w.look(o)
	for _, uid := range w.uids() {
		if _, known := w.stored.Pods[uid]; known {
			w.pods[uid].accept(told(w.stored))
		}
	}
}

// converges ends what was going on and sees that every pod gets what is fair, and that then nothing is written any more.
func (w *world) converges(t *rapid.T, ceilings map[string]int32) {
	for _, uid := range w.uids() {
		if p := w.pods[uid]; p.terminating || !p.running {
			w.forget(p)
		} else {
			p.cut = false
			if p.core.Draining() {
				p.restart()
			}
		}
	}
	for range 8 {
		w.round()
		w.check(t, ceilings)
		w.tick(vanish)
	}
	if len(w.pods) > 0 {
		w.sharesAll(t)
	}
	before := w.stored
	w.round()
	if !reflect.DeepEqual(before, w.stored) {
		t.Fatalf("the ledger does not come to rest:\n%+v\n%+v", before, w.stored)
	}
}

func (w *world) sharesAll(t *rapid.T) {
	for name, b := range w.budgets {
		var sum int32
		even := b / int32(len(w.pods))
		for uid, p := range w.pods {
			sum += p.limit(name)
			if wants := max(1, p.wants[name]); p.limit(name) < min(wants, even) {
				t.Fatalf("%s: %s wants %d and has %d, although each of %d pods could have %d of %d\n%+v", name, uid, wants, p.limit(name), len(w.pods), even, b, w.stored)
			}
		}
		if sum != b {
			t.Fatalf("%s: %d pods share %d of %d\n%+v", name, len(w.pods), sum, b, w.stored)
		}
	}
}

// Dividing is max-min fair, exact, and leaves odd connections where they are.
func TestDivideIsFairAndExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.Int32Range(0, 1000).Draw(t, "budget")
		demands := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) budget.Demand {
			want := rapid.Int32Range(0, 300).Draw(t, "want")
			return budget.Demand{Want: want, Peak: want + rapid.Int32Range(0, 300).Draw(t, "more lately"), Held: rapid.Int32Range(0, 300).Draw(t, "held")}
		}), 1, 12).Draw(t, "demands")
		shares := budget.Divide(b, demands)
		var sum int32
		for i, s := range shares {
			sum += s
			for j, other := range shares {
				if s < demands[i].Want && other > s+1 {
					t.Fatalf("%d wants %d and gets %d, while %d gets %d", i, demands[i].Want, s, j, other)
				}
				if s < demands[i].Peak && other > s+1 && other > demands[j].Want {
					t.Fatalf("%d wanted %d lately and gets %d, while %d gets %d and wants %d", i, demands[i].Peak, s, j, other, demands[j].Want)
				}
			}
		}
		if sum != b {
			t.Fatalf("%d of %d are given out: %v", sum, b, shares)
		}
	})
}
