package session

import "testing"

func TestASessionThatWasGivenUpHasNothing(t *testing.T) {
	l := newLine(t, Transaction)
	l.says(1<<20, parse("a", "SELECT 1"), syncAll)
	l.answers(1<<20, parsed, ready('I'))
	l.says(1<<20, sql("BEGIN"))
	l.answers(1<<20, tag("BEGIN"), ready('T'))
	l.s.Fail(true)
	if !l.s.Failed() || !l.s.Torn() {
		t.Error("it does not remember how it failed")
	}
	if l.s.Attached() || l.s.Busy() || !l.s.Idle() || l.s.Names() != 0 {
		t.Errorf("it still has something: %+v", l.s)
	}
	for what, do := range map[string]Action{
		"Sent": l.s.Sent(), "Delivered": l.s.Delivered(), "Leave": l.s.Leave(false), "Abandon": l.s.Abandon(),
	} {
		if do != Continue {
			t.Errorf("%s is %v, although there is no server connection to decide about", what, do)
		}
	}
	l.server.Close()
	if count, bytes := l.server.statements.Size(); count != 0 || bytes != 0 {
		t.Errorf("%d statements of %d bytes are kept for nobody", count, bytes)
	}
}
