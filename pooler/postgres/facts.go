package postgres

import (
	"cmp"
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/console"
	"github.com/weir-dev/weir/pooler/postgres/session"
)

// What the console is told about the Engine. Nothing here is done unless it is asked for.

// names are what clients call the databases that were used or are declared: by the server's name, the first of several.
func (s source) names() map[string]string {
	names := make(map[string]string)
	for _, t := range s.traffic.list() {
		names[t.pair.Database] = t.pair.Database
	}
	declared := s.settings.Load().Databases
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(declared))) {
		names[declared[name]] = name
	}
	return names
}

func (m PoolMode) word() string {
	if m == Session {
		return "session"
	}
	return "transaction"
}

func (s source) State() console.State {
	s.hold.mu.Lock()
	state := console.State{Paused: s.hold.pauses.all || s.hold.policy != StopNone, Suspended: s.hold.pauses.suspended}
	s.hold.mu.Unlock()
	for _, cl := range s.Engine.clients.list() {
		cl.mu.Lock()
		if !cl.established {
			state.Logins++
		}
		cl.mu.Unlock()
	}
	return state
}

func (s source) Databases() []console.Database {
	now := s.settings.Load()
	names := now.Databases
	if names == nil {
		names = make(map[string]string)
		for target := range s.names() {
			if target != Other {
				names[target] = target
			}
		}
	}
	clients := make(map[string]int)
	for _, cl := range s.established() {
		clients[cl.key.database]++
	}
	s.hold.mu.Lock()
	paused, refused := maps.Clone(s.hold.pauses.databases), maps.Clone(s.hold.pauses.refused)
	s.hold.mu.Unlock()
	var all []console.Database
	for _, name := range slices.Sorted(maps.Keys(names)) {
		target := names[name]
		d := console.Database{
			Name: name, Target: target, Host: now.Endpoints[0].Host, Port: now.Endpoints[0].Port,
			PoolSize: now.Limits.MaxOpen, MaxOpen: now.Limits.MaxOpen, Lifetime: now.Limits.MaxLifetime,
			PoolMode: now.PoolMode.word(), MaxClients: now.Limits.MaxClients, Clients: clients[target],
			Paused: paused[target], Disabled: refused[target],
		}
		d.Open, _ = s.counted(target)
		if now.ready && now.probe.database == target {
			d.MinIdle = now.Limits.MinIdle
		}
		if now.ServerUser != nil {
			d.ForcedUser = now.ServerUser.User
		}
		all = append(all, d)
	}
	return all
}

// established are the clients that are logged in and not at the console.
func (s source) established() []*client {
	return slices.DeleteFunc(s.Engine.clients.list(), func(cl *client) bool {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		return !cl.established || cl.console != nil
	})
}

// serverConns are the server connections that are open, in the order of opening.
func (e *Engine) serverConns() (all []*conn) {
	e.conns.Range(func(c, _ any) bool {
		all = append(all, c.(*conn))
		return true
	})
	slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return all
}

func (s source) Pools() []console.Pool {
	names, now := s.names(), s.settings.Load()
	byPair := make(map[Pair]*console.Pool)
	of := func(p Pair) *console.Pool {
		if byPair[p] == nil {
			byPair[p] = &console.Pool{Database: cmp.Or(names[p.Database], p.Database), User: p.User, PoolMode: now.PoolMode.word()}
		}
		return byPair[p]
	}
	for k, p := range s.servers.All() {
		st, sum := p.Stats(), of(k.pair())
		sum.Lent += st.Lent
		sum.Idle += st.Idle
		sum.Resetting += st.Resetting
		sum.Dialing += st.Dialing
		sum.OldestWait = max(sum.OldestWait, st.Oldest)
	}
	for _, cl := range s.established() {
		cl.mu.Lock()
		waits := !cl.waiting.IsZero()
		cl.mu.Unlock()
		if sum := of(cl.key.pair()); waits {
			sum.Waiting++
		} else {
			sum.Clients++
		}
	}
	for _, c := range s.serverConns() {
		sum := of(c.key.pair())
		state, cancels := c.state()
		sum.Cancels += cancels
		switch { // the pool calls it lent
		case sum.Lent == 0:
		case state == stateTested:
			sum.Lent, sum.Resetting = sum.Lent-1, sum.Resetting+1
		case state == stateCanceled:
			sum.Lent, sum.Canceled = sum.Lent-1, sum.Canceled+1
		}
	}
	pools := make([]console.Pool, 0, len(byPair))
	for _, p := range byPair {
		pools = append(pools, *p)
	}
	slices.SortFunc(pools, func(a, b console.Pool) int {
		return cmp.Or(strings.Compare(a.Database, b.Database), strings.Compare(a.User, b.User))
	})
	return pools
}

// States of a server connection, as PgBouncer calls them.
const (
	stateActive   = "active"
	stateIdle     = "idle"
	stateTested   = "tested"         // being cleaned
	stateCanceled = "being_canceled" // kept from being lent by a cancel request on its way
)

// state also tells how many cancel requests are on their way.
func (c *conn) state() (state string, cancels int) {
	lent := c.client.Load() != nil
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cleaned != nil:
		return stateTested, c.cancels
	case c.then != session.Continue:
		return stateCanceled, c.cancels
	case lent:
		return stateActive, c.cancels
	}
	return stateIdle, c.cancels
}

func (s source) Users() []console.User {
	now := s.settings.Load()
	users := make(map[string]*console.User)
	for name := range now.accounts {
		users[name] = &console.User{Name: name}
	}
	of := func(name string) *console.User {
		if users[name] == nil {
			users[name] = &console.User{Name: name}
		}
		return users[name]
	}
	for _, cl := range s.established() {
		of(cl.asked.User).Clients++
	}
	for k, p := range s.servers.All() {
		of(k.user).Open += p.Stats().Open
	}
	var all []console.User
	for _, name := range slices.Sorted(maps.Keys(users)) {
		users[name].MaxOpen = now.Limits.MaxOpenPerUser
		all = append(all, *users[name])
	}
	return all
}

func (s source) Totals() []console.Totals {
	names := s.names()
	byName := make(map[string]*console.Totals)
	for _, t := range s.traffic.list() {
		name := cmp.Or(names[t.pair.Database], t.pair.Database)
		if byName[name] == nil {
			byName[name] = &console.Totals{Database: name}
		}
		sum := byName[name]
		sum.Assigned += t.assigned.Load()
		sum.Transactions += t.transactions.Load()
		sum.Queries += t.queries.Load()
		sum.Received += t.received.Load()
		sum.Sent += t.sent.Load()
		sum.TransactionTime += time.Duration(t.transactionTimes.sum.Load())
		sum.QueryTime += time.Duration(t.queryTimes.sum.Load())
		sum.WaitTime += time.Duration(t.wait.sum.Load())
		sum.ClientParses += t.parses.Load()
		sum.ServerParses += t.serverParses.Load()
		sum.ClientBinds += t.binds.Load()
	}
	var all []console.Totals
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, *byName[name])
	}
	return all
}

func (s source) Clients() []console.Client {
	names := s.names()
	var all []console.Client
	for _, cl := range s.Engine.clients.list() {
		cl.mu.Lock()
		if !cl.established {
			cl.mu.Unlock()
			continue
		}
		fact := console.Client{Link: console.Link{
			ID: cl.id, User: cl.asked.User, Database: cmp.Or(names[cl.key.database], cl.asked.Database),
			Addr: cl.net.RemoteAddr(), Local: cl.net.LocalAddr(), Since: cl.came, Asked: cl.came,
			TLS: tlsWords(cl.net), ApplicationName: applicationName(cl), Prepared: cl.machine.Names(),
		}}
		if cl.console != nil {
			fact.Database = console.Names[1]
		}
		if cl.watched.transaction.After(fact.Asked) {
			fact.Asked = cl.watched.transaction
		}
		if !cl.waiting.IsZero() {
			fact.Asked, fact.Wait = cl.waiting, max(1, time.Since(cl.waiting))
		}
		if c := cl.conn; c != nil {
			fact.Peer = c.id
			_, cancels := c.state()
			fact.Canceled = cancels > 0
		}
		cl.mu.Unlock()
		all = append(all, fact)
	}
	slices.SortFunc(all, func(a, b console.Client) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (s source) Servers() []console.Server {
	names := s.names()
	var all []console.Server
	for _, c := range s.serverConns() {
		fact := console.Server{
			Link: console.Link{
				ID: c.id, User: c.key.user, Database: cmp.Or(names[c.key.database], c.key.database),
				Addr: c.net.RemoteAddr(), Local: c.net.LocalAddr(), Since: c.opened, Asked: c.opened,
				TLS: tlsWords(c.net),
			},
			Retired: c.retired.Load(), PID: c.cancel.PID,
		}
		c.look(func(v *session.Server) {
			fact.ApplicationName, fact.Prepared = v.Setting("application_name"), v.Statements()
		})
		fact.State, _ = c.state()
		if cl := c.client.Load(); cl != nil {
			fact.Peer = cl.id
		}
		all = append(all, fact)
	}
	return all
}

func tlsWords(nc net.Conn) string {
	secure, ok := nc.(*tls.Conn)
	if !ok {
		return ""
	}
	state := secure.ConnectionState()
	return strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1) + "/" + tls.CipherSuiteName(state.CipherSuite)
}

// applicationName is what the client calls itself now, or in the console, which has no settings, at its login; mu is locked.
func applicationName(cl *client) (name string) {
	if cl.console == nil {
		name, _ = cl.machine.Application()
		return name
	}
	for _, p := range cl.asked.Params {
		if strings.EqualFold(p.Name, "application_name") {
			name = p.Value
		}
	}
	return name
}

// Settings are what PgBouncer has and Weir has, too, by PgBouncer's names. Times are in seconds; 0 is none.
func (s source) Settings() []console.Setting {
	now := s.settings.Load()
	l, t, seconds := now.Limits, now.Timeouts, func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'g', -1, 64) }
	hosts := make([]string, 0, len(now.Endpoints))
	for _, at := range now.Endpoints {
		hosts = append(hosts, net.JoinHostPort(at.Host, strconv.Itoa(at.Port)))
	}
	return []console.Setting{
		{Key: "admin_users", Value: strings.Join(now.Console.Admins, ",")},
		{Key: "client_idle_timeout", Value: seconds(t.ClientIdle), Default: "0"},
		{Key: "client_login_timeout", Value: seconds(t.Login), Default: seconds(defaultLoginTimeout)},
		{Key: "client_tls_sslmode", Value: [...]string{"disable", "allow", "require", "verify-full"}[now.ClientTLS.Policy], Default: "disable"},
		{Key: "default_pool_size", Value: strconv.Itoa(l.MaxOpen), Default: "20"},
		{Key: "idle_transaction_timeout", Value: seconds(t.IdleInTransaction), Default: "0"},
		{Key: "max_client_conn", Value: strconv.Itoa(l.MaxClients), Default: "10000"},
		{Key: "max_db_connections", Value: strconv.Itoa(l.MaxOpen), Default: "20"},
		{Key: "max_user_connections", Value: strconv.Itoa(l.MaxOpenPerUser), Default: "0"},
		{Key: "min_pool_size", Value: strconv.Itoa(l.MinIdle), Default: "0"},
		{Key: "pool_mode", Value: now.PoolMode.word(), Default: "transaction"},
		{Key: "query_timeout", Value: seconds(t.Query), Default: "0"},
		{Key: "query_wait_timeout", Value: seconds(l.AcquireTimeout), Default: "30"},
		{Key: "reserve_pool_size", Value: "0", Default: "0"},
		{Key: "server_connect_timeout", Value: seconds(t.Connect), Default: seconds(defaultConnectTimeout)},
		{Key: "server_hosts", Value: strings.Join(hosts, ",")},
		{Key: "server_idle_timeout", Value: seconds(l.IdleTimeout), Default: "0"},
		{Key: "server_lifetime", Value: seconds(l.MaxLifetime), Default: "0"},
		{Key: "server_tls_sslmode", Value: [...]string{"disable", "prefer", "require", "verify-ca", "verify-full"}[now.ServerTLS.Mode], Default: "prefer"},
		{Key: "stats_period", Value: seconds(console.Period), Default: seconds(console.Period)},
		{Key: "stats_users", Value: strings.Join(now.Console.Stats, ",")},
		{Key: "transaction_timeout", Value: seconds(t.Transaction), Default: "0"},
	}
}
