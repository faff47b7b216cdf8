package session

// slot is a statement that a server connection has, or will have.
type slot struct {
	stmt       *statement
	prev, next *slot
	segment    uint32 // where its Parse was sent
	ready      bool   // the server has confirmed it
	there      bool   // and has it, though it may be about to be parsed anew
	asked      bool   // the server is asked for its shape
	shape      shape
}

// slots are the statements of one server connection, from the one used last to the one that was not used for longest.
type slots struct {
	of   map[*statement]*slot
	ring slot
}

func (l *slots) len() int { return len(l.of) }

func (l *slots) add(s *statement, segment uint32) *slot {
	if l.of == nil {
		l.of = make(map[*statement]*slot)
		l.ring.prev, l.ring.next = &l.ring, &l.ring
	}
	made := &slot{stmt: s, segment: segment}
	l.of[s] = made
	l.link(made)
	return made
}

func (l *slots) link(s *slot) {
	s.prev, s.next = &l.ring, l.ring.next
	s.prev.next, s.next.prev = s, s
}

func unlink(s *slot) {
	s.prev.next, s.next.prev = s.next, s.prev
	s.prev, s.next = nil, nil
}

// touch notes that a slot is used.
func (l *slots) touch(s *slot) {
	if l.ring.next != s && s.next != nil {
		unlink(s)
		l.link(s)
	}
}

// remove takes a slot out, and reports whether it was in.
func (l *slots) remove(s *slot) bool {
	if l.of[s.stmt] != s {
		return false
	}
	delete(l.of, s.stmt)
	unlink(s)
	return true
}

// oldest returns the slot that was not used for longest; nil: there is none that the server has confirmed.
func (l *slots) oldest() *slot {
	if len(l.of) == 0 {
		return nil
	}
	for s := l.ring.prev; s != &l.ring; s = s.prev {
		if s.ready {
			return s
		}
	}
	return nil
}
