package controllers

import (
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

// maxNote is what the API server takes as the text of an event, in bytes.
const maxNote = 1024

// note is an event in the making.
type note struct {
	kind    string // corev1.EventTypeNormal or EventTypeWarning
	reason  string
	message string
}

// announce sends an event for each change between two statuses that a person should hear of.
func (p *pass) announce(old, new v1alpha1.ConnectionPoolStatus) {
	for _, n := range notable(old, new) {
		p.Events.Eventf(p.pool, nil, n.kind, n.reason, "Reconcile", "%s", shorten(n.message))
	}
}

// notable lists what a person should hear of: the pool has become ready, held, stalled or saturated, or cannot reach a
// destination or look its users up.
// A condition that stays what it was is not news.
func notable(old, new v1alpha1.ConnectionPoolStatus) []note {
	var notes []note
	if c := turned(old.Conditions, new.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue); c != nil {
		notes = append(notes, note{corev1.EventTypeNormal, c.Reason, c.Message})
	}
	if c := turned(old.Conditions, new.Conditions, v1alpha1.ConditionHeld, metav1.ConditionTrue); c != nil {
		notes = append(notes, note{corev1.EventTypeNormal, c.Reason, c.Message})
	}
	for _, kind := range []string{v1alpha1.ConditionStalled, v1alpha1.ConditionSaturated} {
		if c := turned(old.Conditions, new.Conditions, kind, metav1.ConditionTrue); c != nil {
			notes = append(notes, note{corev1.EventTypeWarning, c.Reason, c.Message})
		}
	}
	for i := range new.Destinations {
		d := &new.Destinations[i]
		for _, kind := range []string{v1alpha1.ConditionReachable, v1alpha1.ConditionUsersFound} {
			if c := turned(conditionsOf(old, d.Name), d.Conditions, kind, metav1.ConditionFalse); c != nil {
				notes = append(notes, note{corev1.EventTypeWarning, c.Reason, "destination \"" + d.Name + "\": " + c.Message})
			}
		}
	}
	return notes
}

// turned is the condition if it has this status now and did not have it, or had it for another reason, before.
func turned(old, new []metav1.Condition, kind string, status metav1.ConditionStatus) *metav1.Condition {
	now, before := meta.FindStatusCondition(new, kind), meta.FindStatusCondition(old, kind)
	if now == nil || now.Status != status {
		return nil
	}
	if before != nil && before.Status == status && before.Reason == now.Reason {
		return nil
	}
	return now
}

func conditionsOf(status v1alpha1.ConnectionPoolStatus, destination string) []metav1.Condition {
	for i := range status.Destinations {
		if status.Destinations[i].Name == destination {
			return status.Destinations[i].Conditions
		}
	}
	return nil
}

// shorten cuts a text to what an event holds.
func shorten(text string) string {
	if len(text) <= maxNote {
		return text
	}
	end := maxNote - len("...")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}
