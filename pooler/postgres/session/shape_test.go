package session

import (
	"testing"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// result is a RowDescription of one column with this name and type, of any table.
func result(name string, table, typ byte) []byte {
	field := append([]byte{0, 1}, name...)
	return message('T', append(field, 0, 0, 0, 0, table, 0, 1, 0, 0, 0, typ, 0, 4, 255, 255, 255, 255, 0, 0)...)
}

func parameters(types ...byte) []byte {
	body := []byte{0, byte(len(types))}
	for _, t := range types {
		body = append(body, 0, 0, 0, t)
	}
	return message('t', body...)
}

// A client that was told the result of its statement comes to a server connection that does not have it.
func TestAStatementIsWhatItsClientWasToldThatItIs(t *testing.T) {
	described := wire.AppendDescribe(nil, wire.TargetStatement, "mine")
	for _, c := range []struct {
		name  string
		there [][]byte // how the statement is described there
		sent  string
		told  string
	}{
		{"with the result that it has", [][]byte{parameters(23), result("n", 1, 25)}, "P D H B E S", "2 C Z:I"},
		{"of a table that was made anew", [][]byte{parameters(23), result("n", 2, 25)}, "P D H B E S", "2 C Z:I"},
		{"with another type", [][]byte{parameters(23), result("n", 1, 23)}, "P D H D E S", "E:0A000 Z:I"},
		{"with another name", [][]byte{parameters(23), result("m", 1, 25)}, "P D H D E S", "E:0A000 Z:I"},
		{"with another parameter", [][]byte{parameters(20), result("n", 1, 25)}, "P D H D E S", "E:0A000 Z:I"},
		{"without a result", [][]byte{parameters(23), message('n')}, "P D H D E S", "E:0A000 Z:I"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLine(t, Transaction)
			l.says(1000, parse("mine", "SELECT $1"), described, syncAll)
			l.answers(1000, parsed, parameters(23), result("n", 1, 25), ready('I'))
			l.wantDid(Acquire, Release)
			l.server = NewServer(l.s.statements, reported)
			l.toSrv.Reset()
			l.toCli.Reset()
			l.says(1000, bindTo("mine"), executeAll, syncAll)
			l.want("at first the server gets", types(t, clientTypes, l.toSrv.Bytes()), "P D H")
			l.answers(7, parsed, c.there[0], c.there[1])
			l.want("the server gets", types(t, clientTypes, l.toSrv.Bytes()), c.sent)
			if c.told[0] == 'E' {
				l.answers(1000, fail("26000"), ready('I'))
			} else {
				l.answers(1000, bound, tag("SELECT 1"), ready('I'))
			}
			l.want("the client gets", types(t, serverTypes, l.toCli.Bytes()), c.told)
			l.wantDid(Acquire, Release)
		})
	}
}

func TestWhoWasNotToldAResultDoesNotWaitForIt(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, parse("mine", "SELECT $1"), syncAll)
	l.answers(1000, parsed, ready('I'))
	l.server = NewServer(l.s.statements, reported)
	l.toSrv.Reset()
	l.says(1000, bindTo("mine"), executeAll, syncAll)
	l.want("the server gets", types(t, clientTypes, l.toSrv.Bytes()), "P B E S")
}
