package postgres

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// settings are a Config made ready for use. They do not change; Apply replaces them.
type settings struct {
	Config
	accounts map[string]*account
	salts    login.Salting
	server   *logins     // of ServerUser; nil: none
	lookup   *logins     // of Auth.Lookup; nil: none
	clients  *tls.Config // towards clients; nil: no TLS
	peers    map[podID][]Endpoint
	probe    key  // what Probe opens
	ready    bool // there is a password for that
	guess    bool // nobody is known: its user is a guess
}

func newSettings(cfg Config, old *settings) (*settings, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &settings{Config: cfg, salts: cfg.salting()}
	s.Timeouts.Connect = cmp.Or(cfg.Timeouts.Connect, defaultConnectTimeout)
	s.Timeouts.Login = cmp.Or(cfg.Timeouts.Login, defaultLoginTimeout)
	s.accounts = s.accountsOf(old)
	s.server = loginsOf(cfg.ServerUser, old.ServerUser, old.server)
	if l := cfg.Auth.Lookup; l != nil {
		s.lookup = newLogins(l.Login.Passwords)
		if was := old.Auth.Lookup; was != nil {
			s.lookup = loginsOf(&l.Login, &was.Login, old.lookup)
		}
	}
	s.clients = clientTLS(cfg.ClientTLS)
	s.probe, s.guess = s.probeKey()
	s.ready = !s.probe.lookup && (len(s.passwords(s.probe.user).list()) > 0 || s.ServerUser != nil)
	return s, nil
}

func (c Config) validate() error {
	l := c.Limits
	switch {
	case len(c.Endpoints) == 0:
		return errors.New("endpoints: at least one is needed")
	case c.MaxPreparedStatements < 0:
		return fmt.Errorf("maxPreparedStatements is %d: must not be negative", c.MaxPreparedStatements)
	case l.MaxOpen < 0:
		return fmt.Errorf("limits.maxOpen is %d: must not be negative", l.MaxOpen)
	case l.MaxOpenPerUser < 0:
		return fmt.Errorf("limits.maxOpenPerUser is %d: must not be negative", l.MaxOpenPerUser)
	case l.MaxClients < 1:
		return fmt.Errorf("limits.maxClients is %d: must be at least 1", l.MaxClients)
	case l.MinIdle < 0 || l.MaxIdle < 0:
		return fmt.Errorf("limits.minIdle is %d and limits.maxIdle %d: must not be negative", l.MinIdle, l.MaxIdle)
	case l.AcquireTimeout <= 0:
		return fmt.Errorf("limits.acquireTimeout is %v: must be above zero", l.AcquireTimeout)
	case c.ServerUser != nil && c.ServerUser.User == "":
		return errors.New("serverUser: the name of the user is empty")
	case c.ClientTLS.Policy != TLSDisabled && c.ClientTLS.Config == nil:
		return errors.New("clientTLS: a certificate is needed unless TLS is disabled")
	case c.Auth.Lookup != nil && (c.Auth.Lookup.Login.User == "" || c.Auth.Lookup.Database == "" || c.Auth.Lookup.Age <= 0):
		return errors.New("auth.lookup: it needs a user, a database, and an age above zero")
	case c.Auth.Method == AuthCertificate && c.ClientTLS.Policy != TLSMutual:
		return errors.New("auth.method: certificates prove nothing unless clientTLS is mutual")
	}
	for name, values := range c.Users {
		if name == "" {
			return errors.New("users: the name of a user is empty")
		}
		if err := login.CheckPasswords(values); err != nil {
			return fmt.Errorf("users: user %q: %w", name, err)
		}
	}
	return nil
}

// sameServer says that connections opened under other settings are as good as new ones.
func (s *settings) sameServer(o *settings) bool {
	user := func(l *Login) string {
		if l == nil {
			return ""
		}
		return l.User
	}
	a, b := s.ServerTLS, o.ServerTLS
	if a.Mode != b.Mode || (a.Config == nil) != (b.Config == nil) {
		return false
	}
	if a.Config != nil && a.Config != b.Config && !a.Config.RootCAs.Equal(b.Config.RootCAs) {
		return false
	}
	return slices.Equal(s.Endpoints, o.Endpoints) && s.TargetSession == o.TargetSession && user(s.ServerUser) == user(o.ServerUser)
}

// pool says how the server connections of a key are kept.
func (s *settings) pool(k key) pool.Config {
	l := s.Limits
	cfg := pool.DefaultConfig()
	cfg.Max, cfg.MaxIdle = l.MaxOpen, min(l.MaxIdle, l.MaxOpen)
	cfg.Tenant, cfg.TenantMax = fmt.Sprintf("user %q", k.user), l.MaxOpenPerUser
	cfg.IdleTime, cfg.Lifetime = l.IdleTimeout, l.MaxLifetime
	cfg.Ready = 0       // what is open is charged to the budget: nothing is dialed that no client or limit asks for
	cfg.CheckAfter = -1 // the reader of each connection knows whether it is alive
	cfg.MaxWaiting = l.MaxWaiting
	cfg.DialTimeout = s.Timeouts.Connect
	if k.lookup {
		return lookupPool(cfg)
	}
	if s.isProbe(k) && s.ready {
		cfg.MinIdle = min(l.MinIdle, cfg.MaxIdle)
	}
	return cfg
}

// database returns the server's name of a client's database.
func (s *settings) database(name string) (string, bool) {
	if s.Databases == nil {
		return name, true
	}
	target, ok := s.Databases[name]
	return target, ok
}

// passwords are what log in as user; none: nothing is known.
func (s *settings) passwords(user string) *logins {
	if s.ServerUser != nil {
		return s.server
	}
	if a := s.accounts[user]; a != nil {
		return a.logins
	}
	return nil
}

// certifies says that server connections show a certificate, which may be all that the server asks for.
func (s *settings) certifies() bool {
	c := s.ServerTLS.Config
	return s.ServerTLS.Mode != Disable && c != nil && (c.GetClientCertificate != nil || len(c.Certificates) > 0)
}

// probeKey is the login that is most telling: the server's user, or else the first user with a password, or else the lookups',
// or else the first user, or else a guess; on the first database that is declared, or else postgres.
func (s *settings) probeKey() (_ key, guess bool) {
	k := key{database: "postgres"}
	if len(s.Databases) > 0 {
		k.database = s.Databases[slices.Min(slices.Collect(maps.Keys(s.Databases)))]
	}
	if s.ServerUser != nil {
		k.user = s.ServerUser.User
		return k, false
	}
	var known, able []string
	for name, a := range s.accounts {
		known = append(known, name)
		if len(a.logins.stored) > 0 {
			able = append(able, name)
		}
	}
	switch {
	case len(able) > 0:
		k.user = slices.Min(able)
	case s.Auth.Lookup != nil:
		return s.lookupKey(), false
	case len(known) > 0:
		k.user = slices.Min(known)
	default:
		k.user = "postgres"
		return k, true
	}
	return k, false
}

func (s *settings) isProbe(k key) bool { return k == s.probe }

// key is what a server connection is suitable for: clients of one key may share it.
type key struct {
	database string // on the server
	user     string // on the server
	params   string // of the startup message, see canonical
	lookup   bool   // for lookups alone: no client shares it
}

// replayed are the settings that every PostgreSQL reports when they change: a session's own are set on each server
// connection that it is lent. They come as they are spelled by PostgreSQL.
var replayed = []string{
	"application_name", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone", "standard_conforming_strings",
}

// split divides startup parameters: what a server connection must have been opened with, see canonical, and what is set when
// it is lent, in the order of names, the last of each.
func split(params []wire.Param) (opened string, set []wire.Param) {
	var rest []wire.Param
	for _, p := range sorted(params) {
		known := slices.IndexFunc(replayed, func(name string) bool { return strings.EqualFold(name, p.Name) })
		if known >= 0 {
			set = append(set, wire.Param{Name: replayed[known], Value: p.Value})
		} else {
			rest = append(rest, p)
		}
	}
	return canonical(rest), set
}

// canonical writes startup parameters so that two clients that mean the same are equal.
func canonical(params []wire.Param) string {
	var b strings.Builder
	for _, p := range sorted(params) {
		b.WriteString(strings.ToLower(p.Name) + "\x00" + p.Value + "\x00")
	}
	return b.String()
}

// sorted are the startup parameters in which a client has a say, by name, each once; the last counts, as in the server.
func sorted(params []wire.Param) []wire.Param {
	all := slices.Clone(params)
	slices.SortStableFunc(all, func(a, b wire.Param) int {
		return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	kept := all[:0]
	for i, p := range all {
		last := i+1 == len(all) || !strings.EqualFold(all[i+1].Name, p.Name)
		if last && !isGuard(p.Name) {
			kept = append(kept, p)
		}
	}
	return kept
}

// startup returns the parameters again.
func (k key) startup() []wire.Param {
	var params []wire.Param
	for rest := k.params; rest != ""; {
		var p wire.Param
		p.Name, rest, _ = strings.Cut(rest, "\x00")
		p.Value, rest, _ = strings.Cut(rest, "\x00")
		params = append(params, p)
	}
	return params
}
