package budget_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/weir-dev/weir/controllers/budget"
	"github.com/weir-dev/weir/pooler/podapi"
)

var start = time.Unix(1_800_000_000, 0)

// says is a state at a version of the ledger.
func says(ledger int64, limit, open int32) *podapi.State {
	return &podapi.State{Ledger: ledger, Destinations: []podapi.DestinationState{{Name: "orders", Limit: limit, Open: open}}}
}

func entry(charge, limit int32, since int64) budget.Account {
	return budget.Account{Destinations: map[string]budget.Entry{"orders": {Charge: charge, Limit: limit, Since: since}}}
}

func ledger(version int64, pods map[string]budget.Account) budget.Ledger {
	return budget.Ledger{Version: version, Pods: pods}
}

// wants is a state in which clients want so many connections now, and used as many at one time lately.
func wants(ledger int64, limit, wanted, peak int32) *podapi.State {
	s := says(ledger, limit, 0)
	s.Destinations[0].Wanted, s.Destinations[0].PeakLent = wanted, peak
	return s
}

// Each row is a rule of the ledger: what it is, who says what, and the charge and limit that follow.
func TestRules(t *testing.T) {
	type accounts = map[string]budget.Account
	type want map[string][2]int32 // charge, limit
	const b, everything = 20, 1_000_000
	tests := []struct {
		name   string
		ledger budget.Ledger
		pods   []budget.Pod
		budget int32
		want   want
	}{
		{"a new pod has nothing before it has answered",
			ledger(1, nil), []budget.Pod{{UID: "a"}}, b, want{}},
		{"the only pod gets everything",
			ledger(1, nil), []budget.Pod{{UID: "a", State: says(0, 0, 0)}}, b, want{"a": {20, 20}}},
		{"a limit that falls leaves the charge: deciding is no proof",
			ledger(5, accounts{"a": entry(20, 20, 5)}),
			[]budget.Pod{{UID: "a", State: says(5, 20, 20)}, {UID: "b", State: says(0, 0, 0)}}, b,
			want{"a": {20, 10}, "b": {0, 0}}},
		{"a state from before the limit was set proves nothing",
			ledger(6, accounts{"a": entry(20, 10, 6), "b": entry(0, 0, 6)}),
			[]budget.Pod{{UID: "a", State: says(5, 10, 3)}, {UID: "b", State: says(6, 0, 0)}}, b,
			want{"a": {20, 10}, "b": {0, 0}}},
		{"a later state proves what the pod has open, and what that frees is given out",
			ledger(6, accounts{"a": entry(20, 10, 6), "b": entry(0, 0, 6)}),
			[]budget.Pod{{UID: "a", State: says(6, 10, 13)}, {UID: "b", State: says(6, 0, 0)}}, b,
			want{"a": {13, 10}, "b": {7, 7}}},
		{"a charge does not rise with what a late state says",
			ledger(6, accounts{"a": entry(12, 10, 6), "b": entry(8, 8, 6)}),
			[]budget.Pod{{UID: "a", State: says(6, 10, 13)}, {UID: "b", State: says(6, 8, 0)}}, b,
			want{"a": {12, 10}, "b": {8, 8}}},
		{"a silent pod keeps its charge and its limit, and the others share the rest",
			ledger(6, accounts{"a": entry(10, 10, 5), "b": entry(10, 10, 5)}),
			[]budget.Pod{{UID: "a", State: says(5, 10, 0), Silent: true}, {UID: "b", State: says(6, 10, 0)}, {UID: "c", State: says(0, 0, 0)}}, b,
			want{"a": {10, 10}, "b": {10, 5}, "c": {0, 0}}},
		{"a leaving pod is not raised",
			ledger(6, accounts{"a": entry(5, 5, 5), "b": entry(5, 5, 5)}),
			[]budget.Pod{{UID: "a", State: says(6, 5, 0), Terminating: true}, {UID: "b", State: says(6, 5, 0)}}, b,
			want{"a": {5, 5}, "b": {15, 15}}},
		{"maxOpen below what is charged: limits fall, nothing is given out",
			ledger(6, accounts{"a": entry(10, 10, 5), "b": entry(10, 2, 5)}),
			[]budget.Pod{{UID: "a", State: says(4, 10, 10)}, {UID: "b", State: says(4, 10, 10)}}, 10,
			want{"a": {10, 5}, "b": {10, 2}}},
		{"odd connections stay with who has them",
			ledger(6, accounts{"a": entry(6, 6, 5), "b": entry(7, 7, 5), "c": entry(7, 7, 5)}),
			[]budget.Pod{{UID: "a", State: says(6, 6, 0)}, {UID: "b", State: says(6, 7, 0)}, {UID: "c", State: says(6, 7, 0)}}, b,
			want{"a": {6, 6}, "b": {7, 7}, "c": {7, 7}}},
		{"more pods than connections: the first have one each",
			ledger(1, nil), []budget.Pod{{UID: "a", State: says(0, 0, 0)}, {UID: "b", State: says(0, 0, 0)}, {UID: "c", State: says(0, 0, 0)}}, 2,
			want{"a": {1, 1}, "b": {1, 1}, "c": {0, 0}}},
		{"who is short gets what others do not want, as they prove that they let go of it",
			ledger(6, accounts{"a": entry(10, 10, 5), "b": entry(10, 10, 5)}),
			[]budget.Pod{{UID: "a", State: wants(6, 10, 16, 10)}, {UID: "b", State: wants(6, 10, 2, 2)}}, b,
			want{"a": {10, 10}, "b": {10, 3}}},
		{"two that are short share evenly",
			ledger(6, accounts{"a": entry(15, 15, 5), "b": entry(5, 5, 5)}),
			[]budget.Pod{{UID: "a", State: wants(6, 15, 40, 15)}, {UID: "b", State: wants(6, 5, 30, 5)}}, b,
			want{"a": {15, 10}, "b": {5, 5}}},
		{"what was wanted lately is left to a pod while nobody wants it now",
			ledger(6, accounts{"a": entry(15, 15, 5), "b": entry(5, 5, 5)}),
			[]budget.Pod{{UID: "a", State: wants(6, 15, 1, 14)}, {UID: "b", State: wants(6, 5, 4, 4)}}, b,
			want{"a": {15, 15}, "b": {5, 5}}},
		{"but not when somebody does",
			ledger(6, accounts{"a": entry(15, 15, 5), "b": entry(5, 5, 5)}),
			[]budget.Pod{{UID: "a", State: wants(6, 15, 1, 14)}, {UID: "b", State: wants(6, 5, 12, 5)}}, b,
			want{"a": {15, 8}, "b": {5, 5}}},
		{"nothing moves for a little more fairness while nobody is short",
			ledger(6, accounts{"a": entry(13, 13, 5), "b": entry(7, 7, 5)}),
			[]budget.Pod{{UID: "a", State: wants(6, 13, 3, 3)}, {UID: "b", State: wants(6, 7, 7, 7)}}, b,
			want{"a": {13, 13}, "b": {7, 7}}},
		{"but does when somebody has less than half of what is fair",
			ledger(6, accounts{"a": entry(18, 18, 5), "b": entry(2, 2, 5)}),
			[]budget.Pod{{UID: "a", State: wants(6, 18, 3, 3)}, {UID: "b", State: wants(6, 2, 2, 2)}}, b,
			want{"a": {18, 11}, "b": {2, 2}}},
		{"a ledger older than what a pod runs proves nothing",
			ledger(6, accounts{"a": entry(10, 10, 5), "b": entry(10, 10, 5)}),
			[]budget.Pod{{UID: "a", State: says(7, 15, 0)}, {UID: "b", State: says(6, 10, 0)}}, b,
			want{"a": {everything, 0}, "b": {everything, 0}}},
		{"a pod that was given up and comes back is charged with everything until it has proved less",
			ledger(9, accounts{"a": entry(20, 20, 8)}),
			[]budget.Pod{{UID: "a", State: says(9, 20, 0)}, {UID: "b", State: says(5, 10, 4)}}, b,
			want{"a": {20, 10}, "b": {everything, 0}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			next := budget.Next(test.ledger, test.pods, map[string]int32{"orders": test.budget}, start, vanish)
			got := want{}
			for uid, a := range next.Pods {
				got[uid] = [2]int32{a.Destinations["orders"].Charge, a.Destinations["orders"].Limit}
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("charges and limits are %v, not %v", got, test.want)
			}
		})
	}
}

func TestAGonePodHoldsItsChargeUntilServersHaveNoticed(t *testing.T) {
	l := ledger(6, map[string]budget.Account{"a": entry(12, 12, 5)})
	budgets := map[string]int32{"orders": 20}
	l = budget.Next(l, nil, budgets, start, vanish)
	if got := l.Pods["a"].GoneSince; got != start.Unix() {
		t.Fatalf("it is gone since %d", got)
	}
	if l = budget.Next(l, nil, budgets, start.Add(vanish-time.Second), vanish); l.Charged("orders") != 12 {
		t.Errorf("%d are charged a second too early", l.Charged("orders"))
	}
	if l = budget.Next(l, nil, budgets, start.Add(vanish), vanish); len(l.Pods) != 0 {
		t.Errorf("it still has an account: %+v", l)
	}
}

func TestAGonePodThatComesBackIsNotGone(t *testing.T) {
	l := ledger(6, map[string]budget.Account{"a": entry(20, 20, 5)})
	budgets := map[string]int32{"orders": 20}
	l = budget.Next(l, nil, budgets, start, vanish)
	l = budget.Next(l, []budget.Pod{{UID: "a"}}, budgets, start.Add(time.Second), vanish)
	l = budget.Next(l, nil, budgets, start.Add(vanish), vanish)
	if l.Charged("orders") != 20 {
		t.Errorf("its charge was freed: %+v", l)
	}
}

func TestAClockThatRunsBackOnlyMakesTheWaitLonger(t *testing.T) {
	l := ledger(6, map[string]budget.Account{"a": entry(12, 12, 5)})
	budgets := map[string]int32{"orders": 20}
	l = budget.Next(l, nil, budgets, start.Add(time.Hour), vanish)
	l = budget.Next(l, nil, budgets, start, vanish)
	if got := l.Pods["a"].GoneSince; got != start.Unix() {
		t.Errorf("it is gone since %d, by another clock", got)
	}
}

func TestAPodThatLeftInOrderIsFreedAtOnce(t *testing.T) {
	budgets := map[string]int32{"orders": 20}
	l := ledger(6, map[string]budget.Account{"a": entry(12, 12, 5)})
	leaving := budget.Pod{UID: "a", Terminating: true, State: says(6, 12, 4)}
	l = budget.Next(l, []budget.Pod{leaving}, budgets, start, vanish)
	leaving.State = says(l.Version, 0, 0)
	l = budget.Next(l, []budget.Pod{leaving}, budgets, start, vanish)
	if l.Charged("orders") != 0 {
		t.Fatalf("it has let go of everything and is charged %d", l.Charged("orders"))
	}
	if l = budget.Next(l, nil, budgets, start, vanish); len(l.Pods) != 0 {
		t.Errorf("it still has an account: %+v", l)
	}
}

// A failed liveness probe makes a container drain and start again, with the limits that it had accepted.
func TestADrainOfBeforeDoesNotCountWhenThePodLeaves(t *testing.T) {
	l := ledger(6, map[string]budget.Account{"a": entry(12, 12, 5)})
	drained := budget.Pod{UID: "a", Terminating: true, State: says(6, 0, 0)}
	l = budget.Next(l, []budget.Pod{drained}, map[string]int32{"orders": 20}, start, vanish)
	if l.Charged("orders") != 12 {
		t.Errorf("an old drain lowered the charge to %d", l.Charged("orders"))
	}
}

func TestARemovedDestinationIsForgottenWhenNothingIsOpenToIt(t *testing.T) {
	l := ledger(6, map[string]budget.Account{"a": entry(12, 12, 5)})
	l = budget.Next(l, []budget.Pod{{UID: "a", State: says(6, 12, 4)}}, nil, start, vanish)
	if e := l.Pods["a"].Destinations["orders"]; e.Limit != 0 || e.Charge != 12 || e.Since != 7 {
		t.Fatalf("at first it is %+v", e)
	}
	l = budget.Next(l, []budget.Pod{{UID: "a", State: &podapi.State{Ledger: 7}}}, nil, start, vanish)
	if _, there := l.Pods["a"].Destinations["orders"]; there {
		t.Errorf("it is still accounted for: %+v", l)
	}
}

func TestVersionRisesOnlyWithWhatIsPushed(t *testing.T) {
	budgets := map[string]int32{"orders": 20}
	l := ledger(6, map[string]budget.Account{"a": entry(30, 20, 6)})
	lower := budget.Next(l, []budget.Pod{{UID: "a", State: says(6, 20, 0)}}, budgets, start, vanish)
	if lower.Version != 6 || lower.Charged("orders") != 20 {
		t.Errorf("a charge that falls is version %d: %+v", lower.Version, lower)
	}
	more := budget.Next(lower, []budget.Pod{{UID: "a", State: says(6, 20, 0)}}, map[string]int32{"orders": 25}, start, vanish)
	if more.Version != 7 || more.Pods["a"].Destinations["orders"].Since != 7 {
		t.Errorf("a limit that rises is version %d: %+v", more.Version, more)
	}
}

func TestALostLedgerBeginsAboveAllThatPodsAccepted(t *testing.T) {
	budgets := map[string]int32{"orders": 20}
	now := start.UnixMilli()
	for name, ran := range map[string]int64{"at the time in milliseconds": 40, "or above what a clock ahead has led to": now + 500} {
		t.Run(name, func(t *testing.T) {
			pods := []budget.Pod{{UID: "a", State: says(ran, 20, 0)}}
			if l := budget.Next(ledger(6, nil), pods, budgets, start, vanish); l.Version != max(now, ran+1) {
				t.Errorf("above what a pod runs at %d is version %d", ran, l.Version)
			}
		})
	}
}

// A container that drains, says that it has nothing, and starts again with the limits of before, all while the ledger is lost.
func TestWhatAPodSaidToALostLedgerProvesNothingToTheNext(t *testing.T) {
	budgets := map[string]int32{"orders": 20}
	l := budget.Next(budget.Ledger{}, []budget.Pod{{UID: "a"}}, budgets, start, vanish)
	before := l.Charged("orders")
	l.Version += 50 // the spec changes
	l = budget.Next(l, []budget.Pod{{UID: "a", State: says(6, 0, 0)}, {UID: "b", State: says(0, 0, 0)}}, budgets, start, vanish)
	if l.Charged("orders") != before || l.Pods["b"].Destinations["orders"].Limit != 0 {
		t.Errorf("an answer from before lowered the charge: %+v", l)
	}
}

func TestALedgerThatBeganBlindKnowsNothingOfThePodsThatItSees(t *testing.T) {
	l := budget.Next(budget.Begin(start), []budget.Pod{{UID: "a"}, {UID: "b", State: says(0, 0, 0)}}, map[string]int32{"orders": 20}, start, vanish)
	if e := l.Pods["a"].Destinations["orders"]; e.Charge < 20 || l.Pods["b"].Destinations["orders"].Limit != 0 {
		t.Errorf("it trusts a pod that never answered: %+v", l)
	}
	if l.Blind {
		t.Error("it goes on as if it saw nothing")
	}
}

func TestNextDoesNotChangeWhatItWasGiven(t *testing.T) {
	l := ledger(6, map[string]budget.Account{"a": entry(20, 20, 5)})
	before, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	budget.Next(l, []budget.Pod{{UID: "a", State: says(6, 20, 3)}, {UID: "b", State: says(0, 0, 0)}}, map[string]int32{"orders": 4, "more": 9}, start, vanish)
	if after, err := json.Marshal(l); err != nil || string(after) != string(before) {
		t.Errorf("it became %s, error %v", after, err)
	}
}

func FuzzLedgerFromAConfigMap(f *testing.F) {
	f.Add([]byte(`{"version":6,"pods":{"a":{"goneSince":7,"destinations":{"orders":{"charge":3,"limit":3,"since":1}}}}}`))
	f.Add([]byte(`{"version":-1,"pods":{"a":{"leaving":true,"destinations":{"orders":{"charge":-3,"limit":2147483647,"since":1}}},"b":{}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var l budget.Ledger
		if json.Unmarshal(text, &l) != nil {
			return
		}
		pods := []budget.Pod{{UID: "a", State: says(l.Version, 3, 3)}, {UID: "b", State: says(0, 0, 0)}}
		next := budget.Next(l, pods, map[string]int32{"orders": 20}, start, vanish)
		if next.Version < l.Version {
			t.Errorf("the version falls from %d to %d", l.Version, next.Version)
		}
	})
}
