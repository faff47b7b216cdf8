package pgbouncer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// known is what becomes of a setting of [pgbouncer] that is not translated: what it has by default, and why it is left out.
type known struct{ unset, why string }

const (
	unneeded = "not needed: "
	lost     = "no match: "
)

// leftOut are the settings that are not translated. One that has its default is left out without a word.
var leftOut = map[string]known{
	"logfile":                     {"", unneeded + "logs go to standard error"},
	"syslog":                      {"0", unneeded + "logs go to standard error"},
	"syslog_ident":                {"pgbouncer", unneeded + "logs go to standard error"},
	"syslog_facility":             {"daemon", unneeded + "logs go to standard error"},
	"log_connections":             {"1", unneeded + "logins and losses are counted, see the metrics"},
	"log_disconnections":          {"1", unneeded + "logins and losses are counted, see the metrics"},
	"log_pooler_errors":           {"1", unneeded + "refusals are counted, and logged once a second at most"},
	"log_stats":                   {"1", unneeded + "see the metrics"},
	"verbose":                     {"0", unneeded + "--log-level"},
	"pidfile":                     {"", unneeded + "the process stays in the foreground"},
	"user":                        {"", unneeded + "start the process as the user it is to be"},
	"job_name":                    {"pgbouncer", unneeded + "logs name the destination"},
	"service_name":                {"pgbouncer", unneeded + "logs name the destination"},
	"stats_period":                {"60", unneeded + "averages of the console are of a minute"},
	"unix_socket_dir":             {"/tmp", lost + "clients come over TCP"},
	"unix_socket_mode":            {"0777", lost + "clients come over TCP"},
	"unix_socket_group":           {"", lost + "clients come over TCP"},
	"resolv_conf":                 {"", unneeded + "the system resolves names, at each connection"},
	"dns_max_ttl":                 {"15", unneeded + "the system resolves names, at each connection"},
	"dns_nxdomain_ttl":            {"15", unneeded + "the system resolves names, at each connection"},
	"dns_zone_check_period":       {"0", unneeded + "the system resolves names, at each connection"},
	"pkt_buf":                     {"4096", unneeded + "buffers are as large as what passes"},
	"max_packet_size":             {"2147483647", unneeded + "messages pass in pieces"},
	"sbuf_loopcnt":                {"5", unneeded + "no client is served out of turn"},
	"listen_backlog":              {"128", unneeded + "it is the system's largest"},
	"so_reuseport":                {"0", unneeded + "one process uses all processors"},
	"peer_id":                     {"0", unneeded + "pods of a ConnectionPool pass cancel requests on to each other"},
	"tcp_defer_accept":            {"", unneeded + "connections that say nothing are bounded"},
	"tcp_socket_buffer":           {"0", unneeded + "the system chooses"},
	"tcp_keepalive":               {"1", unneeded + "keepalives are on"},
	"tcp_keepcnt":                 {"0", unneeded + "keepalives are on"},
	"tcp_keepidle":                {"0", unneeded + "keepalives are on"},
	"tcp_keepintvl":               {"0", unneeded + "keepalives are on"},
	"tcp_user_timeout":            {"0", unneeded + "servers that vanish are noticed"},
	"server_check_delay":          {"30", unneeded + "a connection that died while idle is noticed at once"},
	"server_check_query":          {"", unneeded + "a connection that died while idle is noticed at once"},
	"server_fast_close":           {"0", lost + "the console's RECONNECT waits for transactions"},
	"server_login_retry":          {"15", unneeded + "dials are retried from 0.1 s to 5 s apart while clients wait"},
	"server_reset_query":          {"DISCARD ALL", lost + "a connection that needs it is cleaned with DISCARD ALL"},
	"server_reset_query_always":   {"0", unneeded + "a connection is cleaned whenever its session left something"},
	"server_round_robin":          {"0", lost + "the warmest idle connection is used first"},
	"ignore_startup_parameters":   {"", unneeded + "every startup parameter of PostgreSQL is passed on"},
	"track_extra_parameters":      {"IntervalStyle", unneeded + "what the server reports is followed"},
	"disable_pqexec":              {"0", lost + "simple queries are always taken"},
	"application_name_add_host":   {"0", lost + "application_name is passed on as it is"},
	"query_wait_notify":           {"5", lost + "clients are not told that they wait"},
	"cancel_wait_timeout":         {"10", unneeded + "a cancel request is given 10 s"},
	"suspend_timeout":             {"10", unneeded + "the console's SUSPEND waits until it is cancelled"},
	"autodb_idle_timeout":         {"3600", unneeded + "what is not used for ten minutes is forgotten"},
	"max_user_client_connections": {"0", lost + "limits are of a destination"},
	"max_db_client_connections":   {"0", lost + "limits are of a destination"},
	"reserve_pool_timeout":        {"5", lost + "the reserve is added to maxOpen, and used without waiting"},
	"auth_hba_file":               {"", lost + "users are named; use a NetworkPolicy or firewall for addresses"},
	"auth_ident_file":             {"", lost + "users are named; use a NetworkPolicy or firewall for addresses"},
	"auth_ldap_options":           {"", lost + "there is no LDAP"},
	"client_tls_protocols":        {"secure", unneeded + "TLS 1.2 and 1.3 are spoken"},
	"client_tls_ciphers":          {"default", lost + "Go chooses safe ones"},
	"client_tls13_ciphers":        {"", lost + "Go chooses safe ones"},
	"client_tls_ecdhcurve":        {"auto", lost + "Go chooses safe ones"},
	"client_tls_dheparams":        {"auto", lost + "Go chooses safe ones"},
	"server_tls_protocols":        {"secure", unneeded + "TLS 1.2 and 1.3 are spoken"},
	"server_tls_ciphers":          {"default", lost + "Go chooses safe ones"},
	"server_tls13_ciphers":        {"", lost + "Go chooses safe ones"},
	"scram_iterations":            {"4096", unneeded + "verifiers bring their own"},
}

// translated are the settings that Translate looks at.
var translated = strings.Fields(`listen_addr listen_port auth_file auth_type auth_user auth_query pool_mode max_client_conn
	default_pool_size min_pool_size reserve_pool_size max_db_connections max_user_connections server_lifetime server_idle_timeout
	server_connect_timeout client_login_timeout client_idle_timeout idle_transaction_timeout query_timeout transaction_timeout
	query_wait_timeout admin_users stats_users client_tls_sslmode client_tls_key_file client_tls_cert_file client_tls_ca_file
	server_tls_sslmode server_tls_ca_file server_tls_key_file server_tls_cert_file max_prepared_statements auth_dbname`)

// same says that two values of a setting mean the same.
func same(a, b string) bool {
	if x, err := strconv.ParseFloat(a, 64); err == nil {
		y, err := strconv.ParseFloat(b, 64)
		return err == nil && x == y
	}
	return strings.EqualFold(a, b)
}

// value is a setting, or what it has by default.
func (c *Config) value(name, unset string) string {
	if e, set := c.setting(name); set {
		return e.Value
	}
	return unset
}

// number is a setting that is a count.
func (t *Translation) number(name string, unset int) int {
	e, set := t.from.setting(name)
	if !set {
		return unset
	}
	n, err := strconv.Atoi(e.Value)
	if err != nil || n < 0 {
		t.note(e.At(), name, "must be a number, is %q; taken for %d", clip(e.Value), unset)
		return unset
	}
	return n
}

// seconds is a setting that is a time, rounded up: PgBouncer takes fractions.
func (t *Translation) seconds(name string, unset int) int {
	e, set := t.from.setting(name)
	if !set {
		return unset
	}
	n, err := strconv.ParseFloat(e.Value, 64)
	if err != nil || n < 0 || n > math.MaxInt32 {
		t.note(e.At(), name, "must be a time in seconds, is %q; taken for %d", clip(e.Value), unset)
		return unset
	}
	return int(math.Ceil(n))
}

// note adds what a person should know.
func (t *Translation) note(at, what, format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf("%s: %s: %s", at, what, fmt.Sprintf(format, args...)))
}

// leaveOut notes the settings that are not translated.
func (t *Translation) leaveOut() {
	done := map[string]bool{}
	for _, name := range translated {
		done[name] = true
	}
	for _, e := range t.from.section("pgbouncer") {
		name := strings.ToLower(e.Key)
		k, is := leftOut[name]
		switch {
		case done[name] || is && same(e.Value, k.unset):
		case is:
			t.note(e.At(), name, "%s", k.why)
		default:
			t.note(e.At(), name, "is not a setting of PgBouncer 1.25")
		}
	}
	for _, e := range t.from.Entries {
		switch e.Section {
		case "pgbouncer", "databases", "users":
		case "peers":
			t.note(e.At(), "peers", unneeded+"pods of a ConnectionPool pass cancel requests on to each other")
		default:
			t.note(e.At(), "["+e.Section+"]", "is not a section of PgBouncer 1.25")
		}
	}
}
