package controllers

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

func with(conditions ...metav1.Condition) v1alpha1.ConnectionPoolStatus {
	return v1alpha1.ConnectionPoolStatus{Conditions: conditions}
}

func at(destination string, conditions ...metav1.Condition) v1alpha1.ConnectionPoolStatus {
	return v1alpha1.ConnectionPoolStatus{Destinations: []v1alpha1.DestinationStatus{{Name: destination, Conditions: conditions}}}
}

func TestWhatPeopleAreTold(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: "because of " + reason}
	}
	ready := condition(v1alpha1.ConditionReady, "True", "Ready")
	clash := condition(v1alpha1.ConditionStalled, "True", "NameClash")
	unreachable := condition(v1alpha1.ConditionReachable, "False", "Unreachable")
	tests := map[string]struct {
		old, new v1alpha1.ConnectionPoolStatus
		want     []note
	}{
		"nothing when nothing changed":      {old: with(ready, clash), new: with(ready, clash)},
		"nothing of a pool that starts":     {new: with(condition(v1alpha1.ConditionReady, "False", "NoPods"), condition(v1alpha1.ConditionReconciling, "True", "RollingOut"))},
		"that the pool has become ready":    {old: with(condition(v1alpha1.ConditionReady, "Unknown", "Pending")), new: with(ready), want: []note{{"Normal", "Ready", "because of Ready"}}},
		"that the pool is stalled":          {new: with(clash), want: []note{{"Warning", "NameClash", "because of NameClash"}}},
		"that it is stalled for another":    {old: with(condition(v1alpha1.ConditionStalled, "True", "SecretMissing")), new: with(clash), want: []note{{"Warning", "NameClash", "because of NameClash"}}},
		"nothing when stalled has ended":    {old: with(clash), new: with()},
		"that clients wait":                 {new: with(condition(v1alpha1.ConditionSaturated, "True", "Waiting")), want: []note{{"Warning", "Waiting", "because of Waiting"}}},
		"nothing when connections are left": {old: with(condition(v1alpha1.ConditionSaturated, "True", "Waiting")), new: with(condition(v1alpha1.ConditionSaturated, "False", "ConnectionsLeft"))},
		"that a destination is unreachable": {old: at("main"), new: at("main", unreachable), want: []note{{"Warning", "Unreachable", `destination "main": because of Unreachable`}}},
		"that users cannot be looked up":    {old: at("main"), new: at("main", condition(v1alpha1.ConditionUsersFound, "False", "LookupFailed")), want: []note{{"Warning", "LookupFailed", `destination "main": because of LookupFailed`}}},
		"nothing of what still is":          {old: at("main", unreachable), new: at("main", unreachable)},
		"the same of another destination":   {old: at("other", unreachable), new: at("main", unreachable), want: []note{{"Warning", "Unreachable", `destination "main": because of Unreachable`}}},
		"nothing of what is not known":      {new: at("main", condition(v1alpha1.ConditionReachable, "Unknown", "NotTried"))},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := notable(test.old, test.new); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestTheTextOfAnEventFits(t *testing.T) {
	if text := "short"; shorten(text) != text {
		t.Error("a short text was changed")
	}
	if got := shorten(strings.Repeat("ü", 2000)); len(got) > maxNote || !utf8.ValidString(got) || !strings.HasSuffix(got, "...") {
		t.Errorf("got %d bytes: %q", len(got), got[len(got)-10:])
	}
}
