package postgres

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/weir-dev/weir/pooler/pool"
	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// settings are a Config made ready for use. They do not change; Apply replaces them.
type settings struct {
	Config
	accounts map[string]*account
	server   *login.Password // of ServerUser; nil: none
	clients  *tls.Config     // towards clients; nil: no TLS
	peers    map[podID][]Endpoint
	probe    key // what Probe opens; valid if probes
	probes   bool
}

// account is a user who may come in. What is derived from the password is derived once.
type account struct {
	Credential
	credential func() (login.Credential, error) // what the client is checked against
	password   *login.Password                  // what logs in to the server; nil: there is only a verifier
}

func newSettings(cfg Config, old *settings, secret []byte) (*settings, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &settings{Config: cfg, accounts: make(map[string]*account, len(cfg.Users))}
	s.Timeouts.Connect = cmp.Or(cfg.Timeouts.Connect, defaultConnectTimeout)
	s.Timeouts.Login = cmp.Or(cfg.Timeouts.Login, defaultLoginTimeout)
	for name, credential := range cfg.Users {
		if known := old.accounts[name]; known != nil && known.Credential == credential {
			s.accounts[name] = known
			continue
		}
		s.accounts[name] = newAccount(name, credential, secret)
	}
	if u := cfg.ServerUser; u != nil {
		s.server = login.NewPassword(u.Password)
		if was := old.ServerUser; was != nil && *was == *u {
			s.server = old.server // with the keys it has derived
		}
	}
	s.clients = clientTLS(cfg.ClientTLS)
	s.probe, s.probes = s.probeKey()
	return s, nil
}

func newAccount(name string, c Credential, secret []byte) *account {
	a := &account{Credential: c}
	if c.Password != "" {
		a.password = login.NewPassword(c.Password)
		a.credential = sync.OnceValues(func() (login.Credential, error) {
			return login.PasswordCredential(name, c.Password, secret)
		})
	} else {
		a.credential = sync.OnceValues(func() (login.Credential, error) {
			return login.ParseCredential(name, c.Verifier, secret)
		})
	}
	return a
}

func (c Config) validate() error {
	l := c.Limits
	switch {
	case len(c.Endpoints) == 0:
		return errors.New("endpoints: at least one is needed")
	case l.MaxOpen < 0:
		return fmt.Errorf("limits.maxOpen is %d: must not be negative", l.MaxOpen)
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
	}
	for name, u := range c.Users {
		if name == "" || u.Password == "" && u.Verifier == "" {
			return fmt.Errorf("users: user %q needs a name and a password or a verifier", name)
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
	return slices.Equal(s.Endpoints, o.Endpoints) && user(s.ServerUser) == user(o.ServerUser)
}

// pool says how the server connections of a key are kept.
func (s *settings) pool(k key) pool.Config {
	l := s.Limits
	cfg := pool.DefaultConfig()
	cfg.Max, cfg.MaxIdle = l.MaxOpen, min(l.MaxIdle, l.MaxOpen)
	cfg.IdleTime, cfg.Lifetime = l.IdleTimeout, l.MaxLifetime
	cfg.Ready = 0       // what is open is charged to the budget: nothing is dialed that no client or limit asks for
	cfg.CheckAfter = -1 // the reader of each connection knows whether it is alive
	cfg.MaxWaiting = l.MaxWaiting
	cfg.DialTimeout = s.Timeouts.Connect
	if s.isProbe(k) {
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

// password returns what logs in as user; nil: nothing.
func (s *settings) password(user string) *login.Password {
	if s.ServerUser != nil {
		return s.server
	}
	if a := s.accounts[user]; a != nil {
		return a.password
	}
	return nil
}

// probeKey is the login that is most telling: the server's user, or else the first user with a clear password; on the first
// database that is declared, or else postgres.
func (s *settings) probeKey() (key, bool) {
	k := key{database: "postgres"}
	if len(s.Databases) > 0 {
		k.database = s.Databases[slices.Min(slices.Collect(maps.Keys(s.Databases)))]
	}
	if s.ServerUser != nil {
		k.user = s.ServerUser.User
		return k, true
	}
	for name, a := range s.accounts {
		if a.password != nil && (k.user == "" || name < k.user) {
			k.user = name
		}
	}
	return k, k.user != ""
}

func (s *settings) isProbe(k key) bool { return s.probes && k == s.probe }

// key is what a server connection is suitable for: clients of one key may share it.
type key struct {
	database string // on the server
	user     string // on the server
	params   string // of the startup message, see canonical
}

// canonical writes startup parameters so that two clients that mean the same are equal: sorted by name, each once; the last
// counts, as in the server.
func canonical(params []wire.Param) string {
	sorted := slices.Clone(params)
	slices.SortStableFunc(sorted, func(a, b wire.Param) int {
		return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	var b strings.Builder
	for i, p := range sorted {
		last := i+1 == len(sorted) || !strings.EqualFold(sorted[i+1].Name, p.Name)
		if last && !isGuard(p.Name) {
			b.WriteString(strings.ToLower(p.Name) + "\x00" + p.Value + "\x00")
		}
	}
	return b.String()
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
