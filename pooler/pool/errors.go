package pool

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrClosed is what Acquire returns when the Pool or Set is closed, or was closed while the client waited.
	ErrClosed = errors.New("pool: closed")
	// ErrQueueFull is what Acquire returns when Config.MaxWaiting clients wait already.
	ErrQueueFull = errors.New("pool: too many clients wait")
	// ErrShed is what Acquire returns to a client that waited while the queue stood, see Queue.Adaptive.
	ErrShed = errors.New("pool: shed, waits are too long")
)

// WaitError says why a client was not served in time. It answers "is the pool too small or the database down?" at once:
//
//	pool: no connection after 5s: 16 of 16 open, 16 lent, 41 clients ahead: context deadline exceeded
//	pool: no connection after 5s: 0 of 16 open, dialing failed 12 times, last: connection refused
//	pool: no connection after 5s: user app has 8 of 8 open, 8 lent, 2 clients ahead: context deadline exceeded
type WaitError struct {
	Waited time.Duration
	Ahead  int   // clients before this one when it gave up, at most
	Counts Brief // of its pool or tenant, at that time
	Fails  int   // dials that failed in a row
	Dial   error // the last dial error if dialing failed while it waited, else nil
	Err    error // the cause of the context's end; context.DeadlineExceeded without a context. errors.Is sees it and Dial
}

// Brief is the counts that explain a wait. Max is the limit that held: of Config.Max, Config.TenantMax, Set.Limit and Set.SetBudget
// the lowest.
type Brief struct {
	Tenant                   string // whose counts these are if it has as many as it may; else empty, and they are the pool's
	Open, Max, Lent, Dialing int
	Reserved                 int // of Max, for clients of class 3
	Paused                   bool
}

func (e *WaitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pool: no connection after %v: ", e.Waited.Round(time.Millisecond))
	if e.Counts.Tenant != "" {
		fmt.Fprintf(&b, "%s has ", e.Counts.Tenant)
	}
	fmt.Fprintf(&b, "%d of %d open", e.Counts.Open, e.Counts.Max)
	if e.Counts.Lent > 0 {
		fmt.Fprintf(&b, ", %d lent", e.Counts.Lent)
	}
	if e.Counts.Reserved > 0 {
		fmt.Fprintf(&b, ", %d reserved", e.Counts.Reserved)
	}
	if e.Counts.Paused {
		b.WriteString(", paused")
	}
	if e.Dial != nil {
		fmt.Fprintf(&b, ", dialing failed %s, last: %v", times(e.Fails), e.Dial)
		return b.String()
	}
	if e.Counts.Dialing > 0 {
		fmt.Fprintf(&b, ", %d dialing", e.Counts.Dialing)
	}
	fmt.Fprintf(&b, ", %d clients ahead: %v", e.Ahead, e.Err)
	return b.String()
}

// Unwrap lets errors.Is and errors.As see why the wait ended and why dialing failed.
func (e *WaitError) Unwrap() []error {
	if e.Dial == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Dial}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
