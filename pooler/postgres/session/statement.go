package session

import (
	"strconv"
	"sync"
	"sync/atomic"
	"unique"
)

// Bounds of prepared statements with names, towards clients.
const (
	maxText      = 1 << 20   // bytes of one text that is kept; a session that parses a longer one is pinned
	maxNames     = 10_000    // of one session
	maxNameBytes = 32 << 20  // texts of one session
	maxKept      = 256 << 20 // texts of all sessions
	overhead     = 256       // bytes that a statement takes beside its text
)

// ownPrefix begins the names that statements have on servers.
const ownPrefix = "weir_"

// Names on servers that stand for no statement.
const (
	nameTaken   = ownPrefix + "taken"   // there is one, for the length of a batch: to have the server say that a name is in use
	nameUnknown = ownPrefix + "unknown" // there is none: to have the server say that a name is not known
)

var (
	takenStatement   = &statement{name: nameTaken}
	unknownStatement = &statement{name: nameUnknown}
)

// Statements holds each text that sessions have prepared once, however many sessions and servers have it. It is safe for
// concurrent use. All sessions and servers of one destination share one.
type Statements struct {
	limit atomic.Int32 // statements for each server connection

	mu    sync.Mutex
	of    map[identity]*statement
	epoch uint64 // rises when tables or types change
	bytes int
	count int
	last  uint64
}

// NewStatements returns an empty Statements that keeps at most limit statements on each server connection; 0 refuses
// statements with names.
func NewStatements(limit int) *Statements {
	st := &Statements{of: make(map[identity]*statement)}
	st.SetLimit(limit)
	return st
}

// SetLimit changes how many statements are kept on each server connection. Those above it are closed little by little.
func (t *Statements) SetLimit(limit int) { t.limit.Store(int32(limit)) }

// Size returns how many different statements are kept, and their bytes.
func (t *Statements) Size() (count, bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count, t.bytes
}

// identity is what two sessions must have in common to share a statement: what a Parse says behind the name, and the
// settings and the tables that it is read under.
type identity struct {
	under unique.Handle[string]
	epoch uint64
	body  string
}

// statement is a text with its parameter types. Statements.mu guards refs and what is in the map.
type statement struct {
	identity
	name   string // on servers
	traits traits
	refs   int
	shared bool        // it is in the map, unless it is stale
	stale  atomic.Bool // servers may have a plan of it that does not fit any more
}

// share returns the statement with this identity, for which the caller has a reference then; nil if there is no room for it.
// Its text is read with read if it is new.
func (t *Statements) share(under unique.Handle[string], body []byte, read func([]byte) traits) *statement {
	if known := t.find(under, body); known != nil {
		return known
	}
	id, has := identity{under: under, body: string(body)}, read(body)
	t.mu.Lock()
	defer t.mu.Unlock()
	id.epoch = t.epoch
	if known := t.of[id]; known != nil {
		known.refs++
		return known
	}
	made := t.make(id, has)
	if made != nil {
		made.shared = true
		t.of[id] = made
	}
	return made
}

func (t *Statements) find(under unique.Handle[string], body []byte) *statement {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.of[identity{under, t.epoch, string(body)}]
	if known != nil {
		known.refs++
	}
	return known
}

// private returns a statement that no other session gets; nil if there is no room for it.
func (t *Statements) private(body []byte, read func([]byte) traits) *statement {
	has := read(body)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.make(identity{body: string(body)}, has)
}

// make returns a new statement with one reference; mu is locked.
func (t *Statements) make(id identity, has traits) *statement {
	size := len(id.body) + overhead
	if t.bytes+size > maxKept {
		return nil
	}
	t.bytes += size
	t.count++
	t.last++
	return &statement{identity: id, name: ownPrefix + strconv.FormatUint(t.last, 36), traits: has, refs: 1}
}

// retain adds a reference.
func (t *Statements) retain(s *statement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.refs++
}

// release gives a reference up.
func (t *Statements) release(s *statement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.refs--
	if s.refs > 0 {
		return
	}
	t.bytes -= len(s.body) + overhead
	t.count--
	t.forget(s)
}

// renew keeps statements that were parsed so far from who parses their texts from now on, which may mean something else.
func (t *Statements) renew() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epoch++
}

// retire sees to it that the statement is parsed anew, under another name, by whoever needs it from now on.
func (t *Statements) retire(s *statement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.stale.Store(true)
	t.forget(s)
}

func (t *Statements) forget(s *statement) {
	if s.shared && t.of[s.identity] == s {
		delete(t.of, s.identity)
	}
}
