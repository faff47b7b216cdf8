package readiness

import (
	"fmt"
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/pooler/podapi"
)

// sums are the numbers of a destination (or of all) over the pods that report.
type sums struct {
	limit, open, lent, waiting int64
	peakLent, peakWaiting      int64
	timeouts                   int64
	wait                       podapi.Histogram
}

// sum adds up what the pods say about a destination; an empty name is all of them.
func (v view) sum(name string) sums {
	var s sums
	for _, p := range v.pods {
		for _, d := range p.State.Destinations {
			if (name != "" && d.Name != name) || v.Pool.Spec.Destination(d.Name) == nil {
				continue
			}
			s.limit += int64(d.Limit)
			s.open += int64(d.Open)
			s.lent += int64(d.Lent)
			s.waiting += int64(d.Waiting)
			s.peakLent += int64(d.PeakLent)
			s.peakWaiting += int64(d.PeakWaiting)
			s.timeouts += d.AcquireTimeouts
			s.wait = merge(s.wait, d.Wait)
		}
	}
	return s
}

// counts are the connections of a destination, or of all; none while no pod reports.
func (v view) counts(name string) v1alpha1.ConnectionCounts {
	if len(v.pods) == 0 {
		return v1alpha1.ConnectionCounts{}
	}
	s := v.sum(name)
	return v1alpha1.ConnectionCounts{
		Limit:   clamp(s.limit),
		Open:    clamp(s.open),
		InUse:   clamp(s.lent),
		Waiting: clamp(s.waiting),
	}
}

// destination is the status of one destination.
func (v view) destination(d *v1alpha1.Destination) v1alpha1.DestinationStatus {
	out := v1alpha1.DestinationStatus{Name: d.Name, Connections: v.counts(d.Name)}
	for _, old := range v.Pool.Status.Destinations {
		if old.Name == d.Name {
			out.Conditions = slices.Clone(old.Conditions)
		}
	}
	meta.SetStatusCondition(&out.Conditions, v.condition(v1alpha1.ConditionReachable, v.reachable(d.Name)))
	meta.SetStatusCondition(&out.Conditions, v.condition(v1alpha1.ConditionSaturated, v.saturatedAt(d.Name)))
	v.setOrRemove(&out.Conditions, v1alpha1.ConditionHeld, v.heldAt(d))
	v.setOrRemove(&out.Conditions, v1alpha1.ConditionAutoscaled, v.autoscaledAt(d))
	v.setOrRemove(&out.Conditions, v1alpha1.ConditionUsersFound, v.usersFoundAt(d))
	if v.plan != nil {
		out.MaxOpen = new(v.plan.Limits[d.Name])
	}
	if len(v.pods) == 0 {
		return out
	}
	s := v.sum(d.Name)
	out.PeakInUse, out.PeakWaiting = clamp(s.peakLent), clamp(s.peakWaiting)
	out.AcquireTimeouts = clamp(s.timeouts)
	if s.limit > 0 {
		out.UtilizationPercent = clamp(min(100*s.peakLent/s.limit, 1000))
	}
	if p95, ok := quantile(s.wait, 0.95); ok {
		out.AcquireWaitP95Milliseconds = clamp((p95 + 999) / 1000)
	}
	return out
}

// knownFaults are the reasons that pods give for a destination that they cannot reach.
var knownFaults = map[string]string{
	podapi.ReasonUnreachable:          v1alpha1.ReasonUnreachable,
	podapi.ReasonAuthenticationFailed: v1alpha1.ReasonAuthenticationFailed,
	podapi.ReasonDatabaseMissing:      v1alpha1.ReasonDatabaseMissing,
	podapi.ReasonTLSFailed:            v1alpha1.ReasonTLSFailed,
	podapi.ReasonWrongRole:            v1alpha1.ReasonWrongRole,
	podapi.ReasonServerRefused:        v1alpha1.ReasonServerRefused,
}

// reachable says whether the pods can open connections to the destination: not when one of them cannot.
func (v view) reachable(name string) verdict {
	if v.Pool.Spec.Destination(name).Held() {
		return unknown(v1alpha1.ReasonHeld, "pods do not try to connect while clients are held (stopPolicy)")
	}
	answer := unknown(v1alpha1.ReasonNotTried, "no pod has tried to connect yet")
	for _, p := range v.pods {
		d := p.At(name)
		if d == nil || p.Terminating {
			continue
		}
		switch d.Reachable {
		case string(metav1.ConditionTrue):
			answer = yes(v1alpha1.ReasonReachable, "pods can connect")
		case string(metav1.ConditionFalse):
			return fault(d.Fault)
		}
	}
	return answer
}

func fault(f *podapi.Problem) verdict {
	if f == nil {
		return no(v1alpha1.ReasonUnreachable, "pods cannot connect")
	}
	reason, known := knownFaults[f.Reason]
	if !known {
		reason = v1alpha1.ReasonUnreachable
	}
	return no(reason, message(f.Message))
}

// usersFoundAt says whether users can be looked up on the destination, if they are to be: not when one pod cannot.
func (v view) usersFoundAt(d *v1alpha1.Destination) verdict {
	if d.PostgreSQL.Auth.Lookup.UserSecretRef.Name == "" {
		return verdict{}
	}
	for _, p := range v.pods {
		if at := p.At(d.Name); at != nil && !p.Terminating && at.LookupFault != "" {
			return no(v1alpha1.ReasonLookupFailed, message("users cannot be looked up, check the user, the database and the query of auth.lookup: "+at.LookupFault))
		}
	}
	return yes(v1alpha1.ReasonLookupWorks, "users are looked up on the server")
}

// saturatedAt says whether clients of the destination waited although all its connections were in use.
func (v view) saturatedAt(name string) verdict {
	if len(v.pods) == 0 {
		return unknown(v1alpha1.ReasonNoReports, "no pod has reported yet")
	}
	s := v.sum(name)
	switch {
	case s.timeouts > 0:
		return yes(v1alpha1.ReasonAcquireTimeouts, fmt.Sprintf(
			"clients waited in vain for a connection in the last %d seconds: raise limits.maxOpen if the database allows it, or make transactions shorter", v.window()))
	case s.peakWaiting > 0 && s.peakLent >= s.limit:
		return yes(v1alpha1.ReasonWaiting, fmt.Sprintf(
			"clients waited in the last %d seconds while all connections were in use", v.window()))
	default:
		return no(v1alpha1.ReasonConnectionsLeft, "connections are left")
	}
}

// clamp makes a count fit the API.
func clamp(n int64) *int32 { return new(int32(min(max(n, 0), math.MaxInt32))) }
