package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres"
	"github.com/weir-dev/weir/pooler/secrets"
)

// Destination is what an engine of a protocol serves with. Only the field of its protocol is set.
type Destination struct {
	Name       string
	Protocol   string
	ListenPort int

	PostgreSQL *postgres.Config
}

// Renderer makes Destinations out of a Config and the Secrets it names. It is not safe for concurrent use.
type Renderer struct {
	secrets *secrets.Store
	tls     map[tlsKey]*tls.Config
	used    map[tlsKey]*tls.Config // of the round under way
}

// tlsKey says what a *tls.Config was made of.
type tlsKey struct {
	server      bool // we are the server
	mutual      bool
	certificate *secrets.Certificate
	authorities *x509.CertPool
}

// NewRenderer makes a Renderer that reads Secrets from a Store.
func NewRenderer(store *secrets.Store) *Renderer {
	return &Renderer{secrets: store, tls: map[tlsKey]*tls.Config{}, used: map[tlsKey]*tls.Config{}}
}

// Begin starts a round: what the round before last used and the last did not is forgotten.
func (r *Renderer) Begin() {
	r.tls, r.used = r.used, map[tlsKey]*tls.Config{}
}

// Render makes the Destination d of a Config for a pod with a share. The second result is false when a Secret is missing
// that it cannot do without. Problems may be there in either case: a Secret that got worse is used as it was before.
func (r *Renderer) Render(c podapi.Config, d podapi.Destination, share podapi.Share) (Destination, bool, []podapi.Problem) {
	g, listener := gatherer{destination: d.Name}, gatherer{}
	p := d.PostgreSQL
	out := &postgres.Config{
		Name:                  d.Name,
		Endpoints:             make([]postgres.Endpoint, 0, len(d.Endpoints)),
		ServerTLS:             r.serverTLS(&g, d.TLS),
		ClientTLS:             r.clientTLS(&listener, c.Listener.TLS),
		PoolMode:              poolModes[p.PoolMode],
		MaxPreparedStatements: preparedStatements(p),
		TargetSession:         targetSessions[p.TargetSession],
		Databases:             databases(p.Databases),
		Limits:                limits(d.Limits, share),
		Timeouts:              timeouts(d.Limits),
		Peers:                 peers(c.Peers, d.ListenPort),
		StopPolicy:            stopPolicies[d.StopPolicy],
		Console:               postgres.Console{Admins: p.Console.AdminUsers, Stats: p.Console.StatsUsers},
	}
	for _, e := range d.Endpoints {
		out.Endpoints = append(out.Endpoints, postgres.Endpoint{Host: e.Host, Port: int(e.Port)})
	}
	r.auth(&g, d, out)
	if c.UID != "" {
		out.Salt = []byte(c.UID)
	}
	complete := !g.incomplete && !listener.incomplete
	return Destination{Name: d.Name, Protocol: d.Protocol, ListenPort: int(d.ListenPort), PostgreSQL: out}, complete, append(listener.problems, g.problems...)
}

// WithLimits is the destination as it is, with the limits, timeouts and stop policy of another Config and share. Limits must be obeyed even when
// nothing else of the new Config can be.
func (d Destination) WithLimits(of podapi.Destination, share podapi.Share) Destination {
	changed := *d.PostgreSQL
	changed.Limits, changed.Timeouts = limits(of.Limits, share), timeouts(of.Limits)
	changed.StopPolicy = stopPolicies[of.StopPolicy]
	d.PostgreSQL = &changed
	return d
}

// SecretNames are the Secrets that a Config names, in order, each once.
func SecretNames(c podapi.Config) []string {
	names := []string{c.Listener.TLS.Secret, c.Listener.TLS.ClientCASecret}
	for _, d := range c.Destinations {
		names = append(names, d.TLS.CASecret, d.TLS.CertificateSecret)
		if d.PostgreSQL != nil {
			names = append(names, d.PostgreSQL.Auth.UsersSecret, d.PostgreSQL.Auth.ServerUserSecret)
			if l := d.PostgreSQL.Auth.Lookup; l != nil {
				names = append(names, l.UserSecret)
			}
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// gatherer notes what keeps a destination from being rendered, or from being rendered as written.
type gatherer struct {
	destination string // empty: what all destinations share
	incomplete  bool
	problems    []podapi.Problem
}

func (g *gatherer) problem(reason, format string, args ...any) {
	g.problems = append(g.problems, podapi.Problem{Destination: g.destination, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// need loads a Secret that the destination cannot do without.
func need[T any](g *gatherer, load func(string) (*T, *podapi.Problem), name string) *T {
	value, problem := load(name)
	if problem != nil {
		problem.Destination = g.destination
		g.problems = append(g.problems, *problem)
	}
	if value == nil {
		g.incomplete = true
	}
	return value
}

func (r *Renderer) clientTLS(g *gatherer, t podapi.ListenerTLS) postgres.ClientTLS {
	policy := clientPolicies[t.Mode]
	if policy == postgres.TLSDisabled {
		return postgres.ClientTLS{}
	}
	key := tlsKey{server: true, mutual: policy == postgres.TLSMutual}
	key.certificate = need(g, r.secrets.Certificate, t.Secret)
	if key.mutual {
		key.authorities = need(g, r.secrets.Authorities, t.ClientCASecret)
	}
	return postgres.ClientTLS{Policy: policy, Config: r.tlsConfig(key)}
}

func (r *Renderer) serverTLS(g *gatherer, t podapi.ServerTLS) postgres.ServerTLS {
	mode := serverModes[t.Mode]
	if mode == postgres.Disable {
		return postgres.ServerTLS{}
	}
	var key tlsKey
	if t.CASecret != "" {
		key.authorities = need(g, r.secrets.Authorities, t.CASecret)
	}
	if t.CertificateSecret != "" {
		key.certificate = need(g, r.secrets.Certificate, t.CertificateSecret)
	}
	return postgres.ServerTLS{Mode: mode, Config: r.tlsConfig(key)}
}

// tlsConfig is the *tls.Config of a key: the same one as long as rounds use it.
func (r *Renderer) tlsConfig(key tlsKey) *tls.Config {
	made := r.used[key]
	if made == nil {
		made = r.tls[key]
	}
	if made == nil {
		made = newTLSConfig(key)
	}
	r.used[key] = made
	return made
}

func newTLSConfig(key tlsKey) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case !key.server:
		c.RootCAs = key.authorities
		if key.certificate != nil {
			c.GetClientCertificate = key.certificate.ForClient
		}
		return c
	case key.certificate != nil:
		c.GetCertificate = key.certificate.ForServer
	}
	if key.mutual {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = key.authorities
		if c.ClientCAs == nil { // never the system's
			c.ClientCAs = x509.NewCertPool()
		}
	}
	return c
}

// peers are the pods, each where it serves this destination.
func peers(all []podapi.Peer, port int32) []postgres.Peer {
	out := make([]postgres.Peer, len(all))
	for i, p := range all {
		out[i] = postgres.Peer{Pod: p.UID, At: postgres.Endpoint{Host: p.Address, Port: int(port)}}
	}
	return out
}

func databases(all []podapi.Database) map[string]string {
	if len(all) == 0 {
		return nil
	}
	targets := make(map[string]string, len(all))
	for _, d := range all {
		targets[d.Name] = d.Target
		if d.Target == "" {
			targets[d.Name] = d.Name
		}
	}
	return targets
}

func limits(l podapi.Limits, s podapi.Share) postgres.Limits {
	return postgres.Limits{
		MaxOpen:        int(s.MaxOpen),
		MaxOpenPerUser: int(s.MaxOpenPerUser),
		MinIdle:        int(s.MinIdle),
		MaxIdle:        int(s.MaxIdle),
		MaxWaiting:     int(s.MaxWaiting),
		MaxClients:     int(l.MaxClients),
		IdleTimeout:    time.Duration(l.IdleTimeoutSeconds) * time.Second,
		MaxLifetime:    time.Duration(l.MaxLifetimeSeconds) * time.Second,
		AcquireTimeout: time.Duration(l.AcquireTimeoutMilliseconds) * time.Millisecond,
	}
}

func timeouts(l podapi.Limits) postgres.Timeouts {
	seconds := func(n int32) time.Duration { return time.Duration(n) * time.Second }
	return postgres.Timeouts{
		Connect:           seconds(l.ConnectTimeoutSeconds),
		Login:             seconds(l.LoginTimeoutSeconds),
		ClientIdle:        seconds(l.ClientIdleTimeoutSeconds),
		IdleInTransaction: seconds(l.IdleInTransactionTimeoutSeconds),
		Query:             seconds(l.QueryTimeoutSeconds),
		Transaction:       seconds(l.TransactionTimeoutSeconds),
	}
}

func preparedStatements(p *podapi.PostgreSQL) int {
	if p.MaxPreparedStatements == nil {
		return podapi.DefaultMaxPreparedStatements
	}
	return int(*p.MaxPreparedStatements)
}

var poolModes = map[string]postgres.PoolMode{
	podapi.PoolModeTransaction: postgres.Transaction,
	podapi.PoolModeSession:     postgres.Session,
	podapi.PoolModeStatement:   postgres.Statement,
}

var stopPolicies = map[string]postgres.StopPolicy{
	podapi.StopPolicyNone:         postgres.StopNone,
	podapi.StopPolicyHold:         postgres.StopHold,
	podapi.StopPolicyHoldAndDrain: postgres.StopHoldAndDrain,
}

var targetSessions = map[string]postgres.TargetSession{
	podapi.TargetSessionAny:       postgres.AnySession,
	podapi.TargetSessionReadWrite: postgres.ReadWrite,
	podapi.TargetSessionReadOnly:  postgres.ReadOnly,
}

var clientPolicies = map[string]postgres.ClientTLSPolicy{
	podapi.ListenerTLSDisabled: postgres.TLSDisabled,
	podapi.ListenerTLSOptional: postgres.TLSOptional,
	podapi.ListenerTLSRequired: postgres.TLSRequired,
	podapi.ListenerTLSMutual:   postgres.TLSMutual,
}

var serverModes = map[string]postgres.TLSMode{
	podapi.ServerTLSDisable:    postgres.Disable,
	podapi.ServerTLSPrefer:     postgres.Prefer,
	podapi.ServerTLSRequire:    postgres.Require,
	podapi.ServerTLSVerifyCA:   postgres.VerifyCA,
	podapi.ServerTLSVerifyFull: postgres.VerifyFull,
}
