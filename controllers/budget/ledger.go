package budget

import (
	"maps"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// Ledger says what each pod may have of each destination. The zero Ledger is that of a pool that is new, or whose
// ledger was lost.
type Ledger struct {
	// Version only rises, from when the ledger began in milliseconds since 1970. It is that of the document in which the limits
	// are pushed, podapi.Config.Ledger.
	Version int64 `json:"version"`

	// Blind says that it began when nobody could tell which pods there were, or that it was recalled: of pods that show
	// nothing is known.
	Blind bool `json:"blind,omitempty"`

	// Pods are the accounts by pod UID.
	Pods map[string]Account `json:"pods,omitempty"`
}

// Account is what one pod may have.
type Account struct {
	// GoneSince is when the pod was first not seen any more, in seconds since 1970; 0 for a pod that is there.
	GoneSince int64 `json:"goneSince,omitempty"`

	// Leaving says that the pod has begun to terminate: it is not raised any more, and its container does not start again.
	Leaving bool `json:"leaving,omitempty"`

	// Destinations are the entries by name of the destination.
	Destinations map[string]Entry `json:"destinations,omitempty"`
}

// Entry is what one pod may have of one destination. Limit <= Charge.
type Entry struct {
	Charge int32 `json:"charge"` // the most connections that the pod may have
	Limit  int32 `json:"limit"`  // what the pod is told
	Since  int64 `json:"since"`  // the version that set Limit; a state that is older proves nothing
}

// Pod is what was observed of a pod of the pool.
type Pod struct {
	UID         string
	Terminating bool

	// State is the last one that the pod answered with, however old; nil if it never answered this operator.
	State *podapi.State

	// Silent says that the pod does not answer at present.
	Silent bool
}

// Recalled is a ledger that an operator wrote and that is nowhere else any more. Another operator may have changed it since, so
// it proves nothing of pods that are there; but what gone pods are charged with stays held.
func (l Ledger) Recalled() Ledger {
	l.Blind = true
	return l
}

// Charged is the sum of all charges of a destination.
func (l Ledger) Charged(destination string) int32 {
	var sum int32
	for _, a := range l.Pods {
		sum += a.Destinations[destination].Charge
	}
	return sum
}

// Gone is the sum of the charges of a destination that are held for pods that are gone.
func (l Ledger) Gone(destination string) int32 {
	var sum int32
	for _, a := range l.Pods {
		if a.GoneSince != 0 {
			sum += a.Destinations[destination].Charge
		}
	}
	return sum
}

// Moving says whether some pod has yet to prove that it let go of connections, or some gone pod still holds a charge.
func (l Ledger) Moving() bool {
	for _, a := range l.Pods {
		if a.GoneSince != 0 {
			return true
		}
		for _, e := range a.Destinations {
			if e.Charge > e.Limit {
				return true
			}
		}
	}
	return false
}

func (l Ledger) clone() Ledger {
	pods := make(map[string]Account, len(l.Pods))
	for uid, a := range l.Pods {
		a.Destinations = maps.Clone(a.Destinations)
		pods[uid] = a
	}
	return Ledger{Version: l.Version, Pods: pods}
}

func (a Account) charged() bool {
	for _, e := range a.Destinations {
		if e.Charge > 0 {
			return true
		}
	}
	return false
}

func (a Account) goneFor(now time.Time) time.Duration { return now.Sub(time.Unix(a.GoneSince, 0)) }
