package session

import "bytes"

// path follows search_path, which servers before PostgreSQL 18 do not report: a SET search_path that is understood and stands
// alone counts once the transaction that it was run in is committed. What cannot be followed pins the session.
type path struct {
	names   string // what SET named
	armed   bool   // a SET is on its way
	pending bool   // it was run in the transaction at hand
	rolled  bool   // a ROLLBACK was run since, if only to a savepoint
	kept    bool   // a COMMIT was run since
}

// arm notes that a text is run which sets search_path.
func (s *Session) arm(names string) {
	if s.path.armed || s.path.pending {
		s.sets = true // two at once
	}
	s.path.armed, s.path.names = true, names
}

// setPath notes that the text has been run.
func (s *Session) setPath() {
	if s.path.armed {
		s.path = path{names: s.path.names, pending: true}
	}
}

// endPath takes the end of a transaction.
func (s *Session) endPath() {
	p := s.path
	if !p.pending {
		return
	}
	s.path = path{armed: p.armed, names: p.names}
	switch {
	case p.rolled && p.kept:
		s.pin(Set)
	case p.rolled:
	case p.names == "":
		s.chosen = s.chosen.without(searchPath)
		s.server.follow(s.chosen)
	default:
		s.chosen = s.chosen.with(searchPath, p.names)
		s.server.follow(s.chosen)
	}
}

// follow notes that the server has been given a session's search_path, which it does not report.
func (v *Server) follow(chosen *settings) {
	if names, ok := chosen.get(searchPath); ok {
		v.have = v.have.with(searchPath, names)
	} else if !v.reports(searchPath) {
		v.have = v.have.without(searchPath)
	}
}

// completed looks at a command tag: what was run, not only what was said.
func (s *Session) completed(body []byte) {
	tag, _, _ := bytes.Cut(body, []byte{0})
	switch string(tag) {
	case "SET":
		s.setPath()
		s.pinIfSet()
	case "DO", "CALL":
		s.pinIfSet()
		if s.mayDefine {
			s.define()
		}
	case "RESET":
		s.setPath()
		if _, ok := s.chosen.get(searchPath); ok {
			s.pinIfSet()
		}
	case "COMMIT":
		s.path.kept = true
	case "ROLLBACK":
		s.path.rolled = true
	case "DEALLOCATE":
		s.deallocated()
	case "DEALLOCATE ALL":
		s.dropStatements()
	case "DISCARD ALL":
		s.setPath()
		s.discarded()
	default:
		if defines(tag) {
			s.define()
		}
	}
}

// defines says that a command tag is one of CREATE, ALTER or DROP.
func defines(tag []byte) bool {
	first, _, more := bytes.Cut(tag, []byte{' '})
	return more && (string(first) == "CREATE" || string(first) == "ALTER" || string(first) == "DROP")
}

// define notes that a table, type or the like may be another one now. Who goes on with a statement that was parsed before sees
// that as without a pooler; who parses its text anew must get another, for now in this session and once it is committed in all.
// Not so with temporary tables, which others do not see.
func (s *Session) define() {
	if s.pinned != TempTable {
		s.defined, s.changes = true, true
	}
}

// spread takes the end of a transaction that may have changed tables.
func (s *Session) spread() {
	if s.defined {
		s.defined = false
		s.statements.renew()
	}
}

// pinIfSet pins a session of which a text set what is not tracked.
func (s *Session) pinIfSet() {
	if s.sets {
		s.pin(Set)
	}
}

// discarded takes the end of a DISCARD ALL: nothing is left of what the session was pinned for.
func (s *Session) discarded() {
	s.dropStatements()
	if s.pinned != Uncertain {
		s.pinned = NotPinned
	}
	s.sets, s.changes = false, false
}

// dropStatements takes the end of what closes all prepared statements of the server connection.
func (s *Session) dropStatements() {
	s.forgetNames()
	s.server.dropSlots()
}
