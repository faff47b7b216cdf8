package session

// kind is a reply, or sequence of replies, that is owed.
type kind uint8

const (
	none         kind = iota
	parsing           // ParseComplete
	bind              // BindComplete
	describe          // RowDescription or NoData
	execute           // CommandComplete, EmptyQueryResponse or PortalSuspended
	closing           // CloseComplete
	query             // ReadyForQuery
	call              // ReadyForQuery, of a FunctionCall
	syncPoint         // ReadyForQuery
	copyEnd           // nothing: marks CopyDone or CopyFail among messages that the server has not come to yet
	refusedNames      // ErrorResponse, which is replaced: statements with names are switched off
	refusedMany       // ErrorResponse, which is replaced: the session has too many of them
	refusedText       // ErrorResponse, which is replaced: this process keeps too much text
	refusedBlock      // ErrorResponse, which is replaced: BEGIN in statement mode
	refusedShape      // ErrorResponse, which is replaced: the statement's result is another than the client was told
	replay            // everything up to ReadyForQuery: settings that the session cannot do without
	replayName        // the same: only the application's name
)

// endsReady says that the reply ends with ReadyForQuery.
func (k kind) endsReady() bool {
	return k == query || k == call || k == syncPoint || k == replay || k == replayName
}

// fate is what becomes of a reply.
type fate uint8

const (
	pass   fate = iota // it is the client's
	hidden             // it is the pooler's own: the client does not get it
	made               // the server does not owe it: it is made up here
)

// entry is one reply that is owed.
type entry struct {
	kind    kind
	fate    fate
	names   bool   // it decides about a name of the session, or all names
	unnamed bool   // it decides about the unnamed statement
	use     *named // the statement of the client's that it is about; nil: none
	slot    *slot  // the statement of the server's that it is about; nil: none
}

// maxOwed bounds a ledger: a client that sends more without reading has to wait.
const maxOwed = 1 << 16

// keptOwed is the room that a ledger keeps between transactions.
const keptOwed = 64

// ledger is what is owed, oldest first: a ring whose size is a power of two.
type ledger struct {
	ring []entry
	head uint32
	n    uint32

	readies uint32 // entries that end with ReadyForQuery
	names   uint32 // entries that decide about names
	unnamed uint32 // entries that decide about the unnamed statement
}

func (l *ledger) len() int { return int(l.n) }

func (l *ledger) full() bool { return l.n >= maxOwed }

func (l *ledger) at(i uint32) *entry { return &l.ring[(l.head+i)&uint32(len(l.ring)-1)] }

// nothing is what first and last return if nothing is owed; it is not changed.
var nothing entry

// first returns the oldest entry, the zero entry if there is none. It is good until the ledger changes.
func (l *ledger) first() *entry {
	if l.n == 0 {
		return &nothing
	}
	return l.at(0)
}

// last is first for the newest entry.
func (l *ledger) last() *entry {
	if l.n == 0 {
		return &nothing
	}
	return l.at(l.n - 1)
}

func (l *ledger) push(e entry) {
	if int(l.n) == len(l.ring) {
		l.grow()
	}
	l.n++
	to := l.at(l.n - 1) // field by field: a copy of the whole waits until the fields of e, just set, are in memory
	to.kind, to.fate, to.names, to.unnamed = e.kind, e.fate, e.names, e.unnamed
	to.use, to.slot = e.use, e.slot
	l.count(to, 1)
}

// count adds to the counts of a kind of entry; by is 1 or, as it wraps, -1.
func (l *ledger) count(e *entry, by uint32) {
	if e.kind.endsReady() {
		l.readies += by
	}
	if e.names {
		l.names += by
	}
	if e.unnamed {
		l.unnamed += by
	}
}

// decide notes that the newest entry, of a Query, decides about names.
func (l *ledger) decide() {
	if e := l.last(); e.kind == query && !e.names {
		e.names = true
		l.names++
	}
}

func (l *ledger) grow() {
	ring := make([]entry, max(16, 2*len(l.ring)))
	for i := range l.n {
		ring[i] = *l.at(i)
	}
	l.ring, l.head = ring, 0
}

// pop removes the oldest entry, and the marks behind it, for which nothing is owed.
func (l *ledger) pop() {
	l.drop()
	for l.first().kind == copyEnd {
		l.drop()
	}
}

func (l *ledger) drop() {
	e := l.at(0)
	l.count(e, ^uint32(0))
	*e = entry{}
	l.head++
	l.n--
}

// startCopy removes what the server ignores while it copies from the client: the sync points up to the end of the copy's
// data, and the mark of that end. It returns whether there were any, and whether the end is there.
func (l *ledger) startCopy() (ignored, ended bool) {
	kept := uint32(1) // the copying statement itself
	for i := uint32(1); i < l.n; i++ {
		e := l.at(i)
		switch {
		case !ended && e.kind == syncPoint:
			ignored = true
			l.count(e, ^uint32(0))
			continue
		case !ended && e.kind == copyEnd:
			ended = true
			continue
		}
		*l.at(kept) = *e
		kept++
	}
	l.n = kept
	return ignored, ended
}

// clear forgets everything, and gives a large ring up.
func (l *ledger) clear() {
	ring := l.ring
	if len(ring) > keptOwed {
		ring = nil
	}
	*l = ledger{ring: ring}
}
