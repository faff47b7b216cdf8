package session

import "testing"

func TestAStatementThatCannotBeHandedOverFailsInThePlaceOfItsQuery(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1000, parse("gone", "SELECT * FROM nothing"), syncAll)
	l.answers(1000, parsed, ready('I'))
	l.toSrv.Reset()
	l.toCli.Reset()
	l.says(1000, sql("EXECUTE gone"))
	l.want("the server gets", types(t, clientTypes, l.toSrv.Bytes()), "C P Q S")
	l.answers(1000, message('3'), fail("42P01"), ready('I'))
	l.want("the client gets", types(t, serverTypes, l.toCli.Bytes()), "E:42P01 Z:I")
	l.toCli.Reset()
	l.says(1000, bindTo("gone"), syncAll)
	l.answers(1000, bound, ready('I'))
	l.want("the client gets", types(t, serverTypes, l.toCli.Bytes()), "2 Z:I")
}
