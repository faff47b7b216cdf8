package session

import (
	"bytes"
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// blocked says that what a message means depends on replies that are still to come, whether names are known: to messages
// before the last Sync, or to what may close statements.
func (s *Session) blocked() bool {
	return s.owed.names > 0 && (s.names.segment != s.segment || s.names.closes) && !s.copying
}

// mapped says that names of statements are the pooler's on the server.
func (s *Session) mapped() bool { return s.mode == Transaction }

// noteParse is for a Parse of which the first piece is there.
func (s *Session) noteParse(p wire.Piece) verdict {
	body := p.Body()
	switch {
	case len(body) == 0 || !s.mapped() || s.ignoring:
		s.counts.ServerParses++
		if name := bytes.IndexByte(body, 0); name >= 0 && !s.mapped() {
			s.startText(name + 1)
		}
		return s.owe(entry{kind: parsing})
	case body[0] == 0:
		return s.noteUnnamedParse(p)
	case s.uncertain:
		return s.owe(entry{kind: parsing})
	case s.blocked():
		return s.await()
	case s.evict():
		return inject
	case s.pinned != NotPinned && s.isForeign(body):
		return s.noteForeignParse(p)
	case s.statements.limit.Load() <= 0:
		return s.refuseOwed(refusedNames)
	case p.Length() > maxText:
		return s.noteLargeParse(p)
	case !p.Last:
		s.hoard = append(s.hoard[:0], body...)
		return hoard
	}
	return s.noteNamedParse(body)
}

// isForeign says that a Parse has a name that is not the client's so far, nor could be one of the pooler's. Where no other
// session comes, it may have it on the server, too, so that SQL finds it; but for what deallocates others, which has to be known.
func (s *Session) isForeign(body []byte) bool {
	name, text, whole := bytes.Cut(body, []byte{0})
	return whole && s.names.find(name) == nil && !bytes.HasPrefix(name, []byte(ownPrefix)) && !mayDeallocate(text)
}

func (s *Session) noteForeignParse(p wire.Piece) verdict {
	if v := s.handOverFor(s.usesOf(p)); v != forward {
		return v
	}
	s.counts.ServerParses++
	return s.owe(entry{kind: parsing})
}

func (s *Session) noteUnnamedParse(p wire.Piece) verdict {
	if v := s.handOverFor(s.usesOf(p)); v != forward {
		return v
	}
	s.counts.ServerParses++
	s.startText(1)
	if !s.uncertain {
		s.unnamed.begin(s.segment)
	}
	return s.owe(entry{kind: parsing, unnamed: true})
}

// noteLargeParse lets a Parse that is too long to keep pass, under the client's own name: the connection is only this
// session's from now on.
func (s *Session) noteLargeParse(p wire.Piece) verdict {
	name, behind, ok := bytes.Cut(p.Body(), []byte{0})
	switch {
	case !ok:
		return badNames
	case s.names.find(name) != nil:
		s.rest = uint32(len(behind))
		return s.replaceParse(name, p.Length()-len(name)-1)
	}
	s.pin(LargeStatement)
	s.counts.ServerParses++
	return s.owe(entry{kind: parsing})
}

// noteNamedParse decides on a Parse with a name, from the whole of its body.
func (s *Session) noteNamedParse(body []byte) verdict {
	m, err := wire.ParseParse(body)
	if err != nil { // the server has words for that
		return s.replace(wire.AppendParseBody(s.scratch, nameUnknown, body[bytes.IndexByte(body, 0)+1:]), entry{kind: parsing})
	}
	behind := body[len(m.Name)+1:]
	if s.names.find(m.Name) != nil {
		v := s.replaceParse(m.Name, len(behind))
		s.scratch = append(s.scratch, behind...)
		return v
	}
	if len(s.names.known)+len(s.names.ahead) >= maxNames || s.names.bytes+len(body) > maxNameBytes {
		return s.refuseOwed(refusedMany)
	}
	stmt := s.statementOf(behind)
	if stmt == nil {
		return s.refuseOwed(refusedText)
	}
	if v := s.handOverFor(stmt.traits.uses); v != forward {
		s.statements.release(stmt)
		return v
	}
	if len(s.names.known) == 0 {
		s.names.under = s.server.have.base
	}
	return s.parseAs(&named{name: string(shorten(m.Name)), stmt: stmt})
}

// replaceParse has the server say that the name is in use, if it finds nothing else wrong: by a Parse under a name that is.
// The rest of the Parse, so many bytes, follows.
func (s *Session) replaceParse(name []byte, rest int) verdict {
	s.counts.ServerParses += 2
	s.close(nameTaken)
	s.scratch = wire.AppendParse(s.scratch, nameTaken, "", nil)
	s.push(entry{kind: parsing, fate: hidden})
	known := &named{name: string(name), stmt: takenStatement}
	return s.replace(wire.AppendParseStart(s.scratch, nameTaken, rest), entry{kind: parsing, use: known})
}

// statementOf returns the statement of a Parse, from behind the name on, with a reference: shared with all who say the same
// under the same settings, if those are known for sure. nil: there is no room.
func (s *Session) statementOf(body []byte) *statement {
	read := func(body []byte) traits { return readText(s.server, body) }
	if s.changes || s.pinned != NotPinned {
		return s.statements.private(body, read)
	}
	return s.statements.share(s.server.have.id, body, read)
}

// parseAs parses a statement that is new to the client, and perhaps known to the server.
func (s *Session) parseAs(n *named) verdict {
	e := entry{kind: parsing, names: true, use: n}
	slot := s.server.slots.of[n.stmt]
	switch {
	case slot == nil:
		e.slot = s.newSlot(n.stmt)
	case s.unsettled(slot), s.owed.readies > 0:
		s.statements.release(n.stmt)
		return wait
	case s.status == wire.StatusFailed: // the server decides whether it may be parsed now
		s.reparse(slot)
		e.slot = slot
	default:
		s.server.slots.touch(slot)
		e.fate, e.slot = made, slot
	}
	s.names.expect(n.name, n, s.segment)
	if e.fate == made {
		s.push(e)
		return swallow
	}
	s.counts.ServerParses++
	return s.replace(wire.AppendParseBody(s.scratch, n.stmt.name, n.stmt.body), e)
}

func (s *Session) newSlot(stmt *statement) *slot {
	s.statements.retain(stmt)
	return s.server.slots.add(stmt, s.segment)
}

// unsettled says that it is not known yet whether the server has a statement that was parsed before the last Sync.
func (s *Session) unsettled(slot *slot) bool { return !slot.ready && slot.segment != s.segment }

// reparse has a statement closed in front of a Parse that follows.
func (s *Session) reparse(slot *slot) {
	s.scratch = wire.AppendClose(s.scratch, wire.TargetStatement, slot.stmt.name)
	s.push(entry{kind: closing, fate: hidden, slot: slot})
	slot.ready, slot.segment = false, s.segment
}

// close appends a Close of a statement of the server's.
func (s *Session) close(name string) {
	s.scratch = wire.AppendClose(s.scratch, wire.TargetStatement, name)
	s.push(entry{kind: closing, fate: hidden})
}

// evict closes what the server has above the limit, and what was lent, and reports whether there was anything: only where a batch begins, as
// nothing can make the server skip it there.
func (s *Session) evict() bool {
	begins := s.owed.last().kind == syncPoint || s.owed.len() == 0 && !s.unsynced
	if !begins || s.uncertain {
		return false
	}
	s.takeBack()
	most := int(s.statements.limit.Load())
	for s.server.slots.len() > most {
		old := s.server.slots.oldest()
		if old == nil {
			break
		}
		s.close(old.stmt.name)
		s.server.dropSlot(old)
	}
	return len(s.scratch) > 0
}

// noteUse is for a Bind, or a Describe of a statement.
func (s *Session) noteUse(p wire.Piece, k kind) verdict {
	portal, name, rest, ok := usedNames(p)
	switch {
	case !ok && !p.Last:
		return badNames
	case !ok || !s.mapped() || s.ignoring: // the server has words for what is malformed
		return s.owe(entry{kind: k})
	case len(name) == 0:
		return s.noteUnnamedUse(k)
	case s.blocked():
		return s.await()
	case s.evict():
		return inject
	}
	n := s.names.find(name)
	switch {
	case n == nil:
		return s.useUnknown(p, k, portal, name, rest)
	case s.uncertain && s.server.slots.of[n.stmt] == nil:
		return s.owe(entry{kind: k})
	}
	if v := s.handOverFor(n.stmt.traits.uses); v != forward {
		return v
	}
	slot, v := s.findSlot(n)
	if v != forward {
		return v
	}
	if v := s.compare(n, slot); v != forward {
		return v
	}
	s.run(&n.stmt.traits)
	s.server.slots.touch(slot)
	if k == bind {
		s.counts.Binds++
	}
	return s.use(p, entry{kind: k, use: n, slot: slot}, portal, n.stmt.name, rest)
}

// usedNames are the names in a Bind or Describe, and how many bytes of the piece are behind them.
func usedNames(p wire.Piece) (portal, name []byte, rest int, ok bool) {
	if p.Type == wire.TypeBind {
		portal, name, behind, err := wire.ParseBind(p.Body())
		return portal, name, len(behind), err == nil
	}
	_, name, err := wire.ParseTarget(p.Body())
	return nil, name, 0, err == nil
}

// useUnknown lets the server say that it does not know the name, which it would, if it was one of the pooler's.
func (s *Session) useUnknown(p wire.Piece, k kind, portal, name []byte, rest int) verdict {
	if !strings.HasPrefix(string(name), ownPrefix) {
		return s.owe(entry{kind: k})
	}
	unknown := &named{name: string(name), stmt: unknownStatement}
	return s.use(p, entry{kind: k, use: unknown}, portal, nameUnknown, rest)
}

// use sends a Bind or Describe with the server's name of the statement.
func (s *Session) use(p wire.Piece, e entry, portal []byte, name string, rest int) verdict {
	if e.kind == describe {
		return s.replace(wire.AppendDescribe(s.scratch, wire.TargetStatement, name), e)
	}
	s.rest = uint32(rest)
	return s.replace(wire.AppendBindStart(s.scratch, portal, name, p.Length()-len(p.Body())+rest), e)
}

// findSlot returns the client's statement on the server; or what has to be done first.
func (s *Session) findSlot(n *named) (*slot, verdict) {
	slot := s.server.slots.of[n.stmt]
	if s.outdated(n, slot != nil) {
		fresh := s.statementOf([]byte(n.stmt.body))
		if fresh == nil {
			return nil, s.refuseOwed(refusedText)
		}
		s.statements.release(n.stmt)
		n.stmt = fresh
		slot = s.server.slots.of[fresh]
	}
	switch {
	case slot != nil && s.unsettled(slot):
		return nil, wait
	case slot != nil:
		return slot, forward
	}
	slot = s.newSlot(n.stmt)
	s.bring(n, slot)
	return nil, inject
}

// bring has the server parse the client's statement.
func (s *Session) bring(n *named, slot *slot) {
	s.counts.ServerParses++
	s.scratch = wire.AppendParseBody(s.scratch, n.stmt.name, n.stmt.body)
	s.push(entry{kind: parsing, fate: hidden, use: n, slot: slot})
	if n.shape != unknown {
		s.ask(n, slot)
		s.server.doubted = slot
	}
}

// outdated says that the session needs another statement with the same text: the plans that servers have do not fit any more,
// or it is shared with sessions that have other settings.
func (s *Session) outdated(n *named, there bool) bool {
	stmt := n.stmt
	switch {
	case s.uncertain: // it could not be told whether the server has parsed it
		return false
	case stmt.stale.Load() && n.shape == unknown:
		return true
	case !stmt.shared:
		return false
	case s.changes || s.pinned != NotPinned:
		return !there
	}
	return stmt.under != s.server.have.id
}

// noteUnnamedUse is for a Bind or Describe of the unnamed statement.
func (s *Session) noteUnnamedUse(k kind) verdict {
	u := &s.unnamed
	if s.owed.unnamed > 0 && u.segment != s.segment && !s.copying {
		return wait
	}
	if !u.here && s.owed.unnamed == 0 && !s.uncertain {
		return s.bringUnnamed()
	}
	bound := u.bound()
	if v := s.handOverFor(bound.has.uses); v != forward {
		return v
	}
	if k == bind {
		bound.large = false
		s.counts.Binds++
	}
	s.run(&bound.has)
	return s.owe(entry{kind: k})
}

// bringUnnamed gives the server the unnamed statement of the session, or none: what it has is somebody else's.
func (s *Session) bringUnnamed() verdict {
	s.unnamed.segment = s.segment
	if body := s.unnamed.whole(); body != nil {
		s.counts.ServerParses++
		s.scratch = wire.AppendParseBody(s.scratch, "", body)
		s.push(entry{kind: parsing, fate: hidden, unnamed: true})
	} else {
		s.scratch = wire.AppendClose(s.scratch, wire.TargetStatement, "")
		s.push(entry{kind: closing, fate: hidden, unnamed: true})
	}
	return inject
}

// noteClose is for a Close.
func (s *Session) noteClose(p wire.Piece) verdict {
	target, name, err := wire.ParseTarget(p.Body())
	switch {
	case err != nil && !p.Last:
		return badNames
	case err != nil || target != wire.TargetStatement || !s.mapped() || s.ignoring:
		return s.owe(entry{kind: closing})
	case len(name) == 0:
		if !s.uncertain {
			s.unnamed.end(s.segment)
		}
		return s.owe(entry{kind: closing, unnamed: true})
	case s.blocked():
		return s.await()
	case s.evict():
		return inject
	}
	known := s.names.find(name)
	switch {
	case known != nil && s.uncertain:
		s.removeName(known.name)
		return s.owe(entry{kind: closing})
	case known == nil && !strings.HasPrefix(string(name), ownPrefix):
		return s.owe(entry{kind: closing})
	}
	e := entry{kind: closing, fate: made}
	if known != nil {
		e.names, e.use = true, known
		s.names.expect(known.name, nil, s.segment)
	}
	s.push(e)
	return swallow
}

// run notes what a text does that is about to be run.
func (s *Session) run(has *traits) {
	s.closes, s.server.bound = has.drops, has.closes
	s.sets = s.sets || has.sets
	if has.resets && !s.own.empty() {
		s.resets, s.reset = true, s.segment
	}
	s.changes = s.changes || has.changes
	s.mayDefine = s.mayDefine || has.defines
	if has.pin != NotPinned {
		s.pin(has.pin)
	}
	if has.hasPath {
		s.arm(has.path)
	}
}
