package sizing_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/controllers/sizing"
)

var (
	start  = time.Unix(1_800_000_000, 0)
	bounds = sizing.Bounds{Floor: 4, Ceiling: 100, TargetPercent: 80, Stabilization: 5 * time.Minute}
)

func at(limit int32) sizing.State {
	return sizing.State{Limit: limit, Reason: sizing.Begun, Since: start.Add(-time.Hour).Unix()}
}

func TestEachStepHasAReason(t *testing.T) {
	low := at(50)
	low.LowSince, low.LowPeak = start.Add(-5*time.Minute).Unix(), 30
	tests := []struct {
		name     string
		state    sizing.State
		observed sizing.Observed
		want     string
	}{
		{"it begins at the top", sizing.State{}, sizing.Observed{}, "100 Begun"},
		{"what is in use fits", at(50), sizing.Observed{PeakInUse: 40, InUse: 30, Calm: true}, "50 Begun"},
		{"more than the target is in use", at(50), sizing.Observed{PeakInUse: 48, InUse: 48}, "60 RaisedForUse"},
		{"a little more than the target is none", at(50), sizing.Observed{PeakInUse: 42, InUse: 42}, "50 Begun"},
		{"clients wait while all is in use", at(20), sizing.Observed{PeakInUse: 20, InUse: 20, Waiting: 300}, "40 RaisedForWaiting"},
		{"clients wait, and the ceiling is near", at(70), sizing.Observed{PeakInUse: 70, InUse: 70, Waiting: 300}, "100 RaisedForWaiting"},
		{"clients wait although connections are left", at(20), sizing.Observed{PeakInUse: 5, InUse: 0, Waiting: 300, Calm: true}, "20 Begun"},
		{"a lower limit is in sight", at(50), sizing.Observed{PeakInUse: 8, Calm: true}, "50 Begun, 10 since 0s"},
		{"and was for the whole time", low, sizing.Observed{PeakInUse: 8, Calm: true}, "30 Lowered"},
		{"but then more was used", low, sizing.Observed{PeakInUse: 40, Calm: true}, "50 Begun"},
		{"but not every pod reports", low, sizing.Observed{PeakInUse: 8}, "50 Begun"},
		{"never below the floor", at(50), sizing.Observed{Calm: true}, "50 Begun, 4 since 0s"},
		{"at the floor there is nothing to lower", at(4), sizing.Observed{Calm: true}, "4 Begun"},
		{"the ceiling has come down", at(500), sizing.Observed{PeakInUse: 500, InUse: 500, Waiting: 9}, "100 Bounded"},
		{"the floor has come up", at(2), sizing.Observed{}, "4 Bounded"},
		{"a step up was made just now", sizing.State{Limit: 20, Reason: sizing.RaisedForWaiting, Since: start.Unix()},
			sizing.Observed{PeakInUse: 20, InUse: 20, Waiting: 300}, "20 RaisedForWaiting"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := sizing.Next(test.state, bounds, test.observed, start)
			got := fmt.Sprintf("%d %s", s.Limit, s.Reason)
			if s.LowSince != 0 {
				got += fmt.Sprintf(", %d since %s", s.LowPeak, start.Sub(time.Unix(s.LowSince, 0)))
			}
			if got != test.want {
				t.Errorf("got %s, not %s", got, test.want)
			}
		})
	}
}

// pool plays a pool whose clients want a number of connections in each second.
type pool struct {
	state   sizing.State
	now     time.Time
	peaks   [60]int32
	raised  int
	lowered []time.Time
}

// second lets the limit and a second of demand meet.
func (p *pool) second(demand int32, b sizing.Bounds) {
	limit := p.state.Limit
	inUse := min(demand, limit)
	p.peaks[p.now.Unix()%60] = inUse
	peak := int32(0)
	for _, used := range p.peaks {
		peak = max(peak, used)
	}
	p.state = sizing.Next(p.state, b, sizing.Observed{PeakInUse: peak, InUse: inUse, Waiting: demand - inUse, Calm: true}, p.now)
	switch {
	case p.state.Limit > limit && limit > 0:
		p.raised++
	case p.state.Limit < limit:
		p.lowered = append(p.lowered, p.now)
	}
	p.now = p.now.Add(time.Second)
}

// Whatever demand does, the limit stays within its bounds, follows waiting clients within seconds, and falls at most once in a
// stabilization time; and a demand that repeats within that time moves it no more once it is known.
func TestTheLimitFollowsDemandAndDoesNotFlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := bounds
		b.Ceiling = rapid.Int32Range(4, 300).Draw(t, "ceiling")
		b.TargetPercent = rapid.Int32Range(10, 100).Draw(t, "target")
		p := &pool{now: start}
		wild := rapid.SliceOfN(rapid.Int32Range(0, 400), 1, 40).Draw(t, "demand by half minutes")
		for _, demand := range wild {
			for range 30 {
				p.second(demand, b)
				if p.state.Limit < b.Floor || p.state.Limit > b.Ceiling {
					t.Fatalf("the limit is %d", p.state.Limit)
				}
			}
			if p.state.Limit < min(demand, b.Ceiling) {
				t.Fatalf("half a minute after clients wanted %d the limit is %d", demand, p.state.Limit)
			}
		}
		for i := range p.lowered[:max(0, len(p.lowered)-1)] {
			if apart := p.lowered[i+1].Sub(p.lowered[i]); apart < b.Stabilization {
				t.Fatalf("it is lowered twice within %s", apart)
			}
		}

		waves := rapid.SliceOfN(rapid.Int32Range(0, 400), 1, 8).Draw(t, "demand that repeats, by half minutes")
		turn := func() {
			for _, demand := range waves {
				for range 30 {
					p.second(demand, b)
				}
			}
		}
		turns := func(span time.Duration) {
			for begun := p.now; p.now.Sub(begun) < span; {
				turn()
			}
		}
		turns(3 * b.Stabilization)
		p.raised, p.lowered = 0, nil
		turns(3 * b.Stabilization)
		if p.raised > 0 || len(p.lowered) > 0 {
			t.Fatalf("a demand that repeats still moves it: raised %d times, lowered %d times, now %+v", p.raised, len(p.lowered), p.state)
		}
	})
}

// An operator that starts anew goes on from the State that the one before has kept.
func TestTheStateSaysEverything(t *testing.T) {
	p := &pool{now: start}
	for range 200 {
		p.second(10, bounds)
	}
	heir := &pool{now: p.now, state: p.state}
	for range 400 {
		heir.second(10, bounds)
	}
	if len(heir.lowered) == 0 || heir.lowered[0].Sub(start) > 7*time.Minute {
		t.Errorf("lowered at %v, begun at %v", heir.lowered, start)
	}
}
