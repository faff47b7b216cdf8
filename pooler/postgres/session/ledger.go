package session

// kind is a reply, or sequence of replies, that the server owes.
type kind uint8

const (
	none           kind = iota
	parseUnnamed        // ParseComplete
	parseNamed          // ParseComplete
	bind                // BindComplete
	describe            // RowDescription or NoData
	execute             // CommandComplete, EmptyQueryResponse or PortalSuspended
	closeUnnamed        // CloseComplete
	closeOther          // CloseComplete
	query               // ReadyForQuery
	call                // ReadyForQuery, of a FunctionCall
	syncPoint           // ReadyForQuery
	copyEnd             // nothing: marks CopyDone or CopyFail among messages that the server has not come to yet
	refusedName         // ErrorResponse, which is replaced: a statement with a name
	refusedUnnamed      // ErrorResponse, which is replaced: an unnamed statement of another transaction
)

// endsReady says that the reply ends with ReadyForQuery.
func (k kind) endsReady() bool { return k == query || k == call || k == syncPoint }

// maxOwed bounds a ledger. What a client may have under way is bounded by socket buffers long before.
const maxOwed = 1 << 18

// keptOwed is the room that a ledger keeps between transactions.
const keptOwed = 256

// ledger is what the server owes, oldest first: a ring whose size is a power of two.
type ledger struct {
	ring []kind
	head uint32
	n    uint32
}

func (l *ledger) len() int { return int(l.n) }

func (l *ledger) at(i uint32) *kind { return &l.ring[(l.head+i)&uint32(len(l.ring)-1)] }

// first returns the oldest entry, none if there is none.
func (l *ledger) first() kind {
	if l.n == 0 {
		return none
	}
	return *l.at(0)
}

// push reports whether there was room.
func (l *ledger) push(k kind) bool {
	if int(l.n) == len(l.ring) && !l.grow() {
		return false
	}
	l.n++
	*l.at(l.n - 1) = k
	return true
}

func (l *ledger) grow() bool {
	if l.n >= maxOwed {
		return false
	}
	ring := make([]kind, max(16, 2*len(l.ring)))
	for i := range l.n {
		ring[i] = *l.at(i)
	}
	l.ring, l.head = ring, 0
	return true
}

// pop removes the oldest entry, and the marks behind it, for which nothing is owed.
func (l *ledger) pop() {
	l.drop()
	for l.first() == copyEnd {
		l.drop()
	}
}

func (l *ledger) drop() {
	l.head++
	l.n--
}

// skip removes everything before the next sync point, and reports whether there is one.
func (l *ledger) skip() bool {
	for l.n > 0 && l.first() != syncPoint {
		l.drop()
	}
	return l.n > 0
}

// startCopy removes what the server ignores while it copies from the client: the sync points up to the end of the copy's
// data, and the mark of that end. It returns whether there were any, and whether the end is there.
func (l *ledger) startCopy() (ignored, ended bool) {
	kept := uint32(1) // the copying statement itself
	for i := uint32(1); i < l.n; i++ {
		k := *l.at(i)
		switch {
		case !ended && k == syncPoint:
			ignored = true
			continue
		case !ended && k == copyEnd:
			ended = true
			continue
		}
		*l.at(kept) = k
		kept++
	}
	l.n = kept
	return ignored, ended
}

// ready says that a ReadyForQuery is owed.
func (l *ledger) ready() bool {
	for i := range l.n {
		if l.at(i).endsReady() {
			return true
		}
	}
	return false
}

// unnamedAfter returns whether the server has an unnamed statement of this session once all replies have come, if it has
// one now.
func (l *ledger) unnamedAfter(now bool) bool {
	for i := range l.n {
		switch *l.at(i) {
		case parseUnnamed:
			now = true
		case query, closeUnnamed:
			now = false
		}
	}
	return now
}

// clear forgets everything, and gives a large ring up.
func (l *ledger) clear() {
	if len(l.ring) > keptOwed {
		l.ring = nil
	}
	l.head, l.n = 0, 0
}
