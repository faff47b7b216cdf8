package postgres

import (
	"time"
)

// A machine that vanishes (power cut, network gone) says nothing. Keepalives find that out on a connection where nothing is
// under way; but if it has not acknowledged what was sent to it, the system sends that again and again for a quarter of an
// hour, and TCP_USER_TIMEOUT, which ends this, also ends connections to a healthy server that does not read for a while: one
// that waits for a lock while its client sends COPY data. What tells the two apart is whether anything is acknowledged.
const (
	vanishCheck = 5 * time.Second
	vanishAfter = 20 * time.Second // without a sign of life, in spite of having been asked again
)

// answerless is what the system knows about a connection's other side.
type answerless struct {
	retries uint8 // how often what was sent has been sent again, or the other side was asked whether it reads, in vain
	silence time.Duration
}

// vanished says that the other side is gone. That it was asked twice at least keeps a single lost packet, or a machine that
// was asleep, from being taken for that.
func (a answerless) vanished() bool { return a.retries >= 2 && a.silence >= vanishAfter }

// findVanished looks after all server connections.
func (e *Engine) findVanished() {
	e.conns.Range(func(o, _ any) bool {
		c := o.(*conn)
		c.post(c.findVanished)
		return true
	})
}

// findVanished ends a connection whose server has vanished.
func (c *conn) findVanished() {
	var known answerless
	c.socket.Control(func(fd int) { known = askSystem(fd) })
	if known.vanished() && !c.vanished.Swap(true) {
		c.engine.counters.serversVanished.Add(1)
		c.engine.log.Warn("a server does not answer any more: its connection is reset", "endpoint", c.at.address())
		c.socket.Reset()
		c.finish()
	}
}
