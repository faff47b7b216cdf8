package wire

import (
	"encoding/binary"
	"fmt"
)

// Scanner finds the messages in a stream of bytes. It is a small value, one per
// direction of a connection; Rules must be set, the rest starts at zero.
//
//	for {
//		p, err := s.Next(buf)
//		if err != nil || p.Raw == nil {
//			break // p.Raw == nil: keep buf, read until it holds s.Want() bytes
//		}
//		buf = buf[len(p.Raw):]
//	}
type Scanner struct {
	Rules *Rules

	want   uint32
	length uint32 // body of the current message
	left   uint32 // of it, bytes still to come
	typ    byte
}

// Piece is a part of one message. Most messages come in one piece. It has four
// fields and four words, as the compiler keeps a struct in registers only up to
// there.
type Piece struct {
	// Raw is a part of the buffer given to Next: what to forward, unchanged. Nil if
	// more bytes are needed first.
	Raw    []byte
	length uint32
	// Type is the type of the message.
	Type byte
	Place
}

// Place is where in its message a Piece is.
type Place struct {
	// First says that the piece begins with the message's header.
	First bool
	// Last says that the message ends with the piece.
	Last bool
}

// Length is the size in bytes of the whole body, as claimed and checked.
func (p Piece) Length() int { return int(p.length) }

// Whole says that the piece is a complete message.
func (p Piece) Whole() bool { return p.First && p.Last }

// Body returns the piece without the header.
func (p Piece) Body() []byte {
	if p.First {
		return p.Raw[HeaderSize:]
	}
	return p.Raw
}

// Next returns the piece that buf begins with. The caller goes on behind p.Raw.
// A refused type or length is a *ProtocolError, after which the stream cannot be
// read any further.
func (s *Scanner) Next(buf []byte) (Piece, error) {
	if s.left > 0 {
		return s.middle(buf), nil
	}
	if len(buf) < HeaderSize {
		s.want = HeaderSize
		return Piece{}, nil
	}
	typ, length := buf[0], binary.BigEndian.Uint32(buf[1:])
	rule := s.Rules.of[typ]
	if rule.limit == 0 {
		return Piece{}, &ProtocolError{Message: fmt.Sprintf("invalid %s message type %d", s.Rules.side, typ)}
	}
	if length < 4 || length > rule.limit {
		return Piece{}, &ProtocolError{Message: "invalid message length"}
	}
	length -= 4
	have := len(buf) - HeaderSize
	if see := min(rule.see, length); have < int(see) {
		s.want = HeaderSize + see
		return Piece{}, nil
	}
	body := min(have, int(length))
	s.typ, s.length, s.left = typ, length, length-uint32(body)
	return Piece{Raw: buf[:HeaderSize+body], length: length, Type: typ, Place: Place{First: true, Last: s.left == 0}}, nil
}

// middle returns what buf holds of a message whose first piece is gone.
func (s *Scanner) middle(buf []byte) Piece {
	if len(buf) == 0 {
		s.want = 1
		return Piece{}
	}
	n := min(uint64(len(buf)), uint64(s.left))
	s.left -= uint32(n)
	return Piece{Raw: buf[:n], length: s.length, Type: s.typ, Place: Place{Last: s.left == 0}}
}

// Unread puts back the last n bytes of the piece that Next has just returned: they
// come again, as the middle of their message.
func (s *Scanner) Unread(n int) { s.left += uint32(n) }

// Back puts back the piece that Next has just returned.
func (s *Scanner) Back(p Piece) {
	if p.First {
		s.left = 0
	} else {
		s.Unread(len(p.Raw))
	}
}

// Want is how many bytes the buffer must hold before Next, which has just
// returned no piece, has one to return. It is at most HeaderSize plus what the
// type's Rule asks to see at once.
func (s *Scanner) Want() int { return int(s.want) }

// Left is how many bytes of the current message are still to come; 0 between
// messages.
func (s *Scanner) Left() int { return int(s.left) }
