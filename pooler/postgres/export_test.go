package postgres

import "github.com/weir-dev/weir/pooler/postgres/session"

// client is the one with this process ID.
func (e *Engine) client(pid uint32) *client {
	e.clients.mu.Lock()
	defer e.clients.mu.Unlock()
	return e.clients.all[pid]
}

// HoldLaneOf keeps the lane of the client with this process ID busy until release is called.
func (e *Engine) HoldLaneOf(pid uint32) (release func()) { return e.client(pid).lane.hold() }

// HoldLanes keeps all lanes busy until release is called.
func (e *Engine) HoldLanes() (release func()) {
	var held []func()
	for _, l := range e.lanes {
		held = append(held, l.hold())
	}
	return func() {
		for _, release := range held {
			release()
		}
	}
}

// Retire has all server connections replaced.
func (e *Engine) Retire() { e.retire("") }

// hold returns when the lane does nothing any more.
func (l *lane) hold() (release func()) {
	held, end := make(chan struct{}), make(chan struct{})
	l.Post(func() {
		close(held)
		<-end
	})
	<-held
	return func() { close(end) }
}

// ShareLane says whether the clients with these process IDs are on one lane.
func (e *Engine) ShareLane(a, b uint32) bool {
	return e.client(a).lane == e.client(b).lane
}

// Statements is how many texts of prepared statements are kept.
func (e *Engine) Statements() int {
	count, _ := e.statements.Size()
	return count
}

// Confuse has what the idle client with this process ID parses by name, and the end of its transactions that create tables, panic:
// its machine has no table of statements.
func (e *Engine) Confuse(pid uint32) {
	cl := e.client(pid)
	defer cl.lane.hold()()
	cl.machine = session.New(session.Transaction, nil, nil)
}

// Entries is how many logins are under way on lanes, when these have done more of what there is to do.
func (e *Engine) Entries() (n int) {
	e.HoldLanes()()
	for _, l := range e.lanes {
		n += int(l.pending.Load())
	}
	return n
}
