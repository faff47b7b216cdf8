package budget

import "github.com/weir-dev/weir/pooler/podapi"

// demand is what a pod wants of a destination, as it said last. A pod with nothing to do wants one connection: it may not
// stand without any when a client comes.
func (t *turn) demand(uid, name string) Demand {
	d := Demand{Want: 1, Peak: 1, Held: t.Pods[uid].Destinations[name].Limit}
	for _, s := range t.pods[uid].State.Destinations {
		if s.Name == name {
			d.Want = max(1, Wanted(s))
			d.Peak = max(d.Want, s.PeakLent)
		}
	}
	return d
}

// Wanted is how many connections a pod's clients want now. A pod of an older release does not say it.
func Wanted(s podapi.DestinationState) int32 { return max(s.Wanted, s.Lent+s.Waiting) }

// content says whether the limits may stay as they are although others would be fairer: all of total is given out, nobody wants
// more than it has and could have it, and nobody has less than half of what it should have. Demand moves all the time, and
// shares that moved with it would be written and pushed all the time.
func content(total int32, demands []Demand, targets []int32) bool {
	for i, d := range demands {
		total -= d.Held
		short := d.Want > d.Held && targets[i] > d.Held
		if short || 2*int64(d.Held) < int64(targets[i]) {
			return false
		}
	}
	return total == 0
}
