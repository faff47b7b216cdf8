package readiness

import (
	"fmt"
	"strings"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/sizing"
)

// sizesIgnored names the sizes that have no effect.
func (v view) sizesIgnored() verdict {
	var names []string
	for _, size := range v.Pool.Spec.Sizes {
		if v.Pool.Spec.Destination(size.Destination) == nil {
			names = append(names, fmt.Sprintf("%q", size.Destination))
		}
	}
	if len(names) == 0 {
		return verdict{}
	}
	return yes(v1alpha1.ReasonUnknownDestination, message(fmt.Sprintf(
		"sizes name destinations that are not there: %s; remove them, or mend their names", strings.Join(names, ", "))))
}

// why the limit of a destination is where it is.
var why = map[sizing.Reason]verdict{
	sizing.Begun:            yes(v1alpha1.ReasonBegun, "the limit begins at the highest; it is lowered when less was enough for the stabilization time"),
	sizing.RaisedForWaiting: yes(v1alpha1.ReasonRaisedForWaiting, "the limit was raised because clients waited while all connections were in use"),
	sizing.RaisedForUse:     yes(v1alpha1.ReasonRaisedForUse, "the limit was raised because more than the target was in use"),
	sizing.Lowered:          yes(v1alpha1.ReasonLowered, "the limit was lowered because less was enough for the stabilization time"),
	sizing.Bounded:          yes(v1alpha1.ReasonBounded, "the limit was moved because what is allowed, or the number of pods, has changed"),
}

// autoscaledAt says why the limit of a destination is where it is; nothing when it does not move by itself.
func (v view) autoscaledAt(d *v1alpha1.Destination) verdict {
	if v.plan == nil {
		return verdict{}
	}
	state, wants, ok := v.Autoscaled(d, v.plan)
	if ok && wants {
		return no(v1alpha1.ReasonAtMaxOpen, "clients need more connections than are allowed: raise limits.maxOpen, or the size, if the database has room")
	}
	return why[state.Reason]
}
