package session

import "testing"

// push copies field by field. A field that entry gets does not compile here before it is copied there.
func TestWhatIsOwedIsKeptWhole(t *testing.T) {
	e := entry{parsing, made, true, true, new(named), new(slot)}
	var l ledger
	l.push(e)
	if got := *l.last(); got != e {
		t.Errorf("%+v is kept, want %+v", got, e)
	}
}
