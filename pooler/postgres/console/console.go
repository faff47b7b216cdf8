package console

import (
	"slices"
	"sync"
	"time"
)

// Names are the databases by which clients reach the console.
var Names = []string{"weir", "pgbouncer"}

// self is what the console is called in its own tables, as in PgBouncer's: dashboards leave this name out.
const self = "pgbouncer"

// Console answers the clients of one Source.
type Console struct {
	source Source

	mu         sync.Mutex
	sessions   int
	statements uint64 // served
	averages   averages
}

// New makes the Console of a Source.
func New(source Source) *Console { return &Console{source: source} }

// IsName says whether a database is the console.
func IsName(database string) bool { return slices.Contains(Names, database) }

// Enter counts a session in, unless there are most already, and Leave out.
func (c *Console) Enter(most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions >= most {
		return false
	}
	c.sessions++
	return true
}

// Leave counts a session out.
func (c *Console) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions--
}

// Sessions are how many there are.
func (c *Console) Sessions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions
}

// Period is how often Tick is to be called.
const Period = time.Minute

// Tick ends a period of averages.
func (c *Console) Tick(now time.Time) {
	totals := c.source.Totals()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.averages.tick(now, append(totals, c.own()))
}

// averages are what the last period that has ended tells.
type averages struct {
	begin, end     time.Time
	atBegin, atEnd map[string]Totals // by database
}

func (a *averages) tick(now time.Time, totals []Totals) {
	a.begin, a.atBegin = a.end, a.atEnd
	a.end, a.atEnd = now, make(map[string]Totals, len(totals))
	for _, t := range totals {
		a.atEnd[t.Database] = t
	}
}

// of returns the averages of a database: counts for each second, times for each of what they are of. They are 0 until a period
// has ended.
func (a *averages) of(database string) Totals {
	seconds := a.end.Sub(a.begin).Seconds()
	if a.begin.IsZero() || seconds <= 0 {
		return Totals{Database: database}
	}
	from, to := a.atBegin[database], a.atEnd[database]
	rate := func(from, to uint64) uint64 { return uint64(float64(to-from) / seconds) }
	mean := func(from, to time.Duration, n uint64) time.Duration {
		if n == 0 {
			return 0
		}
		return (to - from) / time.Duration(n)
	}
	return Totals{
		Database: database,
		Assigned: rate(from.Assigned, to.Assigned), Transactions: rate(from.Transactions, to.Transactions),
		Queries: rate(from.Queries, to.Queries), Received: rate(from.Received, to.Received), Sent: rate(from.Sent, to.Sent),
		TransactionTime: mean(from.TransactionTime, to.TransactionTime, to.Transactions-from.Transactions),
		QueryTime:       mean(from.QueryTime, to.QueryTime, to.Queries-from.Queries),
		WaitTime:        mean(from.WaitTime, to.WaitTime, to.Assigned-from.Assigned),
		ClientParses:    rate(from.ClientParses, to.ClientParses), ServerParses: rate(from.ServerParses, to.ServerParses),
		ClientBinds: rate(from.ClientBinds, to.ClientBinds),
	}
}

// totals are those of all databases, the console last, each with its averages.
func (c *Console) totals() (totals, means []Totals) {
	totals = c.source.Totals()
	c.mu.Lock()
	defer c.mu.Unlock()
	totals = append(totals, c.own())
	for _, t := range totals {
		means = append(means, c.averages.of(t.Database))
	}
	return totals, means
}

// own are the console's; mu is locked.
func (c *Console) own() Totals {
	return Totals{Database: self, Transactions: c.statements, Queries: c.statements}
}

// served counts a statement.
func (c *Console) served() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statements++
}

// numbers are the columns of Totals in PgBouncer's order, times in microseconds.
func (t Totals) numbers() row {
	micros := func(d time.Duration) uint64 { return uint64(d.Microseconds()) }
	return row{
		t.Assigned, t.Transactions, t.Queries, t.Received, t.Sent, micros(t.TransactionTime), micros(t.QueryTime),
		micros(t.WaitTime), t.ClientParses, t.ServerParses, t.ClientBinds,
	}
}
