package session

import (
	"bytes"

	"pgregory.net/rapid"
)

// player is a client with its machine.
type player struct {
	name   string
	s      Session
	said   []byte
	coming []byte // said, on its way to the machine
	unsent []byte // said, not taken by the machine yet
	got    []byte
	queued bool
	late   func() // a Sent that is still to come
}

// world is two clients that share one server connection.
type world struct {
	t       *rapid.T
	all     *Statements
	b       *backend
	server  *Server
	players []*player
	holder  *player
	reply   []byte // fetched from the backend, not taken by the machine yet
}

func (w *world) act(p *player, a Action) {
	switch a {
	case Release:
		if why := w.b.clean(); why != "" || len(w.reply) > 0 || p.late != nil {
			w.t.Fatalf("%s's connection is released: %s", p.name, why)
		}
		w.holder = nil
		w.tidy()
	case Discard, Reset:
		w.server.Close()
		w.b, w.server, w.reply, w.holder = newBackend(), NewServer(w.all, reported), nil, nil
	}
}

// tidy sees that what is known about an idle connection is so.
func (w *world) tidy() {
	known := map[string]bool{"": true, nameTaken: true}
	for stmt := range w.server.slots.of {
		known[stmt.name] = true
	}
	for name := range w.b.prepared {
		if !known[name] {
			w.t.Fatalf("the connection has %s, which nobody knows", name)
		}
	}
	for stmt, slot := range w.server.slots.of {
		if _, ok := w.b.prepared[stmt.name]; !ok || !slot.ready {
			w.t.Fatalf("the connection has no %s: %v", stmt.name, w.b.prepared)
		}
	}
}

// step has a player's machine take what the player has said.
func (w *world) step(p *player) {
	for p.late == nil && !(p.queued && w.holder != nil) {
		p.queued = false
		st := p.s.FromClient(p.unsent)
		w.check(p, st, len(p.unsent))
		forward := append(bytes.Clone(p.unsent[:st.Forward]), st.Inject...)
		p.unsent = p.unsent[st.Used:]
		p.got = append(p.got, st.Reply...)
		if len(forward) > 0 {
			b := w.b
			p.late = func() { w.t.Logf("%s -> %q", p.name, forward); b.buf = append(b.buf, forward...); w.act(p, p.s.Sent()) }
		}
		switch st.Do {
		case Read:
			return
		case Acquire:
			p.queued = true
			if w.holder == nil {
				w.holder = p
				p.s.Attach(w.server)
				p.queued = false
			}
		case Wait:
			return
		case Answer:
			p.got = append(p.got, p.s.Answer()...)
		case Continue:
		default:
			w.t.Fatalf("%s: %v for %q", p.name, st.Do, p.got)
		}
	}
}

func (w *world) check(p *player, st Step, n int) {
	if st.Forward > st.Used || st.Used > n || (st.Forward > 0 || len(st.Inject) > 0) && w.holder != p {
		w.t.Fatalf("%s: step %+v for %d bytes", p.name, st, n)
	}
}

// fetch gives up to n bytes of the backend's replies to who holds the connection.
func (w *world) fetch(n int) {
	n = min(n, len(w.b.out))
	w.reply = append(w.reply, w.b.out[:n]...)
	w.b.out = w.b.out[n:]
	p := w.holder
	w.t.Logf("<- %q", w.reply)
	if p == nil {
		if _, c := w.server.Quiet(w.reply); c == Broken || len(w.reply) > 0 {
			w.t.Fatalf("nobody is owed %q", w.reply)
		}
		return
	}
	p.s.Delivering()
	for {
		st := p.s.FromServer(w.reply)
		w.check(p, st, len(w.reply))
		p.got = append(append(p.got, w.reply[:st.Forward]...), st.Inject...)
		w.reply = w.reply[st.Used:]
		if st.Do == Break {
			w.t.Fatalf("the server breaks the protocol")
		}
		if st.Do == Read || len(w.reply) == 0 {
			break
		}
	}
	w.act(p, p.s.Delivered())
}

func (w *world) says(p *player, messages []byte) { w.begins(p, messages, len(messages)) }

// begins has the first bytes of messages arrive, and the others behind them with what is said next.
func (w *world) begins(p *player, messages []byte, arrive int) {
	p.said = append(p.said, messages...)
	p.unsent = append(append(p.unsent, p.coming...), messages[:arrive]...)
	p.coming = messages[arrive:]
	w.step(p)
}

// settle ends what clients have begun and sees that everything comes to rest.
func (w *world) settle() {
	for _, p := range w.players {
		w.drain()
		w.says(p, bytes.Join([][]byte{syncAll, sql(p.name + " rollback")}, nil))
		w.drain()
		if len(p.unsent) > 0 && p.s.Pinned() == NotPinned && w.holder == p {
			w.t.Fatalf("%s holds the connection and does not get on: %q", p.name, p.unsent)
		}
	}
	w.drain()
	for _, p := range w.players {
		if p.s.Pinned() == NotPinned && (p.s.Attached() || len(p.unsent) > 0 && w.holder == nil) {
			w.t.Fatalf("%s is not at rest: attached %v, unsent %q, got %q", p.name, p.s.Attached(), p.unsent, p.got)
		}
	}
}

// drain runs everything that can run.
func (w *world) drain() {
	for range 50 {
		for _, p := range w.players {
			if p.late != nil {
				send := p.late
				p.late = nil
				send()
			}
			w.step(p)
		}
		for w.b.process() {
		}
		w.fetch(1 << 20)
	}
}
