package postgres

import (
	"slices"
	"time"

	"github.com/weir-dev/weir/pooler/loop"
	"github.com/weir-dev/weir/pooler/postgres/login"
)

// begin begins the login on the client's lane.
func (en *entry) begin(fd int) {
	en.lane.admit(en)
	err := en.socket.Open(en.lane.Loop, fd, en)
	if err != nil {
		en.engine.log.Warn("cannot watch a client", "error", err)
	}
	if err != nil || en.isAborted() {
		en.end()
		return
	}
	en.Ready(loop.Read) // as a rule it has sent something, see package listen
}

func (en *entry) isAborted() bool {
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.aborted
}

// Ready is called by the loop.
func (en *entry) Ready(ready loop.Interest) {
	if ready&loop.Write != 0 {
		if !en.client.flush() {
			en.end()
			return
		}
		en.client.watch(true)
	}
	if ready&loop.Read == 0 {
		return
	}
	in := en.lane.in[:largeInput] // a login needs less, see login.ClientBuffer
	have := copy(in, en.saved)
	n, err := en.read(in[have:])
	switch {
	case gone(err):
		en.end()
	case n > 0:
		en.hear(in[:have+n])
	}
}

// hear goes on with what the client has sent.
func (en *entry) hear(in []byte) {
	used, out, action := en.proceed(login.Read, in, en.lane.out[:0])
	en.lane.out = out[:0]
	in = in[used:]
	switch action {
	case login.Read:
		en.save(in)
		if len(out) > 0 && !en.write(out) {
			en.end()
			return
		}
		en.client.watch(true)
	case login.Ready:
		en.settle(in, out)
	default:
		en.leaveLane(action, in, out)
	}
}

// settle ends the login of a client that is let in with its last words, and begins its session.
func (en *entry) settle(in, out []byte) {
	en.admitted()
	en.mu.Lock()
	en.over = !en.aborted
	en.mu.Unlock()
	if !en.over || !en.write(out) {
		en.end()
		return
	}
	cl := en.client
	en.lane.dismiss(en)
	cl.entry.Store(nil)
	cl.socket.Handle(cl)
	cl.save(in)
	cl.begin()
}

// leaveLane has a goroutine go on with the login.
func (en *entry) leaveLane(action login.Action, in, out []byte) {
	out = slices.Concat(en.unsent, out)
	en.in, en.saved, en.unsent = inputOf(in), nil, nil
	en.lane.dismiss(en)
	fd := en.socket.Release()
	go func() {
		conn, err := loop.Conn(fd)
		if err != nil {
			en.engine.log.Warn("cannot go on with a login", "error", err)
			en.engine.gone(en.client)
			return
		}
		en.block(conn, action, out)
	}()
}

// end ends a login on the lane without a word. Nothing happens if it is not there any more.
func (en *entry) end() {
	if en.at == 0 {
		return
	}
	en.lane.dismiss(en)
	en.socket.Close()
	en.saved, en.unsent = nil, nil
	en.engine.gone(en.client)
}

// admit takes a login in among those on the lane.
func (l *lane) admit(en *entry) {
	l.entries = append(l.entries, en)
	en.at = len(l.entries)
	l.pending.Store(int32(en.at))
}

// dismiss takes a login out of those on the lane.
func (l *lane) dismiss(en *entry) {
	last := len(l.entries) - 1
	l.entries[last].at = en.at
	l.entries[en.at-1] = l.entries[last]
	l.entries[last] = nil
	l.entries, en.at = l.entries[:last], 0
	l.pending.Store(int32(last))
}

// expireEntries ends the logins on the lane that take too long. They are looked at in rounds: a timer for each would cost more.
func (l *lane) expireEntries(now time.Time) {
	for i := len(l.entries) - 1; i >= 0; i-- {
		if en := l.entries[i]; !now.Before(en.late) {
			en.engine.counters.timeouts[LoginTimeout].Add(1)
			en.end()
		}
	}
}

// endEntries ends the logins on the lane.
func (l *lane) endEntries() {
	for len(l.entries) > 0 {
		l.entries[len(l.entries)-1].end()
	}
}
