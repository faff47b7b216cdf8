package session

// audit sees that each text is kept for those who have it, and as often: sessions by name or in a Parse under way, and server
// connections. No other text is kept.
func audit(t tester, all *Statements, server *Server, sessions ...*Session) {
	t.Helper()
	holders := map[*statement]int{}
	for _, s := range sessions {
		size := 0
		for _, n := range s.names.known {
			holders[n.stmt]++
			size += len(n.stmt.body)
		}
		if size != s.names.bytes {
			t.Fatalf("a session has texts of %d bytes and counts %d", size, s.names.bytes)
		}
		for i := range s.owed.n {
			if e := s.owed.at(i); e.kind == parsing && e.names && e.fate != hidden {
				holders[e.use.stmt]++
			}
		}
	}
	for stmt := range server.slots.of {
		holders[stmt]++
	}
	size := 0
	for stmt, n := range holders {
		if size += len(stmt.body) + overhead; stmt.refs != n {
			t.Fatalf("%q is kept for %d and held by %d", stmt.body, stmt.refs, n)
		}
	}
	if count, bytes := all.Size(); count != len(holders) || bytes != size {
		t.Fatalf("%d texts of %d bytes are kept, and %d of %d are held", count, bytes, len(holders), size)
	}
}
