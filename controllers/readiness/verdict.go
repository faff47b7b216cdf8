package readiness

import (
	"strings"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// verdict is what a policy says: the zero one does not object.
type verdict struct {
	Status  metav1.ConditionStatus
	Reason  string
	Message string
}

func yes(reason, message string) verdict {
	return verdict{Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

func no(reason, message string) verdict {
	return verdict{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

func unknown(reason, message string) verdict {
	return verdict{Status: metav1.ConditionUnknown, Reason: reason, Message: message}
}

// first is what the first policy that objects says, or otherwise.
func first(otherwise verdict, policies ...func() verdict) verdict {
	for _, policy := range policies {
		if said := policy(); said != (verdict{}) {
			return said
		}
	}
	return otherwise
}

// maxMessage bounds what pods can put into a status, in bytes.
const maxMessage = 1024

// message is a pod's text as it may stand in a condition.
func message(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= maxMessage {
		return text
	}
	end := maxMessage
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}
