package plan

import (
	"time"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/sizing"
)

// limits are the most connections that the pool may have of each destination now, and where those are that size themselves.
func limits(o *Observation) (limits map[string]int32, sizes map[string]sizing.State) {
	limits = map[string]int32{}
	for i := range o.Pool.Spec.Destinations {
		d := &o.Pool.Spec.Destinations[i]
		limits[d.Name] = o.Pool.Spec.MaxOpen(d)
		if d.Limits.Autoscale == nil {
			continue
		}
		state := o.Document.Sizes[d.Name]
		if o.PodsKnown {
			state = sizing.Next(state, o.sizeBounds(d), o.usage(d), o.Now)
		}
		if state.Limit == 0 {
			continue
		}
		limits[d.Name] = min(limits[d.Name], state.Limit)
		if sizes == nil {
			sizes = map[string]sizing.State{}
		}
		sizes[d.Name] = state
	}
	return limits, sizes
}

// sizeBounds are what the limit of a destination that sizes itself may be. Each pod needs a connection, also one that a rollout
// adds.
func (o *Observation) sizeBounds(d *v1alpha1.Destination) sizing.Bounds {
	ceiling := o.Pool.Spec.MaxOpen(d)
	pods := max(o.Pool.Replicas()+1, int32(len(o.Pods)))
	return sizing.Bounds{
		Floor:         min(max(d.Limits.Autoscale.LowestOpen(), pods), ceiling),
		Ceiling:       ceiling,
		TargetPercent: d.Limits.Autoscale.TargetPercent(),
		Stabilization: time.Duration(d.Limits.Autoscale.Stabilization()) * time.Second,
	}
}

// usage is what the pods that report say of a destination. The peaks of pods are added up, although they need not have been at
// the same moment: that is on the safe side.
func (o *Observation) usage(d *v1alpha1.Destination) sizing.Observed {
	used := sizing.Observed{Calm: !d.Held() && len(o.Pods) > 0}
	for _, p := range o.Pods {
		if !p.Reports(o.Now) {
			used.Calm = used.Calm && p.Terminating
			continue
		}
		if state := p.At(d.Name); state != nil {
			used.PeakInUse += state.PeakLent
			used.InUse += state.Lent
			used.Waiting += state.Waiting
		}
	}
	return used
}

// Autoscaled is where the limit of a destination is that sizes itself, and whether clients would get more if that were allowed.
func (o *Observation) Autoscaled(d *v1alpha1.Destination, p *Plan) (state sizing.State, wants, ok bool) {
	state, ok = p.Document.Sizes[d.Name]
	if d.Limits.Autoscale == nil || !ok {
		return sizing.State{}, false, false
	}
	return state, state.Wants(o.sizeBounds(d), o.usage(d)), true
}

// growing says whether the limit of some destination is to be raised again soon: clients wait for it.
func growing(o *Observation, p *Plan) bool {
	for i := range o.Pool.Spec.Destinations {
		d := &o.Pool.Spec.Destinations[i]
		state, _, ok := o.Autoscaled(d, p)
		used := o.usage(d)
		if ok && used.Waiting > 0 && used.InUse >= state.Limit && state.Limit < o.Pool.Spec.MaxOpen(d) {
			return true
		}
	}
	return false
}
