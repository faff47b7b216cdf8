package postgres

import "time"

// A client that does not read must not look to the server like a pooler that has vanished: PostgreSQL ends a connection whose
// other side takes nothing for the tcp_user_timeout of guards. So while a connection is not read because its client does not
// read, a portion is taken from it now and then, and kept.
const (
	stallCheck   = 6 * time.Second    // between two looks at a connection: one is relieved 6 to 12 s after it has got stuck
	stallPortion = 256 << 10          // bytes taken at a time
	stallMost    = 128 * stallPortion // bytes kept for one client: enough for 12 minutes, then the server ends the connection

	// serverReceiveBuffer is the socket's. Linux lets the other side go on when a sixteenth is free, see tcp_select_window in
	// its source; a portion must be more than that.
	serverReceiveBuffer = 256 << 10
)

// relieve takes a portion if nothing has moved since the last look.
func (c *conn) relieve() {
	if !c.stalled.Load() || c.client == nil {
		c.left = 0
		return
	}
	left := len(c.client.unsent)
	stuck := left == c.left
	c.left = left
	if !stuck || left >= stallMost {
		return
	}
	taken := 0
	for taken < stallPortion && c.client != nil {
		n := c.receive()
		if n == 0 {
			break
		}
		taken += n
	}
	c.engine.counters.stalledBytes.Add(uint64(taken))
	if c.client != nil {
		c.left = len(c.client.unsent)
	}
}

// relieveStalled looks after all server connections.
func (e *Engine) relieveStalled() {
	e.conns.Range(func(key, _ any) bool {
		if c := key.(*conn); c.stalled.Load() {
			c.post(c.relieve)
		}
		return true
	})
}
