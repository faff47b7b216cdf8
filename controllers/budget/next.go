package budget

import (
	"slices"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// Next is the ledger after what was observed. Budgets are the most connections per destination; one that is not named
// has none. Vanish is how long the charge of a pod that is gone is held.
//
// The version rises exactly when a limit, the set of named pods or of leaving ones changes, and when the ledger begins anew. The
// result must be written before its limits are pushed; if it equals the ledger that it was made of there is nothing to do.
func Next(ledger Ledger, pods []Pod, budgets map[string]int32, now time.Time, vanish time.Duration) Ledger {
	t := turn{
		Ledger:  ledger.clone(),
		pods:    make(map[string]Pod, len(pods)),
		budgets: budgets,
		version: ledger.Version + 1,
		lost:    ledger.Version == 0 || ledger.Blind,
	}
	for _, p := range pods {
		t.pods[p.UID] = p
		if p.State != nil && p.State.Ledger >= t.version {
			t.version, t.lost = p.State.Ledger+1, true
		}
	}
	if t.lost {
		t.version = max(t.version, beginning(now))
	}
	t.farewell(now, vanish)
	t.welcome()
	t.dismiss()
	t.lower()
	for _, name := range t.destinations() {
		t.share(name)
	}
	t.sweep()
	if t.changed || t.lost {
		t.Version = t.version
	}
	return t.Ledger
}

// Begin is the first ledger of a pool whose pods cannot be seen yet.
func Begin(now time.Time) Ledger { return Ledger{Version: beginning(now), Blind: true} }

// beginning is the version that a ledger begins with: above those of every ledger that there was before, as no ledger changes
// a thousand times a second. So what pods accepted of a ledger that was lost is older than all of the next one.
func beginning(now time.Time) int64 { return now.UnixMilli() }

// turn is one step of the ledger in the making.
type turn struct {
	Ledger
	pods    map[string]Pod
	budgets map[string]int32
	version int64 // of the ledger that sets limits now
	lost    bool  // the ledger is not the latest, or there is none
	changed bool  // limits, or who is named
}

// farewell frees what gone pods were charged with, when servers have noticed.
func (t *turn) farewell(now time.Time, vanish time.Duration) {
	for uid, a := range t.Pods {
		if _, here := t.pods[uid]; here {
			a.GoneSince = 0
			t.Pods[uid] = a
			continue
		}
		if a.GoneSince == 0 || a.goneFor(now) < 0 {
			a.GoneSince = now.Unix()
		}
		if !a.charged() || a.goneFor(now) >= vanish {
			delete(t.Pods, uid)
			t.changed = true
			continue
		}
		t.Pods[uid] = a
	}
}

// welcome opens an account for each pod that has none and has answered. A new pod,
// which has accepted nothing yet, has nothing; of one that was given up and came back nothing is known, and when the ledger
// was lost of none.
func (t *turn) welcome() {
	for uid, p := range t.pods {
		a, known := t.Pods[uid]
		switch {
		case t.lost:
			a.Destinations = t.unproven(p, a)
		case !known && p.State == nil:
			continue
		case !known && p.State.Ledger == 0:
			a.Destinations = map[string]Entry{}
		case !known:
			a.Destinations = t.unproven(p, a)
		case known && a.Destinations == nil:
			a.Destinations = map[string]Entry{}
		default:
			continue
		}
		t.Pods[uid] = a
		t.changed = t.changed || !known
	}
}

// dismiss notes which pods have begun to leave. What such a pod said before proves nothing any more: it may have drained,
// started again with its old limits, and be leaving only now.
func (t *turn) dismiss() {
	for uid, p := range t.pods {
		a, known := t.Pods[uid]
		if !known || !p.Terminating || a.Leaving {
			continue
		}
		a.Leaving = true
		for name, e := range a.Destinations {
			e.Since = t.version
			a.Destinations[name] = e
		}
		t.Pods[uid] = a
		t.changed = true
	}
}

// everything is more than a budget can be, whatever it was and will be. The sum over all pods fits into 32 bits.
const everything = 1_000_000

// unproven is the account of a pod about which the ledger knows nothing: nobody can have anything until it has proved what
// it has. It may not just go on with the limit that it named, because that may have changed since.
func (t *turn) unproven(p Pod, a Account) map[string]Entry {
	nothingKnown := Entry{Charge: everything, Since: t.version}
	entries := map[string]Entry{}
	for name := range t.budgets {
		entries[name] = nothingKnown
	}
	for name := range a.Destinations {
		entries[name] = nothingKnown
	}
	if p.State != nil {
		for _, d := range p.State.Destinations {
			entries[d.Name] = nothingKnown
		}
	}
	return entries
}

// lower lets charges fall to what pods proved. The limit of a pod that leaves falls with its bound: its container does not
// start again.
func (t *turn) lower() {
	for uid, p := range t.pods {
		if p.State == nil {
			continue
		}
		for name, e := range t.Pods[uid].Destinations {
			if p.State.Ledger < e.Since {
				continue
			}
			bound := boundOf(p.State, name)
			if t.Pods[uid].Leaving && bound < e.Limit {
				e.Limit = bound
				t.changed = true
			}
			e.Charge = min(e.Charge, max(e.Limit, bound))
			t.Pods[uid].Destinations[name] = e
		}
	}
}

// share sets the limits of a destination: first who has too much is told so, then what is free is given out.
func (t *turn) share(name string) {
	movable, held := t.movable(name)
	demands := make([]Demand, len(movable))
	for i, uid := range movable {
		demands[i] = t.demand(uid, name)
	}
	total := int32(max(int64(t.budgets[name])-held, 0))
	targets := Divide(total, demands)
	if content(total, demands, targets) {
		return
	}
	for i, uid := range movable {
		if e := t.Pods[uid].Destinations[name]; e.Limit > targets[i] {
			t.set(uid, name, targets[i])
		}
	}
	t.raise(name, movable, targets)
}

// movable are the pods whose limits of a destination can be changed now; held is what the others are charged with.
func (t *turn) movable(name string) (uids []string, held int64) {
	for uid, a := range t.Pods {
		p, here := t.pods[uid]
		if here && !p.Terminating && !p.Silent && p.State != nil {
			uids = append(uids, uid)
		} else {
			held += int64(a.Destinations[name].Charge)
		}
	}
	slices.Sort(uids)
	return uids, held
}

// raise gives out what nobody is charged with, to those first that have least.
func (t *turn) raise(name string, uids []string, targets []int32) {
	free := int64(t.budgets[name])
	for _, a := range t.Pods {
		free -= int64(a.Destinations[name].Charge)
	}
	if len(uids) == 0 {
		return
	}
	entry := func(i int) Entry { return t.Pods[uids[i]].Destinations[name] }
	at := func(i int, line int32) int32 { return min(max(line, entry(i).Limit), targets[i]) }
	cost := func(i int, limit int32) int64 { return int64(max(limit-entry(i).Charge, 0)) }
	line := waterline(free, slices.Max(targets), func(line int32) (sum int64) {
		for i := range uids {
			sum += cost(i, at(i, line))
		}
		return sum
	})
	limits := make([]int32, len(uids))
	for i := range uids {
		limits[i] = at(i, line)
		free -= cost(i, limits[i])
	}
	for i := range uids {
		if next := at(i, line+1); cost(i, next)-cost(i, limits[i]) <= free {
			free -= cost(i, next) - cost(i, limits[i])
			limits[i] = next
		}
	}
	for i, uid := range uids {
		if limits[i] > entry(i).Limit {
			t.set(uid, name, limits[i])
		}
	}
}

// set changes a limit. The charge rises with it at once and falls later, by proof.
func (t *turn) set(uid, name string, limit int32) {
	e := t.Pods[uid].Destinations[name]
	t.Pods[uid].Destinations[name] = Entry{Charge: max(e.Charge, limit), Limit: limit, Since: t.version}
	t.changed = true
}

// sweep forgets entries of destinations that were removed, once nothing is charged for them.
func (t *turn) sweep() {
	for _, a := range t.Pods {
		for name, e := range a.Destinations {
			if _, there := t.budgets[name]; !there && e.Charge == 0 {
				delete(a.Destinations, name)
			}
		}
	}
}

// destinations are the names in budgets and ledger.
func (t *turn) destinations() []string {
	seen := map[string]bool{}
	for name := range t.budgets {
		seen[name] = true
	}
	for _, a := range t.Pods {
		for name := range a.Destinations {
			seen[name] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// boundOf is the most connections that the pod has or may open of a destination without being told more.
func boundOf(s *podapi.State, name string) int32 {
	for _, d := range s.Destinations {
		if d.Name == name {
			return d.Bound()
		}
	}
	return 0
}
