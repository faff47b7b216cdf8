package postgres

import "github.com/weir-dev/weir/pooler/postgres/session"

// HoldLaneOf keeps the lane of the client with this process ID busy until release is called.
func (e *Engine) HoldLaneOf(pid uint32) (release func()) {
	e.clients.mu.Lock()
	l := e.clients.all[pid].lane
	e.clients.mu.Unlock()
	return l.hold()
}

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
func (e *Engine) Retire() {
	for _, p := range e.servers.All() {
		p.Retire()
	}
}

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
	e.clients.mu.Lock()
	defer e.clients.mu.Unlock()
	return e.clients.all[a].lane == e.clients.all[b].lane
}

// Statements is how many texts of prepared statements are kept.
func (e *Engine) Statements() int {
	count, _ := e.statements.Size()
	return count
}

// Confuse has what the idle client with this process ID parses by name, and the end of its transactions that create tables, panic:
// its machine has no table of statements.
func (e *Engine) Confuse(pid uint32) {
	e.clients.mu.Lock()
	cl := e.clients.all[pid]
	e.clients.mu.Unlock()
	done := make(chan struct{})
	cl.lane.Post(func() {
		cl.machine = session.New(session.Transaction, nil, nil)
		close(done)
	})
	<-done
}
