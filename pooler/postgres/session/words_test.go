package session

import "testing"

func TestWordsThatPin(t *testing.T) {
	for _, c := range []struct {
		text  string
		pin   Reason
		plain bool
	}{
		{"SELECT 1", NotPinned, false},
		{"LISTEN x", Listen, false},
		{"listen\x00", Listen, false},
		{"unlisten x", NotPinned, false},
		{"SELECT 'listener', listen_count", NotPinned, false},
		{"CREATE TEMP TABLE t ()", TempTable, false},
		{"CREATE LOCAL TEMPORARY TABLE t ()", TempTable, false},
		{"CREATE TABLE pg_temp.t ()", TempTable, false},
		{"SELECT temperature, template", NotPinned, false},
		{"DECLARE c CURSOR WITH/**/HOLD FOR SELECT 1", HoldCursor, false},
		{"prepare p as select 1", SQLPrepare, false},
		{"LOAD 'x'", Load, false},
		{"select pg_catalog.set_config('a','b',false)", SetConfig, false},
		{"select \"pg_advisory_lock\"(1)", AdvisoryLock, false},
		{"select pg_try_advisory_lock_shared(1)", AdvisoryLock, false},
		{"select pg_advisory_xact_lock(1), pg_advisory_unlock(1)", NotPinned, false},
		{"SET x = 1", NotPinned, true},
		{"set\n\tx to 1", NotPinned, true},
		{"SET LOCAL x = 1", NotPinned, false},
		{"Set Transaction READ ONLY", NotPinned, false},
		{"SET CONSTRAINTS ALL DEFERRED", NotPinned, false},
		{"SET SESSION x = 1", NotPinned, true},
		{"SET\"x\" = 1", NotPinned, true},
		{"SET /* LOCAL */ x = 1", NotPinned, true},
		{"SET LOCAL x = 1; SET y = 1", NotPinned, true},
		{"SELECT reset, sets, set_x", NotPinned, false},
		{"UPDATE t SET a = 1", NotPinned, true},
		{"SELECT a_word_that_is_longer_than_all_that_are_looked_for_listen", NotPinned, false},
	} {
		for _, piece := range []int{1, 3, 1000} {
			var w words
			w.begin()
			text := []byte(c.text + "\x00")
			for len(text) > 0 {
				n := min(piece, len(text))
				w.feed(text[:n])
				text = text[n:]
			}
			if w.pin != c.pin || w.plain != c.plain {
				t.Errorf("%q in pieces of %d: %v, plain SET %v; want %v, %v", c.text, piece, w.pin, w.plain, c.pin, c.plain)
			}
		}
	}
}

func TestLookingAtTextDoesNotAllocate(t *testing.T) {
	var w words
	text := []byte("SELECT a, b, c FROM t WHERE listener = 'x' AND set_name = $1 ORDER BY hold_until")
	if n := testing.AllocsPerRun(100, func() { w.begin(); w.feed(text) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
