package readiness

import (
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// WriteEvery is the shortest time between two writes of a status in which only numbers changed.
const WriteEvery = 10 * time.Second

// ShouldWrite says whether a new status is worth a write now: at once when a condition (its status or reason), the
// generation, the address or a count of pods changed, and otherwise only if some number or message changed and the last
// write is WriteEvery old. The time of the observation alone is no change.
func ShouldWrite(old, new v1alpha1.ConnectionPoolStatus, lastWrite, now time.Time) bool {
	if Differs(old, new) {
		return true
	}
	old.Observation.Time, new.Observation.Time = metav1.Time{}, metav1.Time{}
	if equality.Semantic.DeepEqual(old, new) {
		return false
	}
	return now.Sub(lastWrite) >= WriteEvery
}

// Differs says whether two statuses differ in more than counts of connections, texts and times.
func Differs(old, new v1alpha1.ConnectionPoolStatus) bool {
	return !equality.Semantic.DeepEqual(essence(old), essence(new))
}

// essence is what of a status must be seen at once: everything but counts of connections, texts and times.
func essence(s v1alpha1.ConnectionPoolStatus) v1alpha1.ConnectionPoolStatus {
	out := v1alpha1.ConnectionPoolStatus{
		Conditions:         bare(s.Conditions),
		ObservedGeneration: s.ObservedGeneration,
		Selector:           s.Selector,
		Address:            s.Address,
		Replicas:           s.Replicas,
		ReadyReplicas:      s.ReadyReplicas,
		SyncedReplicas:     s.SyncedReplicas,
	}
	for _, d := range s.Destinations {
		out.Destinations = append(out.Destinations, v1alpha1.DestinationStatus{Name: d.Name, Conditions: bare(d.Conditions), MaxOpen: d.MaxOpen})
	}
	return out
}

// bare are conditions without their texts and times.
func bare(conditions []metav1.Condition) []metav1.Condition {
	out := make([]metav1.Condition, len(conditions))
	for i, c := range conditions {
		c.Message, c.LastTransitionTime = "", metav1.Time{}
		out[i] = c
	}
	return out
}
