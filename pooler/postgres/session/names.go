package session

import "unique"

// maxName is how much of a statement's name counts, as in PostgreSQL.
const maxName = 63

// named is a statement of the client's.
type named struct {
	name  string // as the client calls it
	stmt  *statement
	shape shape // that the client was told
}

// names are the statements of a session by what the client calls them. What the server has not confirmed yet is ahead: it is
// gone if the server does not get to it.
type names struct {
	known   map[string]*named
	ahead   map[string]*named     // nil: it will be closed
	segment uint32                // of what is ahead: never of more than one
	closes  bool                  // an Execute is owed that may close statements: the rest of its batch waits for it
	asked   bool                  // the server was told not to wait for the end of the batch with that
	bytes   int                   // texts of known
	under   unique.Handle[string] // settings when the first was parsed, but search_path
}

func shorten(name []byte) []byte { return name[:min(len(name), maxName)] }

// find returns the statement that the client means; nil: there is none.
func (m *names) find(name []byte) *named {
	name = shorten(name)
	if len(m.ahead) > 0 {
		if n, ok := m.ahead[string(name)]; ok {
			return n
		}
	}
	return m.known[string(name)]
}

// none says that the client has no statements with names.
func (m *names) none() bool { return len(m.known)+len(m.ahead) == 0 }

func (m *names) expect(name string, n *named, segment uint32) {
	if m.ahead == nil {
		m.ahead = make(map[string]*named)
	}
	m.ahead[name] = n
	m.segment = segment
}

// set makes a statement known, once the server has confirmed it.
func (m *names) set(n *named) {
	if m.known == nil {
		m.known = make(map[string]*named)
	}
	m.known[n.name] = n
	m.bytes += len(n.stmt.body)
}

// remove returns the statement that had the name; nil: there was none.
func (m *names) remove(name string) *statement {
	n := m.known[name]
	if n == nil {
		return nil
	}
	delete(m.known, name)
	m.bytes -= len(n.stmt.body)
	return n.stmt
}
