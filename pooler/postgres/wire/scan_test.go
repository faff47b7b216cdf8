package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"unsafe"
)

// header returns a message's type and a length field of any value.
func header(typ byte, length uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{typ}, length)
}

func TestLengthThatPostgreSQLRefusesIsAProtocolViolation(t *testing.T) {
	for name, c := range map[string]struct {
		in      []byte
		message string
	}{
		"a length of 0 does not even hold itself":    {header(TypeQuery, 0), "invalid message length"},
		"a length of 3 does not even hold itself":    {header(TypeQuery, 3), "invalid message length"},
		"a negative length":                          {header(TypeQuery, 1<<32-1), "invalid message length"},
		"the most negative length":                   {header(TypeQuery, 1<<31), "invalid message length"},
		"a length of 2^31-1":                         {header(TypeQuery, 1<<31-1), "invalid message length"},
		"SQL of more than PostgreSQL can hold":       {header(TypeQuery, MaxLargeBody+5), "invalid message length"},
		"a Sync larger than any name":                {header(TypeSync, MaxSmallBody+5), "invalid message length"},
		"a type that does not exist":                 {header('?', 4), "invalid frontend message type 63"},
		"a type that only a server sends":            {header(TypeReadyForQuery, 5), "invalid frontend message type 90"},
		"a zero byte where a type should be":         {header(0, 8), "invalid frontend message type 0"},
		"a password after the login":                 {header(TypePassword, 8), "invalid frontend message type 112"},
		"the first byte of a TLS handshake":          {header(0x16, 0x03010200), "invalid frontend message type 22"},
		"the type is refused before the length is":   {header('?', 0), "invalid frontend message type 63"},
		"the length is refused before the body came": {header(TypeParse, 1<<31-1), "invalid message length"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Scanner{Rules: FrontendRules(nil)}
			piece, err := s.Next(c.in)
			violation, ok := errors.AsType[*ProtocolError](err)
			if !ok || piece.Raw != nil {
				t.Fatalf("Next = %+v, %v; want a ProtocolError", piece, err)
			}
			if violation.Message != c.message {
				t.Errorf("message %q, want %q", violation.Message, c.message)
			}
			if r := violation.Report(); r.Code != CodeProtocolViolation || r.Severity != SeverityFatal {
				t.Errorf("report %+v, want FATAL 08P01", r)
			}
		})
	}
}

func TestTheLargestAllowedLengthIsAccepted(t *testing.T) {
	s := Scanner{Rules: FrontendRules(nil)}
	piece, err := s.Next(header(TypeQuery, MaxLargeBody+4))
	if err != nil || !piece.First || piece.Last || piece.Length() != MaxLargeBody {
		t.Fatalf("Next = %+v, %v", piece, err)
	}
	if s.Left() != MaxLargeBody {
		t.Errorf("left %d, want %d", s.Left(), MaxLargeBody)
	}
}

func TestALargeRowPassesInPiecesOfASmallBuffer(t *testing.T) {
	const body = 1 << 30 / 2
	s := Scanner{Rules: BackendRules(nil)}
	buf := make([]byte, 16<<10)
	copy(buf, header(TypeDataRow, body+4))
	piece, err := s.Next(buf)
	if err != nil || !piece.First || piece.Last || len(piece.Raw) != len(buf) || piece.Length() != body {
		t.Fatalf("first piece: %v, %v", piece.First, err)
	}
	passed := len(piece.Body())
	for !piece.Last {
		if s.Left() != body-passed {
			t.Fatalf("left %d, want %d", s.Left(), body-passed)
		}
		if piece, err = s.Next(buf); err != nil || piece.Raw == nil || piece.First || piece.Type != TypeDataRow {
			t.Fatalf("piece %+v, %v", piece, err)
		}
		passed += len(piece.Body())
	}
	if passed != body || s.Left() != 0 {
		t.Fatalf("passed %d of %d, left %d", passed, body, s.Left())
	}
	piece, err = s.Next(AppendReadyForQuery(nil, StatusIdle))
	if err != nil || !piece.Whole() || piece.Type != TypeReadyForQuery {
		t.Fatalf("behind the row: %+v, %v", piece, err)
	}
}

func TestARuleSaysHowMuchIsSeenAtOnce(t *testing.T) {
	long := AppendQuery(nil, bytes.Repeat([]byte("x"), 99)) // a body of 100 bytes
	for name, c := range map[string]struct {
		rule  Rule
		have  int // bytes of the message that have come
		piece int // bytes in the piece
		want  int // if there is none
		err   bool
	}{
		"a stream is handed out from its header on":                 {rule: Stream(100), have: 5, piece: 5},
		"a stream is handed out as far as it is there":              {rule: Stream(100), have: 40, piece: 40},
		"nothing is handed out before the header is complete":       {rule: Stream(100), have: 4, want: 5},
		"whole messages wait for their last byte":                   {rule: Whole(100), have: 104, want: 105},
		"whole messages are handed out with their last byte":        {rule: Whole(100), have: 105, piece: 105},
		"whole messages beyond the bound are refused by the header": {rule: Whole(99), have: 5, err: true},
		"a prefix waits for its bytes":                              {rule: Prefix(20, 100), have: 24, want: 25},
		"a prefix is handed out with all that is there":             {rule: Prefix(20, 100), have: 60, piece: 60},
		"a prefix longer than the message waits for the message":    {rule: Prefix(500, 1000), have: 104, want: 105},
		"a message shorter than the prefix is handed out whole":     {rule: Prefix(500, 1000), have: 105, piece: 105},
		"the zero rule refuses the type":                            {rule: Rule{}, have: 5, err: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := Scanner{Rules: FrontendRules(map[byte]Rule{TypeQuery: c.rule})}
			piece, err := s.Next(long[:c.have])
			if (err != nil) != c.err {
				t.Fatalf("error %v, want one: %v", err, c.err)
			}
			if len(piece.Raw) != c.piece {
				t.Fatalf("piece of %d bytes, want %d", len(piece.Raw), c.piece)
			}
			if err == nil && piece.Raw == nil && s.Want() != c.want {
				t.Errorf("wants %d, want %d", s.Want(), c.want)
			}
		})
	}
}

func TestAnEmptyBufferInsideAMessageWantsOneByte(t *testing.T) {
	s := Scanner{Rules: FrontendRules(nil)}
	if _, err := s.Next(header(TypeQuery, 10)); err != nil {
		t.Fatal(err)
	}
	if piece, err := s.Next(nil); err != nil || piece.Raw != nil || s.Want() != 1 {
		t.Fatalf("Next = %+v, %v, wants %d", piece, err, s.Want())
	}
}

// conversation is a pipeline as a driver sends it.
func conversation() []byte {
	b := AppendParse(nil, "s1", "select $1::int", []byte{0, 0, 0, 23})
	b = AppendDescribe(b, TargetStatement, "s1")
	b = append(b, bind("", "s1", 300)...)
	b = AppendFlush(b)
	b = AppendClose(b, TargetStatement, "s1")
	b = AppendSync(b)
	b = AppendQuery(b, "select 1")
	return AppendTerminate(b)
}

// bind returns a Bind with one parameter of size bytes.
func bind(portal, statement string, size uint32) []byte {
	b, at := Begin(nil, TypeBind)
	b = appendText(appendText(b, portal), statement)
	b = append(b, 0, 0, 0, 1)
	b = binary.BigEndian.AppendUint32(b, size)
	b = append(b, make([]byte, size)...)
	return Finish(append(b, 0, 0), at)
}

// scan feeds in to a scanner, step bytes at a time, as a driver does, and returns
// the bytes and the types that came out and the most that had to be held.
func scan(t testing.TB, rules *Rules, in []byte, step int) (out []byte, types string, most int, _ error) {
	s := Scanner{Rules: rules}
	var held []byte
	for len(in) > 0 {
		n := min(step, len(in))
		held, in = append(held, in[:n]...), in[n:]
		for {
			piece, err := s.Next(held)
			if err != nil {
				return out, types, most, err
			}
			if piece.Raw == nil {
				if s.Want() <= len(held) {
					t.Fatalf("wants %d bytes and has %d", s.Want(), len(held))
				}
				break
			}
			if piece.First {
				types += string(rune(piece.Type))
			}
			out, held = append(out, piece.Raw...), held[len(piece.Raw):]
			if piece.Last != (s.Left() == 0) {
				t.Fatalf("last %v, left %d", piece.Last, s.Left())
			}
		}
		most = max(most, len(held))
	}
	return out, types, most, nil
}

func TestAnySplitOfAStreamGivesTheSameMessages(t *testing.T) {
	in := conversation()
	rules := FrontendRules(map[byte]Rule{
		TypeParse: Whole(1000), TypeBind: Prefix(32, MaxLargeBody), TypeClose: Whole(200), TypeDescribe: Whole(200),
	})
	for step := 1; step <= len(in); step++ {
		out, types, most, err := scan(t, rules, in, step)
		if err != nil || types != "PDBHCSQX" || !bytes.Equal(out, in) {
			t.Fatalf("%d bytes at a time: %q, %v; bytes unchanged: %v", step, types, err, bytes.Equal(out, in))
		}
		if most > HeaderSize+32+step {
			t.Fatalf("%d bytes at a time: held %d bytes", step, most)
		}
	}
}

func TestAPieceThatIsPutBackComesAgain(t *testing.T) {
	s := Scanner{Rules: BackendRules(nil)}
	row := append(header(TypeDataRow, 4+100), make([]byte, 100)...)
	stream := AppendReadyForQuery(append(row, row...), StatusIdle)
	for len(stream) > 0 {
		portion := stream[:min(40, len(stream))]
		left := s.Left()
		first, err := s.Next(portion)
		if err != nil || first.Raw == nil {
			t.Fatalf("%+v, %v", first, err)
		}
		s.Back(first)
		if s.Left() != left {
			t.Fatalf("%d bytes of the message are left, %d before", s.Left(), left)
		}
		if again, err := s.Next(portion); err != nil || !reflect.DeepEqual(again, first) {
			t.Fatalf("%+v, %v comes behind %+v", again, err, first)
		}
		stream = stream[len(first.Raw):]
	}
}

// See Piece: one that is larger costs a hundred nanoseconds and more in each transaction.
func TestAPieceFitsIntoRegisters(t *testing.T) {
	piece := reflect.TypeFor[Piece]()
	if words := piece.Size() / unsafe.Sizeof(uintptr(0)); words > 4 || piece.NumField() > 4 {
		t.Errorf("it has %d fields and %d words, want at most 4 of each", piece.NumField(), words)
	}
}

func TestScanningDoesNotAllocate(t *testing.T) {
	in := conversation()
	s := Scanner{Rules: FrontendRules(nil)}
	allocs := testing.AllocsPerRun(100, func() {
		for buf := in; len(buf) > 0; {
			piece, err := s.Next(buf)
			if err != nil || piece.Raw == nil {
				t.Fatal(err)
			}
			buf = buf[len(piece.Raw):]
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func FuzzScanner(f *testing.F) {
	f.Add(conversation(), byte(1), true)
	f.Add(conversation(), byte(7), true)
	f.Add(header(TypeQuery, 1<<31-1), byte(3), true)
	f.Add(AppendReadyForQuery(AppendErrorResponse(nil, Fatal(CodeAdminShutdown, "bye")), StatusIdle), byte(2), false)
	front := FrontendRules(map[byte]Rule{TypeParse: Whole(64), TypeBind: Prefix(16, MaxLargeBody)})
	back := BackendRules(map[byte]Rule{TypeErrorResponse: Whole(64), TypeParameterStatus: Whole(64)})
	f.Fuzz(func(t *testing.T, in []byte, step byte, frontend bool) {
		rules := back
		if frontend {
			rules = front
		}
		out, types, most, err := scan(t, rules, in, int(step)+1)
		all, allTypes, _, errAll := scan(t, rules, in, len(in)+1)
		if !bytes.HasPrefix(in, out) || !bytes.HasPrefix(in, all) {
			t.Fatal("bytes were changed")
		}
		if (err == nil) != (errAll == nil) || types != allTypes || err == nil && !bytes.Equal(out, all) {
			t.Fatalf("in steps %q %v, at once %q %v", types, err, allTypes, errAll)
		}
		if most > HeaderSize+64+int(step)+1 {
			t.Fatalf("held %d bytes", most)
		}
	})
}
