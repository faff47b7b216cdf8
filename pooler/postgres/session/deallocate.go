package session

import (
	"bytes"
	"slices"
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// DEALLOCATE names a statement as the client does, and the server knows it by another name. So the server is lent the
// client's name, of an empty statement, in front of what deallocates it: the client's text passes unchanged, and the server
// decides whether, and when, it is done.

// noteExecute is for an Execute.
func (s *Session) noteExecute(p wire.Piece) verdict {
	if !s.closes || s.ignoring || s.uncertain || !s.mapped() {
		s.counts.Queries++
		return s.owe(entry{kind: execute})
	}
	if s.blocked() {
		return s.await()
	}
	s.counts.Queries++
	e := entry{kind: execute, names: true}
	lends := s.lend(s.server.bound)
	if lends {
		name, _, _ := strings.Cut(s.server.bound, "\x00")
		e.use = s.names.find([]byte(name))
	}
	s.names.closes, s.names.segment = true, s.segment
	s.owe(e)
	if lends {
		return s.behind(p)
	}
	return forward
}

// await waits for what the names of statements depend on. If that is in the batch at hand, the server is asked not to wait for
// its end.
func (s *Session) await() verdict {
	if s.names.segment != s.segment || s.names.asked {
		return wait
	}
	s.names.asked = true
	s.scratch = wire.AppendFlush(s.scratch)
	return inject
}

// namesIn are the names that a Query closes, and those that it uses, each with a zero byte behind it.
func (s *Session) namesIn(p wire.Piece) (closes, uses string) {
	if s.names.none() || !p.Last || p.Length() > seenQuery || !mayDeallocate(p.Body()) && !mayUse(p.Body()) {
		return "", ""
	}
	has := readText(s.server, p.Body())
	return has.closes, has.uses
}

// mayDeallocate says that a text has the word DEALLOCATE.
func mayDeallocate(text []byte) bool { return hasWord(text, "dD", "deallocate") }

// hasWord looks for a word that begins with one of the letters of initial.
func hasWord(text []byte, initial, word string) bool {
	for len(text) >= len(word) {
		i := bytes.IndexAny(text[:len(text)-len(word)+1], initial)
		if i < 0 {
			return false
		}
		if text = text[i:]; equalFold(text[:len(word)], word) {
			return true
		}
		text = text[1:]
	}
	return false
}

// lend gives the server those of the names that are the client's, and reports whether there are any.
func (s *Session) lend(names string) (any bool) {
	for name, rest, ok := strings.Cut(names, "\x00"); ok; name, rest, ok = strings.Cut(rest, "\x00") {
		n := s.names.find([]byte(name))
		if n == nil {
			continue
		}
		any = true
		s.close(n.name)
		s.scratch = wire.AppendParse(s.scratch, n.name, "", nil)
		s.push(entry{kind: parsing, fate: hidden, use: n})
	}
	return any
}

// behind sends a message unchanged, behind what was made up.
func (s *Session) behind(p wire.Piece) verdict {
	s.scratch = wire.AppendStart(s.scratch, p.Type, p.Length())
	s.rest = uint32(len(p.Body()))
	return replaced
}

// takeBack closes what was lent and not deallocated, as the server did not get to it.
func (s *Session) takeBack() {
	if s.owed.names > 0 {
		return
	}
	for _, name := range s.server.lent {
		s.close(name)
	}
	s.server.lent = s.server.lent[:0]
}

// deallocated takes the end of a DEALLOCATE of a name.
func (s *Session) deallocated() {
	e := s.owed.first()
	switch {
	case e.kind == execute && e.use != nil:
		s.deallocate(e.use.name)
	case e.kind == query:
		var name string
		name, s.server.closing, _ = strings.Cut(s.server.closing, "\x00")
		s.deallocate(name)
	}
}

func (s *Session) deallocate(name string) {
	s.removeName(name)
	s.server.keep(name)
}

// keep notes that a name is not lent any more.
func (v *Server) keep(name string) {
	if i := slices.Index(v.lent, name); i >= 0 {
		v.lent = slices.Delete(v.lent, i, i+1)
	}
}

// lentTo notes that the server has a name of the client's.
func (v *Server) lentTo(name string) {
	if !slices.Contains(v.lent, name) {
		v.lent = append(v.lent, name)
	}
}
