package pool

// classes is how many classes of clients a queue tells apart.
const classes = 4

// defaultWeights are those of Config.Queue.
var defaultWeights = [classes]int{1, 2, 4, 8}

// queue is the waiters of a pool: a line for each class. Any waiter leaves in constant time.
type queue[C any] struct {
	len   int // of all lines
	seq   uint64
	lines [classes]line[C]
}

// line is the waiters of one class, oldest first.
type line[C any] struct {
	head, tail *waiter[C]
	len        int
	credit     int // what the class is owed, in turns times weights; 0 while nobody waits
}

func (q *queue[C]) push(w *waiter[C]) {
	q.seq++
	w.seq, w.queued = q.seq, true
	l := &q.lines[w.class]
	w.prev, w.next = l.tail, nil
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.len++
	q.len++
}

func (q *queue[C]) remove(w *waiter[C]) {
	l := &q.lines[w.class]
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.len--
	if l.len--; l.len == 0 {
		l.credit = 0
	}
}

// oldest is the client that waits for longest; nil if none waits.
func (q *queue[C]) oldest() (oldest *waiter[C]) {
	for i := range q.lines {
		if w := q.lines[i].head; w != nil && (oldest == nil || w.seq < oldest.seq) {
			oldest = w
		}
	}
	return oldest
}

// ahead is the number of clients of its class before w, at most: those who gave up since are counted too.
func (q *queue[C]) ahead(w *waiter[C]) int {
	l := &q.lines[w.class]
	if l.head == nil || l.head.seq >= w.seq {
		return 0
	}
	return int(min(w.seq-l.head.seq, uint64(l.len)))
}

// turn is the line to be served next, by smooth weighted round robin: the class that is owed most. Somebody waits.
func (q *queue[C]) turn(weights *[classes]int) *line[C] {
	best, most := 0, 0
	for i := range q.lines {
		l := &q.lines[i]
		if l.len == q.len {
			return l // nobody else waits
		}
		if owed := l.credit + weights[i]; l.len > 0 && (most == 0 || owed > most) {
			best, most = i, owed
		}
	}
	return &q.lines[best]
}

// served books that a client of this class, who is still in the queue, had the turn.
func (q *queue[C]) served(class uint8, weights *[classes]int) {
	if q.lines[class].len == q.len {
		return
	}
	total := 0
	for i := range q.lines {
		if l := &q.lines[i]; l.len > 0 {
			l.credit += weights[i]
			total += weights[i]
		}
	}
	q.lines[class].credit -= total
}
