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
	"github.com/weir-dev/weir/pooler/postgres/wire"
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
	s.survey(func(cl *client) {
		if !cl.established() {
			state.Logins++
		}
	})
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
	s.served(func(cl *client) { clients[cl.key().database]++ })
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

// served calls f for each client that is logged in and not at the console, on its lane.
func (s source) served(f func(cl *client)) {
	s.survey(func(cl *client) {
		if cl.started && !cl.closed {
			f(cl)
		}
	})
}

// established says that the login is over, on the lane.
func (cl *client) established() bool { return cl.started || cl.atConsole() }

// atConsole may be called anywhere.
func (cl *client) atConsole() bool {
	en := cl.entry.Load()
	if en == nil {
		return false
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.inside
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
	s.served(func(cl *client) {
		if sum := of(cl.key().pair()); cl.waiter != nil {
			sum.Waiting++
		} else {
			sum.Clients++
		}
	})
	s.surveyConns(func(c *conn) {
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
	})
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
	switch {
	case c.talk != nil:
		return stateTested, c.cancels
	case c.then != session.Continue:
		return stateCanceled, c.cancels
	case c.client != nil:
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
	s.served(func(cl *client) { of(cl.who.Value().user).Clients++ })
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
	s.survey(func(cl *client) {
		if cl.established() && !cl.closed {
			all = append(all, cl.fact(names))
		}
	})
	slices.SortFunc(all, func(a, b console.Client) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// fact is what the console is told about the client; on its lane.
func (cl *client) fact(names map[string]string) console.Client {
	who := cl.who.Value()
	fact := console.Client{Link: console.Link{
		ID: cl.id, User: who.user, Database: cmp.Or(names[who.key.database], who.database), Since: cl.came.time(), Asked: cl.came.time(),
		Prepared: cl.machine.Names(),
	}}
	if en := cl.entry.Load(); en != nil {
		fact.Database, fact.ApplicationName = console.Names[1], applicationName(en.login.Startup().Params)
		fact.Addr, fact.Local, fact.TLS = en.net.RemoteAddr(), en.net.LocalAddr(), tlsWords(en.net)
		return fact
	}
	fact.Addr, fact.Local = cl.socket.Addresses()
	fact.TLS = tlsWords(cl.tls)
	fact.ApplicationName, _ = cl.machine.Application()
	fact.Asked = max(cl.came, cl.watched.transaction).time()
	if w := cl.waiter; w != nil {
		fact.Asked, fact.Wait = w.since, max(1, time.Since(w.since))
	}
	if c := cl.conn; c != nil {
		fact.Peer, fact.Canceled = c.id, c.cancels > 0
	}
	return fact
}

func (s source) Servers() []console.Server {
	names := s.names()
	var all []console.Server
	s.surveyConns(func(c *conn) {
		fact := console.Server{
			Link: console.Link{
				ID: c.id, User: c.key.user, Database: cmp.Or(names[c.key.database], c.key.database),
				Since: c.opened, Asked: c.opened, TLS: tlsWords(c.tls),
				ApplicationName: c.machine.Setting("application_name"), Prepared: c.machine.Statements(),
			},
			Retired: c.retired.Load(), PID: c.cancel.PID,
		}
		fact.Addr, fact.Local = c.socket.Addresses()
		fact.State, _ = c.state()
		if c.client != nil {
			fact.Peer = c.client.id
		}
		all = append(all, fact)
	})
	slices.SortFunc(all, func(a, b console.Server) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func tlsWords(conn net.Conn) string {
	secure, ok := conn.(*tls.Conn)
	if !ok || secure == nil {
		return ""
	}
	state := secure.ConnectionState()
	return strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1) + "/" + tls.CipherSuiteName(state.CipherSuite)
}

// applicationName is what a client at the console, which has no settings, has called itself at its login.
func applicationName(params []wire.Param) (name string) {
	for _, p := range params {
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
