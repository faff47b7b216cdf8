package difftest

import (
	"slices"
	"strings"
	"testing"
)

func TestWordsOfAScript(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       []string
	}{
		{"bare words", `Execute  p 3`, []string{"Execute", "p", "3"}},
		{"quotes as in Go", `Query "a \x00 b" ""`, []string{"Query", "a \x00 b", ""}},
		{"repetition", `"ab"*3 c`, []string{"ababab", "c"}},
		{"parts of one word", "a=\"b c\"`d`*2", []string{"a=b cdd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := fields(c.line)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s is read as %q, %v; want %q", c.line, got, err, c.want)
			}
		})
	}
}

func TestShortListsAreReadAsTheyAreWritten(t *testing.T) {
	long := []string{"T", "D", "D", "D", "C", "Z:I", "Z:I"}
	short := collapse(long)
	if got := strings.Join(short, " "); got != "T D*3 C Z:I Z:I" {
		t.Errorf("the list is written as %s", got)
	}
	if got := expand(short); !slices.Equal(got, long) {
		t.Errorf("it is read as %q", got)
	}
}

func TestDiffTellsWhatDiffersInOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b string
		want string
	}{
		{"nothing", "1 2 3", "1 2 3", ""},
		{"one that is missing", "1 2 3", "1 3", "- 2"},
		{"one that is new", "1 3", "1 2 3", "+ 2"},
		{"one for another", "1 2 3", "1 x 3", "- 2,+ x"},
		{"a change of order", "1 2 3", "2 1 3", "- 1,+ 1"},
		{"all", "1", "", "- 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(Diff(strings.Fields(c.a), strings.Fields(c.b)), ","); got != c.want {
				t.Errorf("the difference is %q, want %q", got, c.want)
			}
		})
	}
}

// What the masks hide must not hide anything else.
func TestASingleDifferentByteIsSeen(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b reply
		same bool
	}{
		{"a value", reply{'D', []byte("\x00\x01\x00\x00\x00\x01a")}, reply{'D', []byte("\x00\x01\x00\x00\x00\x01b")}, false},
		{"null and empty", reply{'D', []byte("\x00\x01\xff\xff\xff\xff")}, reply{'D', []byte("\x00\x01\x00\x00\x00\x00")}, false},
		{"a status", reply{'Z', []byte("I")}, reply{'Z', []byte("T")}, false},
		{"a type", reply{'1', nil}, reply{'2', nil}, false},
		{"something behind the end", reply{'C', []byte("SET\x00")}, reply{'C', []byte("SET\x00x")}, false},
		{"a field of an error", reply{'E', []byte("C26000\x00Mone\x00\x00")}, reply{'E', []byte("C26000\x00Mtwo\x00\x00")}, false},
		{"a field that only one has", reply{'E', []byte("C26000\x00\x00")}, reply{'E', []byte("C26000\x00P1\x00\x00")}, false},
		{"a byte in a long value", long('x'), long('y'), false},
		{"the line of an error", reply{'E', []byte("C26000\x00L12\x00\x00")}, reply{'E', []byte("C26000\x00L13\x00\x00")}, true},
		{"the object identifier of a user's type", reply{'t', []byte("\x00\x01\x00\x00\x40\x01")}, reply{'t', []byte("\x00\x01\x00\x00\x50\x02")}, true},
		{"the object identifier of another type", reply{'t', []byte("\x00\x01\x00\x00\x00\x17")}, reply{'t', []byte("\x00\x01\x00\x00\x00\x19")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if same := c.a.String() == c.b.String(); same != c.same {
				t.Errorf("%s and %s: same is %v, want %v", c.a, c.b, same, c.same)
			}
		})
	}
}

// long is a row whose value differs in its last byte only.
func long(last byte) reply {
	return reply{'D', append([]byte("\x00\x01\x00\x00\x01\x2c"+strings.Repeat("x", 299)), last)}
}
