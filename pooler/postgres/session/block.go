package session

import (
	"bytes"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// In statement mode a transaction is one message of the simple protocol, or the messages up to a Sync. A statement that only
// opens a block is refused before a server sees it. What opens one otherwise (behind other statements, in a long text) is
// noticed by the server's status: the session then has to end, and what it did is rolled back.

// Farewell is what the client is told before its session has to end; nil: it need not.
func (s *Session) Farewell() []byte {
	if s.inBlock {
		return blockFatal
	}
	return nil
}

// refusesBlock reports whether p begins a message that is refused because it opens a transaction block.
func (s *Session) refusesBlock(p wire.Piece) bool {
	return s.single && !s.skipping && !s.ignoring && s.refusal == nil && opensBlock(p) &&
		(s.server == nil || p.Type == wire.TypeParse)
}

// refuseBlock answers such a message.
func (s *Session) refuseBlock() verdict {
	if s.server != nil {
		return s.refuseOwed(refusedBlock)
	}
	s.refusal = blockRefused
	s.counts.Refused++
	return refuse
}

// opensBlock says whether a Query or Parse has one statement, which is BEGIN or START TRANSACTION.
func opensBlock(p wire.Piece) bool {
	text := p.Body()
	switch p.Type {
	case wire.TypeQuery:
	case wire.TypeParse:
		_, text, _ = bytes.Cut(text, []byte{0})
	default:
		return false
	}
	text, _, whole := bytes.Cut(text, []byte{0})
	if !whole {
		return false
	}
	text, rest, _ := bytes.Cut(skipBlank(text), []byte(";"))
	if len(skipBlank(rest)) > 0 {
		return false
	}
	first, text := cutWord(text)
	second, _ := cutWord(skipBlank(text))
	return bytes.EqualFold(first, []byte("begin")) ||
		bytes.EqualFold(first, []byte("start")) && bytes.EqualFold(second, []byte("transaction"))
}

func cutWord(text []byte) (word, rest []byte) {
	n := 0
	for n < len(text) && class[text[n]] != 0 {
		n++
	}
	return text[:n], text[n:]
}

// skipBlank skips space and comments; of nested comments, which nobody writes, not all.
func skipBlank(text []byte) []byte {
	for len(text) > 0 {
		switch {
		case isSpace(text[0]):
			text = text[1:]
		case bytes.HasPrefix(text, []byte("--")):
			_, text, _ = bytes.Cut(text, []byte("\n"))
		case bytes.HasPrefix(text, []byte("/*")):
			_, text, _ = bytes.Cut(text, []byte("*/"))
		default:
			return text
		}
	}
	return text
}
