package console

import (
	"fmt"
	"math"
	"net"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (c *Console) lists() []row {
	pools, state := c.source.Pools(), c.source.State()
	var clients, free, used int
	for _, p := range pools {
		clients += p.Clients + p.Waiting
		free += p.Idle
		used += p.Lent + p.Canceled + p.Resetting
	}
	return []row{
		{"databases", len(c.source.Databases()) + 1},
		{"users", len(c.source.Users())},
		{"peers", 0},
		{"pools", len(pools) + 1},
		{"peer_pools", 0},
		{"free_clients", 0},
		{"used_clients", clients + c.Sessions()},
		{"login_clients", state.Logins},
		{"free_servers", free},
		{"used_servers", used},
		{"dns_names", 0},
		{"dns_zones", 0},
		{"dns_queries", 0},
		{"dns_pending", 0},
	}
}

func (c *Console) settings() (rows []row) {
	for _, s := range c.source.Settings() {
		rows = append(rows, row{s.Key, s.Value, s.Default, "yes"})
	}
	return rows
}

func (c *Console) state() []row {
	s := c.source.State()
	word := map[bool]string{true: "yes", false: "no"}
	return []row{
		{"active", word[!s.Paused && !s.Suspended]},
		{"paused", word[s.Paused]},
		{"suspended", word[s.Suspended]},
	}
}

func (c *Console) databases() (rows []row) {
	port := 0
	for _, d := range c.source.Databases() {
		port = d.Port
		rows = append(rows, row{
			d.Name, d.Host, d.Port, d.Target, orNull(d.ForcedUser), d.PoolSize, d.MinIdle, 0, int(d.Lifetime.Seconds()),
			d.PoolMode, nil, d.MaxOpen, d.Open, d.MaxClients, d.Clients, d.Paused, d.Disabled,
		})
	}
	return append(rows, row{self, nil, port, self, self, 2, 0, 0, 0, "statement", nil, 0, 0, 0, c.Sessions(), false, false})
}

func (c *Console) pools() (rows []row) {
	for _, p := range c.source.Pools() {
		seconds, micros := split2(p.OldestWait)
		rows = append(rows, row{
			p.Database, p.User, p.Clients, p.Waiting, p.Cancels, 0, p.Lent, p.Cancels, p.Canceled, p.Idle, 0, p.Resetting,
			p.Dialing, seconds, micros, p.PoolMode, nil,
		})
	}
	return append(rows, row{self, self, c.Sessions(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "statement", nil})
}

func (c *Console) users() (rows []row) {
	for _, u := range c.source.Users() {
		rows = append(rows, row{u.Name, nil, nil, orNull(u.PoolMode), u.MaxOpen, u.Open, 0, u.Clients})
	}
	return rows
}

func (c *Console) stats() (rows []row) {
	totals, means := c.totals()
	for i, t := range totals {
		rows = append(rows, slices.Concat(row{t.Database}, t.numbers(), means[i].numbers()))
	}
	return rows
}

func (c *Console) statsTotals() (rows []row) {
	totals, _ := c.totals()
	for _, t := range totals {
		rows = append(rows, append(row{t.Database}, t.numbers()...))
	}
	return rows
}

func (c *Console) statsAverages() (rows []row) {
	_, means := c.totals()
	for _, t := range means {
		rows = append(rows, append(row{t.Database}, t.numbers()...))
	}
	return rows
}

// sums are the totals and averages of all databases, one to a row.
func (c *Console) sums() (rows []row) {
	totals, means := c.totals()
	names := strings.Fields(totalsOf + " " + averageOf)
	sum := make([]uint64, len(names))
	for i, t := range totals {
		for n, v := range append(t.numbers(), means[i].numbers()...) {
			sum[n] += v.(uint64)
		}
	}
	for i, name := range names {
		rows = append(rows, row{name, sum[i]})
	}
	return rows
}

func (c *Console) clients() (rows []row) {
	for _, cl := range c.source.Clients() {
		rows = append(rows, slices.Concat(cl.head(), cl.tail('C')))
	}
	return rows
}

func (c *Console) servers() (rows []row) {
	for _, s := range c.source.Servers() {
		rows = append(rows, slices.Concat(s.head(), s.tail('S')))
	}
	return rows
}

// sockets are clients and servers. What PgBouncer keeps in buffers is not kept here.
func (c *Console) sockets() (rows []row) {
	kept := row{0, 0, 0, 0, 0, 0, 0}
	for _, cl := range c.source.Clients() {
		rows = append(rows, slices.Concat(cl.head(), cl.tail('C'), kept))
	}
	for _, s := range c.source.Servers() {
		rows = append(rows, slices.Concat(s.head(), s.tail('S'), kept))
	}
	return rows
}

func (c Client) head() row {
	state := "active"
	if c.Wait > 0 {
		state = "waiting"
	}
	if c.Canceled {
		state += "_cancel_req"
	}
	return c.Link.head("C", state, c.Wait, false)
}

func (c Client) tail(kind byte) row { return c.Link.tail(kind, 0) }

func (s Server) head() row { return s.Link.head("S", s.State, 0, s.Retired) }

func (s Server) tail(kind byte) row { return s.Link.tail(kind, s.PID) }

func (l Link) head(kind, state string, wait time.Duration, retired bool) row {
	seconds, micros := split2(wait)
	addr, port := hostPort(l.Addr)
	local, localPort := hostPort(l.Local)
	return row{
		kind, l.User, l.Database, l.replication(), state, addr, port, local, localPort, l.Since, orNull(l.Asked), seconds,
		micros, retired,
	}
}

func (l Link) replication() string {
	if l.Replication == "" {
		return "none"
	}
	return l.Replication
}

// tail names connections by kind and number, as PgBouncer does by address.
func (l Link) tail(kind byte, pid uint32) row {
	other := byte('S')
	if kind == 'S' {
		other = 'C'
	}
	link := ""
	if l.Peer != 0 {
		link = name(other, l.Peer)
	}
	return row{name(kind, l.ID), link, pid, l.TLS, l.ApplicationName, l.Prepared, l.ID}
}

func name(kind byte, id uint64) string {
	first := "c"
	if kind == 'S' {
		first = "5"
	}
	return fmt.Sprintf("0x%s%011x", first, id)
}

// memory is Go's heap, in units of a kilobyte.
func (c *Console) memory() []row {
	const unit = 1024
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(samples)
	used, free := samples[0].Value.Uint64()/unit, samples[1].Value.Uint64()/unit
	return []row{{"heap", unit, used, free, min((used+free)*unit, math.MaxInt32)}}
}

// split2 is a duration in seconds and the microseconds of the rest.
func split2(d time.Duration) (seconds, micros int) {
	return int(d / time.Second), int(d % time.Second / time.Microsecond)
}

func hostPort(a net.Addr) (host string, port int) {
	if a == nil {
		return "", 0
	}
	if a.Network() == "unix" {
		return "unix", 0
	}
	host, digits, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String(), 0
	}
	port, _ = strconv.Atoi(digits)
	return host, port
}

// orNull is v, or null if it is zero.
func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}
