package plan

import (
	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/budget"
)

// Holding is what the hold of a destination still waits for.
type Holding int

// What a hold waits for, the first that is found; None: it is complete.
const (
	HoldingNone   Holding = iota
	HoldingPods           // some pod has not said that it holds its clients back
	HoldingInUse          // clients have connections: transactions run, or sessions are pinned
	HoldingOpen           // connections are being closed
	HoldingGone           // the database may not have noticed yet that a pod is gone
	holdingNobody         // nobody is to be held
)

// Holding says how far the hold of a destination has come. It is about what pods said, however old: on hold a pod gets no
// further connection unless it is told so.
func (o *Observation) Holding(d *v1alpha1.Destination, ledger budget.Ledger) Holding {
	if !d.Held() {
		return holdingNobody
	}
	var lent, open int32
	for _, p := range o.Pods {
		state := p.At(d.Name)
		switch {
		case state == nil && ledger.Pods[p.UID].Destinations[d.Name].Charge == 0:
			continue // it has never had a limit
		case state == nil || state.StopPolicy != string(d.StopPolicy):
			return HoldingPods
		}
		lent += state.Lent + state.Resetting
		open += state.Open
	}
	switch {
	case lent > 0:
		return HoldingInUse
	case d.StopPolicy != v1alpha1.StopPolicyHoldAndDrain:
		return HoldingNone
	case open > 0:
		return HoldingOpen
	case ledger.Gone(d.Name) > 0:
		return HoldingGone
	}
	return HoldingNone
}
