package agent

import (
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// legacy is what the process before a restart may still have open at the servers. Until they must have noticed its end
// nothing is opened, as both together could be more than the pod's share; and the State counts the whole share. Clients wait.
// The zero value is nothing.
type legacy struct {
	shares map[string]podapi.Share // by destination; nil: nothing is left
	until  time.Time
}

func leftBy(shares map[string]podapi.Share, until time.Time) legacy {
	if !time.Now().Before(until) {
		return legacy{}
	}
	return legacy{shares, until}
}

// less is what may be used of a share now.
func (l legacy) less(share podapi.Share) podapi.Share {
	if l.shares != nil {
		share.MaxOpen, share.MinIdle = 0, 0
	}
	return share
}

// bound is how many connections to a destination may be left.
func (l legacy) bound(destination string) (most int32, ok bool) {
	return l.shares[destination].MaxOpen, l.shares != nil
}

// settle reports whether nothing is left from now on. It is called with the turn held.
func (a *Agent) settle() bool {
	if a.legacy.shares == nil || time.Now().Before(a.legacy.until) {
		return false
	}
	a.mu.Lock()
	a.legacy = legacy{}
	a.mu.Unlock()
	a.log.Info("the servers must have closed the connections of the process before: limits hold")
	return true
}
