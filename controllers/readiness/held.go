package readiness

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/budget"
	"github.com/weir-dev/weir/controllers/plan"
)

// held says whether all destinations that are to be held are; nothing when none is to be.
func (v view) held() verdict {
	var answer verdict
	for i := range v.Pool.Spec.Destinations {
		d := &v.Pool.Spec.Destinations[i]
		a := v.heldAt(d)
		if a == (verdict{}) {
			continue
		}
		a.Message = fmt.Sprintf("destination %q: %s", d.Name, a.Message)
		if answer == (verdict{}) || answer.Status == metav1.ConditionTrue {
			answer = a
		}
	}
	return answer
}

// heldAt says whether a destination is held: the pods said so, and nothing runs any more.
func (v view) heldAt(d *v1alpha1.Destination) verdict {
	if !d.Held() {
		return verdict{}
	}
	var ledger budget.Ledger
	if v.plan != nil {
		ledger = v.plan.Document.Ledger
	}
	switch v.Holding(d, ledger) {
	case plan.HoldingPods:
		return no(v1alpha1.ReasonHolding, "some pods have yet to hold their clients back")
	case plan.HoldingInUse:
		return no(v1alpha1.ReasonHolding, "transactions still run, or sessions are pinned to their connections; connections.inUse says how many")
	case plan.HoldingOpen:
		return no(v1alpha1.ReasonHolding, "connections are being closed")
	case plan.HoldingGone:
		return no(v1alpha1.ReasonHolding, "the database may not have noticed yet that a pod is gone, with its connections")
	}
	if d.StopPolicy == v1alpha1.StopPolicyHoldAndDrain {
		return yes(v1alpha1.ReasonDrained, "clients wait and no connection is open; stopPolicy None lets them go on")
	}
	return yes(v1alpha1.ReasonHeld, "clients wait and no transaction runs; stopPolicy None lets them go on")
}

// onHold objects while clients are kept from some destination.
func (v view) onHold() verdict {
	a := v.held()
	if a == (verdict{}) {
		return verdict{}
	}
	return no(v1alpha1.ReasonHeld, a.Message)
}
