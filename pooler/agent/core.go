package agent

import (
	"errors"
	"fmt"
	"maps"

	"github.com/weir-dev/weir/pooler/podapi"
)

// Errors of a push that is refused, to be compared with errors.Is.
var (
	// ErrStale: a newer Config was accepted before.
	ErrStale = errors.New("stale configuration")
	// ErrForeign: the Config is of another pool.
	ErrForeign = errors.New("configuration of another pool")
)

// Core is which Config runs and what this pod may use. It is a value: each step returns the next one.
type Core struct {
	pod    string
	config *podapi.Config          // what runs; nil: none yet
	ledger int64                   // of the last push accepted; 0: none
	shares map[string]podapi.Share // of this pod, by destination
	caps   map[string]int32        // while draining: what limits have fallen to; nil: not draining
}

// NewCore is the Core of a pod that knows nothing yet.
func NewCore(podUID string) Core { return Core{pod: podUID} }

// Kept is the Core after a restart, given the last push that was accepted before it.
func (c Core) Kept(push podapi.Config) Core {
	return c.accept(push)
}

// Mounted is the Core after the mounted Config was read: it runs when it is newer than what runs, but brings no shares.
// The second result tells whether it runs now.
func (c Core) Mounted(mounted podapi.Config) (Core, bool) {
	if c.config != nil && (mounted.Pool != c.config.Pool || mounted.Ledger <= c.config.Ledger) {
		return c, false
	}
	c.config = &mounted
	return c, true
}

// Push is the Core after a push. The second result is false when the very same was accepted before. The error wraps
// ErrStale or ErrForeign.
func (c Core) Push(push podapi.Config) (Core, bool, error) {
	switch {
	case c.config != nil && push.Pool != c.config.Pool:
		return c, false, fmt.Errorf("%w: this pod is of pool %q, not of %q", ErrForeign, c.config.Pool, push.Pool)
	case push.Ledger < c.ledger:
		return c, false, fmt.Errorf("%w: its ledger is %d, but %d was accepted before", ErrStale, push.Ledger, c.ledger)
	case push.Ledger == c.ledger:
		return c, false, nil
	}
	return c.accept(push), true, nil
}

func (c Core) accept(push podapi.Config) Core {
	c.config, c.ledger = &push, push.Ledger
	c.shares = maps.Clone(push.Shares[c.pod])
	return c.fall()
}

// Drain is the Core of a pod that leaves: from now on its limits only fall.
func (c Core) Drain() Core {
	if c.caps != nil {
		return c
	}
	c.caps = map[string]int32{}
	for name, share := range c.shares {
		c.caps[name] = share.MaxOpen
	}
	return c
}

// fall lowers the caps of a pod that leaves to its present shares.
func (c Core) fall() Core {
	if c.caps == nil {
		return c
	}
	caps := map[string]int32{}
	for name, share := range c.shares {
		caps[name] = min(c.caps[name], share.MaxOpen)
	}
	c.caps = caps
	return c
}

// Share is what this pod may use of a destination. Without one its limit is 0, and its clients wait.
func (c Core) Share(destination string) podapi.Share {
	share, ok := c.shares[destination]
	if !ok {
		return podapi.Share{MaxWaiting: podapi.Unlimited}
	}
	if c.caps != nil {
		share.MaxOpen = c.caps[destination]
		share.MinIdle = min(share.MinIdle, share.MaxOpen)
	}
	return share
}

// Config is the Config that runs; nil: none yet. It must not be changed.
func (c Core) Config() *podapi.Config { return c.config }

// Ledger is that of the last push accepted; 0: none.
func (c Core) Ledger() int64 { return c.ledger }

// Draining tells whether the pod leaves.
func (c Core) Draining() bool { return c.caps != nil }

// Applied answers a push.
func (c Core) Applied() podapi.Applied {
	return podapi.Applied{Generation: c.config.Generation, Ledger: c.ledger}
}
