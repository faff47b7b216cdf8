package session

import (
	"bytes"
	"hash/maphash"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// A client that was told the parameters and the result of a statement relies on that: it may bind and read them in binary, and
// not ask again. PostgreSQL sees to it that they stay: where a table was changed meanwhile, the statement fails. On a server
// connection that parses the statement later this is seen to here: it is described there before it is used for such a client.

// shape is a number that equal descriptions of a statement have in common: the types of its parameters, and the names and types
// of its result.
type shape uint64

// unknown is the shape of what was not described yet, or is too long to look at.
const unknown shape = 0

// compare sees that a statement is on the server what the client was told that it is.
func (s *Session) compare(n *named, slot *slot) verdict {
	doubted := s.server.doubted
	switch {
	case n.shape == unknown || s.uncertain:
		return forward
	case slot.asked:
		return wait
	}
	s.server.doubted = nil
	switch {
	case slot.shape == n.shape:
		return forward
	case doubted == slot && slot.shape != unknown:
		s.statements.retire(n.stmt)
		return s.refuseOwed(refusedShape)
	case doubted == slot: // it is too long to look at
		return forward
	case slot.shape == unknown:
		s.ask(n, slot)
	default: // it may have been parsed when a table was changed for a while
		s.reparse(slot)
		s.bring(n, slot)
	}
	s.server.doubted = slot
	return inject
}

// ask has the server describe a statement, and not wait for the end of the batch with that.
func (s *Session) ask(n *named, slot *slot) {
	slot.asked = true
	s.scratch = wire.AppendDescribe(s.scratch, wire.TargetStatement, n.stmt.name)
	s.push(entry{kind: describe, fate: hidden, use: n, slot: slot})
	s.scratch = wire.AppendFlush(s.scratch)
}

// described takes a description, of a statement or portal.
func (s *Session) described(p wire.Piece) {
	e := s.owed.first()
	if e.slot == nil || e.slot.stmt.traits.fluid {
		return
	}
	if p.Type == wire.TypeParameterDescription {
		s.server.parameters = unknown
		if p.Last {
			s.server.parameters = shape(maphash.Bytes(tagSeed, p.Body()) | 1)
		}
		return
	}
	e.slot.shape = s.server.parameters.with(p)
	if e.fate == hidden {
		e.slot.asked = false
		return
	}
	e.use.shape = e.slot.shape
}

// with returns the shape of parameters and a result.
func (s shape) with(p wire.Piece) shape {
	if s == unknown || !p.Last {
		return unknown
	}
	var h maphash.Hash
	h.SetSeed(tagSeed)
	maphash.WriteComparable(&h, s)
	if p.Type == wire.TypeNoData || len(p.Body()) < 2 {
		return shape(h.Sum64() | 1)
	}
	const behindName, types, typesEnd = 18, 6, 16 // the table and column that it is from may be others
	for fields := p.Body()[2:]; len(fields) > 0; {
		end := bytes.IndexByte(fields, 0) + 1
		if end == 0 || len(fields) < end+behindName {
			return unknown
		}
		h.Write(fields[:end])
		h.Write(fields[end+types : end+typesEnd])
		fields = fields[end+behindName:]
	}
	return shape(h.Sum64() | 1)
}
