package session

import (
	"bytes"
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// PREPARE and EXECUTE name a statement as the client does. If the client has parsed it by the protocol, the server knows it by
// another name, or not yet. Then the statement is handed over: it is parsed under the client's name in front of what names it,
// and is the server's own from then on, like one that PREPARE has made. The session keeps the connection.

// mayUse says that a text may name a statement to use it.
func mayUse(text []byte) bool {
	return hasWord(text, "eE", "execute") || hasWord(text, "pP", "prepare")
}

// usesOf are the names that a Parse uses whose text is not kept.
func (s *Session) usesOf(p wire.Piece) string {
	_, text, _ := bytes.Cut(p.Body(), []byte{0})
	if s.names.none() || p.Length() > seenNames || !mayUse(text) {
		return ""
	}
	return readText(s.server, text).uses
}

// known are those of the names that are the client's statements.
func (s *Session) known(names string) (known string) {
	for name, rest, ok := strings.Cut(names, "\x00"); ok; name, rest, ok = strings.Cut(rest, "\x00") {
		if s.names.find([]byte(name)) != nil {
			known += name + "\x00"
		}
	}
	return known
}

// handOver gives the server statements of the client's under their names.
func (s *Session) handOver(names string) {
	for name, rest, ok := strings.Cut(names, "\x00"); ok; name, rest, ok = strings.Cut(rest, "\x00") {
		n := s.names.find([]byte(name))
		if n == nil {
			continue // it was named twice
		}
		s.close(n.name) // it may be lent
		s.counts.ServerParses++
		s.scratch = wire.AppendParseBody(s.scratch, n.name, n.stmt.body)
		s.push(entry{kind: parsing, fate: hidden, names: true, use: n})
		s.names.expect(n.name, nil, s.segment)
	}
	s.pin(SQLPrepare)
}

// handOverFor hands over what a statement uses, by the extended protocol, in front of the message at hand; forward: there is
// nothing to do.
func (s *Session) handOverFor(uses string) verdict {
	switch {
	case uses == "" || s.uncertain:
		return forward
	case s.blocked():
		return s.await()
	}
	if uses = s.known(uses); uses == "" {
		return forward
	}
	s.handOver(uses)
	return inject
}

// withSync sends a Query behind what is handed over for it. If the server does not take that, it skips the Query, and what
// the client gets is this error and the end of a Sync of the pooler's, which it does not get otherwise.
func (s *Session) withSync(p wire.Piece, e entry) verdict {
	s.scratch = append(s.scratch, p.Raw...)
	s.endWith(e)
	s.read(p)
	s.scratch = wire.AppendSync(s.scratch)
	s.push(entry{kind: syncPoint, fate: hidden})
	return replaced
}
