package lookup

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Bounds of a Cache.
const (
	MaxKnown   = 10_000 // users that exist, without those that are held
	MaxUnknown = 10_000 // names that do not
	MaxFlights = 32     // queries at a time

	doubtAfter = time.Second // an entry that is younger is not doubted
)

// Cache remembers what was found for each user: a V, or that there is none. It is safe for concurrent use.
type Cache[V any] struct {
	mu      sync.Mutex
	entries map[string]*entry[V]
	flights map[string]*flight[V]
	known   list.List // of *entry, without those that are held; the least recently found at the back
	unknown list.List

	slots chan struct{}
}

type entry[V any] struct {
	user  string
	value V
	found bool
	at    time.Time
	doubt bool
	held  int
	place *list.Element // in its list; nil: held
}

// flight is a query under way.
type flight[V any] struct {
	landed chan struct{}
	value  V
	found  bool
	err    error
}

// NewCache makes an empty Cache.
func NewCache[V any]() *Cache[V] {
	return &Cache[V]{
		entries: map[string]*entry[V]{}, flights: map[string]*flight[V]{}, slots: make(chan struct{}, MaxFlights),
	}
}

// Find returns what is known of a user, if it is not older than age; otherwise it calls fetch, in a goroutine, and waits for
// the outcome until ctx ends. What was known before is given to fetch. Errors are not remembered.
func (c *Cache[V]) Find(ctx context.Context, user string, age time.Duration, fetch func(old V) (V, bool, error)) (value V, found bool, _ error) {
	for {
		c.mu.Lock()
		e, f := c.entries[user], c.flights[user]
		if e != nil && e.fresh(age) {
			c.touch(e)
			value, found = e.value, e.found
			c.mu.Unlock()
			return value, found, nil
		}
		if f == nil {
			select {
			case c.slots <- struct{}{}:
				f = c.depart(user, fetch)
			default:
			}
		}
		c.mu.Unlock()
		if f == nil {
			select {
			case c.slots <- struct{}{}:
				<-c.slots // try again
				continue
			case <-ctx.Done():
				return value, false, context.Cause(ctx)
			}
		}
		select {
		case <-f.landed:
			return f.value, f.found, f.err
		case <-ctx.Done():
			return value, false, context.Cause(ctx)
		}
	}
}

func (e *entry[V]) fresh(age time.Duration) bool {
	old := time.Since(e.at)
	return old < age && !(e.doubt && old >= doubtAfter)
}

// depart starts a flight, for which there is a slot; mu is locked.
func (c *Cache[V]) depart(user string, fetch func(V) (V, bool, error)) *flight[V] {
	f := &flight[V]{landed: make(chan struct{})}
	c.flights[user] = f
	var old V
	if e := c.entries[user]; e != nil {
		old = e.value
	}
	go func() {
		f.value, f.found, f.err = fetch(old)
		c.mu.Lock()
		delete(c.flights, user)
		if f.err == nil {
			c.remember(user, f.value, f.found)
		}
		c.mu.Unlock()
		close(f.landed)
		<-c.slots
	}()
	return f
}

// remember keeps what was found; mu is locked.
func (c *Cache[V]) remember(user string, value V, found bool) {
	e := c.entries[user]
	if e == nil {
		e = &entry[V]{user: user}
		c.entries[user] = e
	}
	c.unlist(e)
	e.value, e.found, e.at, e.doubt = value, found, time.Now(), false
	c.list(e)
}

// list gives an entry that nobody holds its place in front, and drops who is last if there are too many; mu is locked.
func (c *Cache[V]) list(e *entry[V]) {
	if e.held > 0 {
		return
	}
	l, most := c.listOf(e)
	e.place = l.PushFront(e)
	if l.Len() > most {
		last := l.Back().Value.(*entry[V])
		c.unlist(last)
		delete(c.entries, last.user)
	}
}

func (c *Cache[V]) unlist(e *entry[V]) {
	if e.place != nil {
		l, _ := c.listOf(e)
		l.Remove(e.place)
		e.place = nil
	}
}

func (c *Cache[V]) listOf(e *entry[V]) (*list.List, int) {
	if e.found {
		return &c.known, MaxKnown
	}
	return &c.unknown, MaxUnknown
}

func (c *Cache[V]) touch(e *entry[V]) {
	if e.place != nil {
		l, _ := c.listOf(e)
		l.MoveToFront(e.place)
	}
}

// Last returns what was last found for a user, however long ago.
func (c *Cache[V]) Last(user string) (value V, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[user]; e != nil {
		return e.value, e.found
	}
	return value, false
}

// Hold keeps what is known of a user until release is called.
func (c *Cache[V]) Hold(user string) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[user]
	if e == nil {
		return func() {}
	}
	e.held++
	c.unlist(e)
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if e.held--; e.held == 0 {
			c.list(e)
		}
	})
}

// Doubt has what is known of a user fetched again by the next Find.
func (c *Cache[V]) Doubt(user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[user]; e != nil {
		e.doubt = true
	}
}

// Age has all that is known fetched again. Last still returns it.
func (c *Cache[V]) Age() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		e.at = time.Time{}
	}
}

// Len returns how many users and other names are remembered.
func (c *Cache[V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}
