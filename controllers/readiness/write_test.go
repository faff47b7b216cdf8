package readiness_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/readiness"
)

func TestShouldWrite(t *testing.T) {
	const never, atOnce, afterAWhile = "never", "at once", "after a while"
	tests := map[string]struct {
		change func(*v1alpha1.ConnectionPoolStatus)
		want   string
	}{
		"nothing changed":                {func(*v1alpha1.ConnectionPoolStatus) {}, never},
		"it was only looked at again":    {func(s *v1alpha1.ConnectionPoolStatus) { s.Observation.Time = metav1.NewTime(now.Add(time.Minute)) }, never},
		"a number changed":               {func(s *v1alpha1.ConnectionPoolStatus) { s.Connections.InUse = new(int32(77)) }, afterAWhile},
		"a destination's number changed": {func(s *v1alpha1.ConnectionPoolStatus) { s.Destinations[0].PeakInUse = new(int32(77)) }, afterAWhile},
		"fewer pods report":              {func(s *v1alpha1.ConnectionPoolStatus) { s.Observation.ReportingReplicas = new(int32(1)) }, afterAWhile},
		"a message changed":              {func(s *v1alpha1.ConnectionPoolStatus) { s.Conditions[0].Message = "other words" }, afterAWhile},
		"a condition changed its status": {func(s *v1alpha1.ConnectionPoolStatus) { s.Conditions[0].Status = metav1.ConditionFalse }, atOnce},
		"a condition changed its reason": {func(s *v1alpha1.ConnectionPoolStatus) { s.Conditions[0].Reason = "Other" }, atOnce},
		"a condition is new": {func(s *v1alpha1.ConnectionPoolStatus) {
			s.Conditions = append(s.Conditions, metav1.Condition{Type: "New"})
		}, atOnce},
		"a destination's condition changed":    {func(s *v1alpha1.ConnectionPoolStatus) { s.Destinations[0].Conditions[0].Status = metav1.ConditionFalse }, atOnce},
		"another generation is described":      {func(s *v1alpha1.ConnectionPoolStatus) { s.ObservedGeneration++ }, atOnce},
		"there is another number of pods":      {func(s *v1alpha1.ConnectionPoolStatus) { s.Replicas = new(int32(77)) }, atOnce},
		"another number of pods is ready":      {func(s *v1alpha1.ConnectionPoolStatus) { s.ReadyReplicas = new(int32(77)) }, atOnce},
		"another number of pods is synced":     {func(s *v1alpha1.ConnectionPoolStatus) { s.SyncedReplicas = new(int32(77)) }, atOnce},
		"the address changed":                  {func(s *v1alpha1.ConnectionPoolStatus) { s.Address = "other" }, atOnce},
		"a destination is no longer described": {func(s *v1alpha1.ConnectionPoolStatus) { s.Destinations = s.Destinations[:1] }, atOnce},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			old := calm().status()
			changed := *old.DeepCopy()
			test.change(&changed)
			soon := readiness.ShouldWrite(old, changed, now, now.Add(time.Second))
			later := readiness.ShouldWrite(old, changed, now, now.Add(readiness.WriteEvery))
			got := map[[2]bool]string{{false, false}: never, {false, true}: afterAWhile, {true, true}: atOnce}[[2]bool{soon, later}]
			if got != test.want {
				t.Errorf("it is written %q, not %q", got, test.want)
			}
		})
	}
}

func TestTheDefaultStatusIsReplacedAtOnce(t *testing.T) {
	pending := v1alpha1.ConnectionPoolStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending}}}
	if !readiness.ShouldWrite(pending, calm().status(), now, now) {
		t.Error("the first status is not written")
	}
}
