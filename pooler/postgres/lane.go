package postgres

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
)

// laneBuffer is what a lane reads at a time. It goes out at once, and with what TLS adds it fits two segments as the system
// makes them, of 64 kB with headers: with a little more there is one that is nearly empty, which cost a seventh of a large
// result. With one segment a large result over TLS costs 3 % more, with four not less.
const laneBuffer = 126 << 10

// lane is a loop with what all sessions on it share. Everything in it is used on the loop only.
type lane struct {
	*loop.Loop
	tag     uint64 // of server connections that were last used here
	in      []byte // what is read, for as long as it is looked at
	cipher  []byte // TLS on its way to a socket
	out     []byte // what several steps have told to send, to go out at once
	waiters waiters
	entries []*entry     // logins that are under way here
	pending atomic.Int32 // how many
}

func newLane(tag uint64) (*lane, error) {
	l, err := loop.New()
	if err != nil {
		return nil, err
	}
	return &lane{Loop: l, tag: tag, in: make([]byte, laneBuffer)}, nil
}

// mark makes of a tag of settings one that says, too, where a server connection is: moving it costs more than telling it
// settings, but both are only preferred.
func (l *lane) mark(tag uint64) uint64 { return tag ^ l.tag*0x9e3779b97f4a7c15 }

// laneFor chooses the lane of a new client or server connection: each in turn.
func (e *Engine) laneFor() *lane {
	return e.lanes[e.nextLane.Add(1)%uint64(len(e.lanes))]
}

// openLanes starts the loops.
func (e *Engine) openLanes(n int) error {
	for i := range n {
		l, err := newLane(uint64(i + 1))
		if err != nil {
			e.closeLanes()
			return fmt.Errorf("start an event loop: %w", err)
		}
		e.lanes = append(e.lanes, l)
	}
	return nil
}

// closeLanes ends the loops, and closes the clients that have not gone in time.
func (e *Engine) closeLanes() {
	for _, cl := range e.clients.list() {
		cl.lane.Post(cl.close)
	}
	for _, l := range e.lanes {
		l.Post(l.waiters.stop)
		l.Post(l.endEntries)
		l.Close()
	}
}

// survey calls f for each client on its lane, for one at a time, and returns when it was called for all. Clients that are
// still in their login, or at the console, do not change anything f looks at meanwhile.
func (e *Engine) survey(f func(cl *client)) {
	onLanes(e, e.clients.list(), func(cl *client) *lane { return cl.lane }, f)
}

// surveyConns is survey for server connections.
func (e *Engine) surveyConns(f func(c *conn)) {
	onLanes(e, e.serverConns(), func(c *conn) *lane { return c.lane.Load() }, f)
}

func onLanes[T any](e *Engine, all []T, of func(T) *lane, f func(T)) {
	for _, l := range e.lanes {
		done := make(chan struct{})
		l.Post(func() {
			defer close(done)
			for _, one := range all {
				if of(one) == l {
					f(one)
				}
			}
		})
		select {
		case <-done:
		case <-l.Ended(): // with all that was on it
		}
	}
}

// after calls f on the lane when so much time has passed.
func (l *lane) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() { l.Post(f) })
}
