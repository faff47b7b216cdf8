package config

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-dev/weir/pooler/podapi"
	"github.com/weir-dev/weir/pooler/postgres/console"
)

// Bounds of what one pod serves.
const (
	maxDestinations = 32
	maxEndpoints    = 16
	maxDatabases    = 1024
	maxPeers        = 1024
	maxName         = 63 // of a destination; it is a label of metrics
	maxConsoleUsers = 128
	maxIdentifier   = 128     // of a database: PostgreSQL cuts at 63, forks may not
	maxHost         = 253     // DNS
	maxSeconds      = 1 << 30 // 34 years
	maxCount        = 1 << 20 // of connections or clients
)

var (
	dnsLabel  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	dnsDomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
)

// checker gathers the faults of one document.
type checker struct{ faults []string }

// Validate tells what is wrong with a Config. The error is an *Invalid.
func Validate(c podapi.Config) error {
	var k checker
	k.check(c.Version == podapi.Version, "version", "is %d, but this pooler speaks version %d", c.Version, podapi.Version)
	namespace, name, _ := strings.Cut(c.Pool, "/")
	k.check(dnsLabel.MatchString(namespace) && dnsDomain.MatchString(name), "pool", "must be namespace/name, is %q", clip(c.Pool))
	k.check(len(c.UID) <= maxIdentifier, "uid", "must be at most %d bytes", maxIdentifier)
	k.check(c.Generation >= 0, "generation", "must not be negative, is %d", c.Generation)
	k.check(c.Ledger >= 1, "ledger", "must be at least 1, is %d", c.Ledger)
	k.between("drainSeconds", c.DrainSeconds, 0, maxSeconds)
	if c.ClientCA != "" {
		k.check(x509.NewCertPool().AppendCertsFromPEM([]byte(c.ClientCA)), "clientCA", "holds no certificate in PEM form")
	}
	k.listener(c.Listener.TLS)
	k.destinations(c.Destinations)
	k.peers(c.Peers)
	k.shares(c.Shares)
	if len(k.faults) > 0 {
		return &Invalid{Faults: k.faults}
	}
	return nil
}

func (k *checker) listener(t podapi.ListenerTLS) {
	switch t.Mode {
	case "", podapi.ListenerTLSDisabled:
	case podapi.ListenerTLSOptional, podapi.ListenerTLSRequired:
		k.secret("listener.tls.secret", t.Secret)
	case podapi.ListenerTLSMutual:
		k.secret("listener.tls.secret", t.Secret)
		k.secret("listener.tls.clientCASecret", t.ClientCASecret)
	default:
		k.unknown("listener.tls.mode", t.Mode, podapi.ListenerTLSDisabled, podapi.ListenerTLSOptional,
			podapi.ListenerTLSRequired, podapi.ListenerTLSMutual)
	}
}

func (k *checker) destinations(all []podapi.Destination) {
	k.check(len(all) >= 1 && len(all) <= maxDestinations, "destinations", "must be 1 to %d, are %d", maxDestinations, len(all))
	names, ports := map[string]bool{}, map[int32]string{}
	for i, d := range all[:min(len(all), maxDestinations)] {
		field := fmt.Sprintf("destinations[%d]", i)
		k.check(len(d.Name) <= maxName && dnsLabel.MatchString(d.Name), field+".name",
			"must be lower-case letters, digits and dashes, at most %d, is %q", maxName, clip(d.Name))
		k.check(!names[d.Name], field+".name", "%q is already the name of another destination", clip(d.Name))
		names[d.Name] = true
		k.between(field+".listenPort", d.ListenPort, 1, 65535)
		other, taken := ports[d.ListenPort]
		k.check(!taken, field+".listenPort", "%d is already the port of destination %q", d.ListenPort, clip(other))
		ports[d.ListenPort] = d.Name
		k.endpoints(field, d.Endpoints)
		k.limits(field+".limits", d.Limits)
		k.stopPolicy(field+".stopPolicy", d.StopPolicy)
		k.serverTLS(field+".tls", d.TLS)
		k.protocol(field, d)
	}
}

func (k *checker) endpoints(destination string, all []podapi.Endpoint) {
	k.check(len(all) >= 1 && len(all) <= maxEndpoints, destination+".endpoints", "must be 1 to %d, are %d", maxEndpoints, len(all))
	for i, e := range all[:min(len(all), maxEndpoints)] {
		field := fmt.Sprintf("%s.endpoints[%d]", destination, i)
		k.check(e.Host != "" && len(e.Host) <= maxHost && !strings.ContainsAny(e.Host, " \t\r\n\x00/"), field+".host",
			"must be a host name or an IP address, is %q", clip(e.Host))
		k.between(field+".port", e.Port, 1, 65535)
	}
}

func (k *checker) limits(field string, l podapi.Limits) {
	k.between(field+".idleTimeoutSeconds", l.IdleTimeoutSeconds, 0, maxSeconds)
	k.between(field+".maxLifetimeSeconds", l.MaxLifetimeSeconds, 0, maxSeconds)
	k.between(field+".acquireTimeoutMilliseconds", l.AcquireTimeoutMilliseconds, 1, 1<<31-1)
	k.between(field+".maxClients", l.MaxClients, 1, maxCount)
	k.between(field+".connectTimeoutSeconds", l.ConnectTimeoutSeconds, 0, maxSeconds)
	k.between(field+".loginTimeoutSeconds", l.LoginTimeoutSeconds, 0, maxSeconds)
	k.between(field+".clientIdleTimeoutSeconds", l.ClientIdleTimeoutSeconds, 0, maxSeconds)
	k.between(field+".idleInTransactionTimeoutSeconds", l.IdleInTransactionTimeoutSeconds, 0, maxSeconds)
	k.between(field+".queryTimeoutSeconds", l.QueryTimeoutSeconds, 0, maxSeconds)
	k.between(field+".transactionTimeoutSeconds", l.TransactionTimeoutSeconds, 0, maxSeconds)
}

func (k *checker) stopPolicy(field, policy string) {
	switch policy {
	case "", podapi.StopPolicyNone, podapi.StopPolicyHold, podapi.StopPolicyHoldAndDrain:
	default:
		k.unknown(field, policy, podapi.StopPolicyNone, podapi.StopPolicyHold, podapi.StopPolicyHoldAndDrain)
	}
}

func (k *checker) serverTLS(field string, t podapi.ServerTLS) {
	switch t.Mode {
	case "", podapi.ServerTLSDisable, podapi.ServerTLSPrefer, podapi.ServerTLSRequire, podapi.ServerTLSVerifyCA, podapi.ServerTLSVerifyFull:
	default:
		k.unknown(field+".mode", t.Mode, podapi.ServerTLSDisable, podapi.ServerTLSPrefer, podapi.ServerTLSRequire,
			podapi.ServerTLSVerifyCA, podapi.ServerTLSVerifyFull)
	}
	k.optionalSecret(field+".caSecret", t.CASecret)
	k.optionalSecret(field+".certificateSecret", t.CertificateSecret)
}

func (k *checker) protocol(field string, d podapi.Destination) {
	if d.Protocol != podapi.ProtocolPostgreSQL {
		k.unknown(field+".protocol", d.Protocol, podapi.ProtocolPostgreSQL)
		return
	}
	field += ".postgresql"
	if !k.check(d.PostgreSQL != nil, field, "is missing: a destination of protocol %s needs it", d.Protocol) {
		return
	}
	p := d.PostgreSQL
	switch p.PoolMode {
	case podapi.PoolModeTransaction, podapi.PoolModeSession, podapi.PoolModeStatement:
	default:
		k.unknown(field+".poolMode", p.PoolMode, podapi.PoolModeTransaction, podapi.PoolModeSession, podapi.PoolModeStatement)
	}
	switch p.TargetSession {
	case "", podapi.TargetSessionAny, podapi.TargetSessionReadWrite, podapi.TargetSessionReadOnly:
	default:
		k.unknown(field+".targetSession", p.TargetSession, podapi.TargetSessionAny, podapi.TargetSessionReadWrite, podapi.TargetSessionReadOnly)
	}
	if n := p.MaxPreparedStatements; n != nil {
		k.between(field+".maxPreparedStatements", *n, 0, maxCount)
	}
	k.check(len(p.Databases) <= maxDatabases, field+".databases", "must be at most %d, are %d", maxDatabases, len(p.Databases))
	names := map[string]bool{}
	for i, database := range p.Databases[:min(len(p.Databases), maxDatabases)] {
		at := fmt.Sprintf("%s.databases[%d]", field, i)
		k.check(identifier(database.Name), at+".name", "must be 1 to %d bytes without a zero byte", maxIdentifier)
		k.check(!names[database.Name], at+".name", "%q is already the name of another database", clip(database.Name))
		names[database.Name] = true
		k.check(database.Target == "" || identifier(database.Target), at+".target", "must be at most %d bytes without a zero byte", maxIdentifier)
	}
	k.console(field+".console", p.Console, names)
	k.auth(field+".auth", p.Auth)
}

func (k *checker) console(field string, c podapi.Console, databases map[string]bool) {
	k.check(len(c.AdminUsers)+len(c.StatsUsers) <= maxConsoleUsers, field, "must name at most %d users", maxConsoleUsers)
	for _, user := range slices.Concat(c.AdminUsers, c.StatsUsers) {
		k.check(identifier(user), field, "names of users must be 1 to %d bytes without a zero byte", maxIdentifier)
	}
	for _, name := range console.Names {
		k.check(len(c.AdminUsers)+len(c.StatsUsers) == 0 || !databases[name], field, "the console is called %q, which is a database, too", name)
	}
}

func (k *checker) peers(all []podapi.Peer) {
	k.check(len(all) <= maxPeers, "peers", "must be at most %d, are %d", maxPeers, len(all))
	for i, p := range all[:min(len(all), maxPeers)] {
		_, err := netip.ParseAddr(p.Address)
		k.check(err == nil, fmt.Sprintf("peers[%d].address", i), "must be an IP address, is %q", clip(p.Address))
		k.check(p.UID != "" && len(p.UID) <= maxIdentifier, fmt.Sprintf("peers[%d].uid", i), "must be 1 to %d bytes", maxIdentifier)
	}
}

func (k *checker) shares(all map[string]map[string]podapi.Share) {
	for pod, destinations := range all {
		for name, s := range destinations {
			field := fmt.Sprintf("shares[%q][%q]", clip(pod), clip(name))
			k.between(field+".maxOpen", s.MaxOpen, 0, maxCount)
			k.between(field+".maxOpenPerUser", s.MaxOpenPerUser, 0, maxCount)
			k.between(field+".minIdle", s.MinIdle, 0, maxCount)
			k.between(field+".maxIdle", s.MaxIdle, 0, maxCount)
			k.between(field+".maxWaiting", s.MaxWaiting, podapi.Unlimited, 1<<31-1)
		}
	}
}

func (k *checker) check(ok bool, field, format string, args ...any) bool {
	if !ok {
		k.faults = append(k.faults, field+": "+fmt.Sprintf(format, args...))
	}
	return ok
}

func (k *checker) between(field string, is, least, most int32) {
	k.check(is >= least && is <= most, field, "must be between %d and %d, is %d", least, most, is)
}

func (k *checker) unknown(field, is string, known ...string) {
	k.check(false, field, "must be %s, is %q", strings.Join(known, " or "), clip(is))
}

func (k *checker) secret(field, name string) {
	k.check(len(name) <= maxHost && dnsDomain.MatchString(name), field, "must be the name of a Secret, is %q", clip(name))
}

func (k *checker) optionalSecret(field, name string) {
	if name != "" {
		k.secret(field, name)
	}
}

func identifier(name string) bool {
	return name != "" && len(name) <= maxIdentifier && !strings.ContainsRune(name, 0)
}

// clip keeps a message short however long the field is.
func clip(s string) string {
	const longest = 80
	if len(s) > longest {
		return s[:longest] + "..."
	}
	return s
}
