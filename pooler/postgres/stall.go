package postgres

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A client that does not read must not look to the server like a pooler that has vanished: PostgreSQL ends a connection whose
// other side takes nothing for the tcp_user_timeout of guards. So while a reader is stuck in a write to its client, a portion
// is taken from the server now and then, and kept.
const (
	stallCheck   = 6 * time.Second       // between two looks at a connection: one is relieved 6 to 12 s after it has got stuck
	stallPortion = 256 << 10             // bytes taken at a time
	stallMost    = 128 * stallPortion    // bytes kept for one client: enough for 12 minutes, then the server ends the connection
	stallWait    = 10 * time.Millisecond // for a portion: what the server has to send is there already

	// serverReceiveBuffer is the socket's. Linux lets the other side go on when a sixteenth is free, see tcp_select_window in
	// its source; a portion must be more than that.
	serverReceiveBuffer = 256 << 10
)

// inlet is where a server connection is read: by its reader, or in its place by relieve while it is stuck.
type inlet struct {
	net     net.Conn
	reading sync.Mutex    // the right to read
	kept    []byte        // read in the reader's place
	hands   atomic.Uint32 // odd while the reader hands over what it has read
	seen    uint32        // hands at the last look
}

// read is for the reader.
func (i *inlet) read(b []byte) (int, error) {
	i.reading.Lock()
	defer i.reading.Unlock()
	if len(i.kept) == 0 {
		return i.net.Read(b)
	}
	n := copy(b, i.kept)
	if i.kept = i.kept[n:]; len(i.kept) == 0 {
		i.kept = nil
	}
	return n, nil
}

// stuck says whether the reader has been handing over the same bytes since the last look.
func (i *inlet) stuck() bool {
	hands := i.hands.Load()
	stuck := hands == i.seen && hands%2 == 1
	i.seen = hands
	return stuck
}

// relieve takes a portion in the place of a reader that is stuck. It returns how many bytes it took. A read that fails will
// fail again, for the reader.
func (i *inlet) relieve() (taken int) {
	if !i.stuck() || !i.reading.TryLock() {
		return 0
	}
	defer i.reading.Unlock()
	if len(i.kept) >= stallMost {
		return 0
	}
	_ = i.net.SetReadDeadline(time.Now().Add(stallWait))
	defer func() { _ = i.net.SetReadDeadline(time.Time{}) }()
	portion := make([]byte, stallPortion)
	for taken < len(portion) {
		n, err := i.net.Read(portion[taken:])
		taken += n
		if err != nil {
			break
		}
	}
	i.kept = append(i.kept, portion[:taken]...)
	return taken
}

// relieveStalled looks after all server connections until the Engine is closed.
func (e *Engine) relieveStalled() {
	defer e.running.Done()
	tick := time.NewTicker(stallCheck)
	defer tick.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-tick.C:
			e.conns.Range(func(c, _ any) bool {
				e.counters.stalledBytes.Add(uint64(c.(*conn).in.relieve()))
				return true
			})
		}
	}
}
