package readiness

import (
	"slices"

	"github.com/weir-dev/weir/pooler/podapi"
)

// merge adds two histograms. One that has other bounds, as from a pod of another release, is left out: a percentile over
// fewer pods is better than a wrong one.
func merge(a, b podapi.Histogram) podapi.Histogram {
	switch {
	case !valid(b):
		return a
	case !valid(a):
		return podapi.Histogram{BoundsMicroseconds: b.BoundsMicroseconds, Counts: slices.Clone(b.Counts)}
	case !slices.Equal(a.BoundsMicroseconds, b.BoundsMicroseconds):
		return a
	}
	for i := range a.Counts {
		a.Counts[i] += b.Counts[i]
	}
	return a
}

func valid(h podapi.Histogram) bool {
	return len(h.BoundsMicroseconds) > 0 && len(h.Counts) == len(h.BoundsMicroseconds)+1
}

// quantile is the upper bound, in microseconds, of the bucket that the quantile falls into; what is above all bounds
// counts as the highest. It is not ok without counts.
func quantile(h podapi.Histogram, q float64) (micros int64, ok bool) {
	var total int64
	for _, n := range h.Counts {
		total += n
	}
	if total == 0 || !valid(h) {
		return 0, false
	}
	need := q * float64(total)
	var seen int64
	for i, bound := range h.BoundsMicroseconds {
		seen += h.Counts[i]
		if float64(seen) >= need {
			return bound, true
		}
	}
	return h.BoundsMicroseconds[len(h.BoundsMicroseconds)-1], true
}
