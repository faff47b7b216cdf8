package pgbouncer

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Translation is what a Config is for Weir.
type Translation struct {
	Notes []string // what has no match, or is not the same, with where it stands

	from         *Config
	listen       string
	destinations []*destination
	tls          clientTLS
	console      [2][]string // admins, stats
	usersFile    string
	method       string // of auth; empty: SCRAM
	lookup       lookup
}

// lookup is how users are found that are not in auth_file; without a user they are not.
type lookup struct{ user, database, query string }

// destination is one server, with the databases that are on it.
type destination struct {
	name      string
	port      int
	endpoints []endpoint
	poolMode  string
	databases []database // none: every name
	forced    string     // user that all server connections have
	maxOpen   int
	perUser   int // 0: no limit
	minIdle   int
	lifetime  int
}

type endpoint struct {
	host string
	port int
}

type database struct{ name, target string }

type clientTLS struct {
	mode          string
	key, cert, ca string
}

// Bounds of what Weir takes.
const (
	maxOpen      = 100_000
	maxClients   = 100_000
	maxSeconds   = 604_800
	longestWait  = 3600 // seconds
	defaultPort  = 6432
	serverPort   = 5432
	everything   = "*"
	forcedSecret = "server-user"
)

// Translate says what a Config is for Weir.
func Translate(c *Config) *Translation {
	t := &Translation{from: c, Notes: slices.Clone(c.Trouble)}
	t.readListen()
	t.readDatabases()
	t.readUsers()
	t.readTLS()
	t.readAuth()
	t.console = [2][]string{names(c.value("admin_users", "")), names(c.value("stats_users", ""))}
	t.leaveOut()
	return t
}

func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

func (t *Translation) readListen() {
	e, set := t.from.setting("listen_addr")
	addresses := names(e.Value)
	switch {
	case !set || len(addresses) == 0:
		t.listen = "127.0.0.1"
		t.note(t.from.Path, "listen_addr", "PgBouncer takes clients from its Unix socket only; Weir listens on 127.0.0.1")
	case len(addresses) > 1:
		t.listen = "*"
		t.note(e.At(), "listen_addr", "Weir listens on one address, or on all: on all")
	case addresses[0] == "localhost":
		t.listen = "127.0.0.1"
	case addresses[0] == "0.0.0.0" || addresses[0] == "::":
		t.listen = "*"
	default:
		t.listen = addresses[0]
	}
}

// readDatabases makes a destination of all databases that are on the same server and pooled the same way.
func (t *Translation) readDatabases() {
	byServer := map[string]*destination{}
	for _, e := range t.from.section("databases") {
		params, err := ParseParams(e.Value)
		if err != nil {
			t.note(e.At(), e.Key, "is left out: %v", err)
			continue
		}
		d, own := t.readDatabase(e, params)
		server := fmt.Sprint(d.endpoints, d.poolMode, d.forced, d.lifetime, e.Key == everything)
		if known := byServer[server]; known != nil {
			known.maxOpen, known.minIdle = known.maxOpen+d.maxOpen, known.minIdle+d.minIdle
			known.databases = append(known.databases, own)
			continue
		}
		if e.Key != everything {
			d.databases = []database{own}
		}
		byServer[server] = d
		t.destinations = append(t.destinations, d)
	}
	if len(t.destinations) == 0 {
		t.note(t.from.Path, "[databases]", "names no database: add a destination")
	}
	port := t.number("listen_port", defaultPort)
	taken := map[string]bool{}
	for i, d := range t.destinations {
		d.port = port + i
		d.name = unique(label(cmp.Or(d.endpoints[0].host, "local")), taken)
		d.maxOpen, d.minIdle = max(1, min(d.maxOpen, maxOpen)), min(d.minIdle, d.maxOpen)
		if i > 0 {
			t.note(t.from.Path, "[databases]", "each server has a port of its own: clients of %s must use port %d", d.called(), d.port)
		}
	}
	t.boundUsers()
}

// boundUsers reads what one user may have open, which PgBouncer counts over all databases.
func (t *Translation) boundUsers() {
	most := t.number("max_user_connections", 0)
	for _, d := range t.destinations {
		if most < d.maxOpen {
			d.perUser = most
		}
	}
	if e, _ := t.from.setting("max_user_connections"); most > 0 && len(t.destinations) > 1 {
		t.note(e.At(), "max_user_connections", "is of each server: a user may have as many on each")
	}
}

// called are the names of a destination's databases.
func (d *destination) called() string {
	if len(d.databases) == 0 {
		return "all other databases"
	}
	all := make([]string, len(d.databases))
	for i, one := range d.databases {
		all[i] = one.name
	}
	return strings.Join(all, ", ")
}

// readDatabase reads one line of [databases].
func (t *Translation) readDatabase(e Entry, params []Param) (*destination, database) {
	c := t.from
	d := &destination{poolMode: c.value("pool_mode", "session"), lifetime: t.seconds("server_lifetime", 3600)}
	own := database{name: e.Key, target: e.Key}
	size, reserve := t.number("default_pool_size", 20), t.number("reserve_pool_size", 0)
	most := t.number("max_db_connections", 0)
	host, port := "", serverPort
	d.minIdle = t.number("min_pool_size", 0)
	count := func(p Param, into *int) {
		n, err := strconv.Atoi(p.Value)
		if err != nil || n < 0 {
			t.note(e.At(), e.Key, "%s must be a number, is %q", p.Key, clip(p.Value))
			return
		}
		*into = n
	}
	for _, p := range params {
		switch p.Key {
		case "host":
			host = p.Value
		case "port":
			count(p, &port)
		case "dbname":
			own.target = p.Value
		case "user":
			d.forced = p.Value
		case "password":
			if p.Value != "" {
				t.note(e.At(), e.Key, "the password is not copied: set the variable %s of the environment to it", envOf(params))
			}
		case "pool_mode":
			d.poolMode = p.Value
		case "pool_size":
			count(p, &size)
		case "min_pool_size":
			count(p, &d.minIdle)
		case "reserve_pool", "reserve_pool_size":
			count(p, &reserve)
		case "max_db_connections":
			count(p, &most)
		case "server_lifetime":
			count(p, &d.lifetime)
		default:
			t.note(e.At(), e.Key, "%s", paramLost(p))
		}
	}
	if poolMode(d.poolMode) == "" {
		t.note(e.At(), e.Key, "pool_mode %s: %sTransaction is taken", clip(d.poolMode), lost)
		d.poolMode = "transaction"
	}
	d.endpoints = t.endpoints(e, host, port)
	d.maxOpen = size + reserve
	if most > 0 {
		d.maxOpen = most
	} else {
		t.note(e.At(), e.Key, "at most %d connections; PgBouncer opens as many for each user", d.maxOpen)
	}
	return d, own
}

// paramLost says why a part of a connect string is left out.
func paramLost(p Param) string {
	switch p.Key {
	case "auth_user", "auth_query", "auth_dbname":
		return p.Key + ": " + lost + "name the users"
	case "load_balance_hosts":
		return p.Key + ": " + lost + "endpoints are used in order of preference"
	case "client_encoding", "datestyle", "timezone", "application_name":
		return p.Key + ": " + lost + "clients say it themselves, or ALTER DATABASE does"
	case "connect_query":
		return p.Key + ": " + lost + "use ALTER DATABASE or ALTER ROLE ... SET"
	case "max_db_client_connections":
		return p.Key + ": " + lost + "maxClients is of all databases of a destination"
	}
	return clip(p.Key) + ": is not known to PgBouncer 1.25"
}

func (t *Translation) endpoints(e Entry, hosts string, port int) (all []endpoint) {
	for _, host := range strings.Split(hosts, ",") {
		host = strings.TrimSpace(host)
		if host == "" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
			t.note(e.At(), e.Key, "servers are reached over TCP: 127.0.0.1 is taken for the Unix socket")
			host = "127.0.0.1"
		}
		all = append(all, endpoint{host, port})
	}
	if len(all) > 1 {
		t.note(e.At(), e.Key, "the hosts are used in this order, not in turns")
	}
	return all
}

// envOf is the variable that holds the password of a connect string.
func envOf(params []Param) string {
	for _, p := range params {
		if p.Key == "user" {
			return variable(p.Value)
		}
	}
	return variable("")
}

func variable(user string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(user))
	return strings.ToUpper("password_of_" + clean)
}

func (t *Translation) readUsers() {
	t.usersFile = t.from.AuthFile
	for _, e := range t.from.section("users") {
		t.note(e.At(), "[users] "+e.Key, lost+"limits and modes are of a destination")
	}
	for _, u := range t.from.Users {
		if strings.HasPrefix(u.Password, "md5") && len(u.Password) == 35 {
			t.method = "MD5"
		}
	}
	if t.method != "" {
		t.note(t.from.AuthFile, "auth_file", "some users have md5 hashes, so md5 is allowed: set their passwords anew, and auth.method to SCRAM")
	}
}

func (t *Translation) readAuth() {
	e, set := t.from.setting("auth_type")
	switch kind := strings.ToLower(e.Value); {
	case !set || kind == "md5" || kind == "plain" || kind == "scram-sha-256":
	case kind == "trust" || kind == "any":
		t.method = "Trust"
		t.note(e.At(), "auth_type", "whoever reaches the pooler may come in as anybody")
	case kind == "cert":
		t.method = "Certificate"
	default:
		t.note(e.At(), "auth_type", lost+"users log in with passwords or certificates")
	}
	t.readLookup()
	if t.usersFile == "" && t.lookup.user == "" && t.method != "Trust" && t.method != "Certificate" {
		t.note(t.from.Path, "auth_file", "names no users: write them into the Secret users")
	}
}

func (t *Translation) readLookup() {
	e, set := t.from.setting("auth_user")
	if !set || e.Value == "" || t.method == "Trust" || t.method == "Certificate" {
		return
	}
	t.lookup = lookup{
		user: e.Value, database: t.from.value("auth_dbname", ""),
		query: t.from.value("auth_query", "SELECT usename, passwd FROM pg_shadow WHERE usename=$1"),
	}
	t.note(e.At(), "auth_user", "the password of %s is not copied: set the variable %s of the environment to it", e.Value, variable(e.Value))
	if t.lookup.database == "" {
		t.note(e.At(), "auth_user", "users are looked up in the database postgres, not in that of the client: with a function it must be there")
	}
}

func (t *Translation) readTLS() {
	c := t.from
	t.tls = clientTLS{
		mode: map[string]string{"allow": "Optional", "prefer": "Optional", "require": "Required", "verify-ca": "Mutual", "verify-full": "Mutual"}[c.value("client_tls_sslmode", "disable")],
		key:  c.value("client_tls_key_file", ""), cert: c.value("client_tls_cert_file", ""), ca: c.value("client_tls_ca_file", ""),
	}
}

// label makes a DNS label of a host.
func label(host string) string {
	clean := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, host), "-")
	const longest = 50
	return strings.Trim(cmp.Or(clean, "main")[:min(longest, len(cmp.Or(clean, "main")))], "-")
}

func unique(name string, taken map[string]bool) string {
	one := name
	for n := 2; taken[one]; n++ {
		one = fmt.Sprintf("%s-%d", name, n)
	}
	taken[one] = true
	return one
}
