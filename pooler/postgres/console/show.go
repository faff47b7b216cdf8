package console

import (
	"strings"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

const (
	usage = `
	SHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION
	SHOW PEERS|PEER_POOLS
	SHOW SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE
	SHOW DNS_HOSTS|DNS_ZONES
	SHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS
	RELOAD
	PAUSE [<db>]
	RESUME [<db>]
	DISABLE <db>
	ENABLE <db>
	RECONNECT [<db>]
	KILL [<db>]
	KILL_CLIENT <client_id>
	SUSPEND
	SHUTDOWN [WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]
	WAIT_CLOSE [<db>]
All of it holds for this destination in this pod, until it ends.`

	counts    = "server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time client_parse_count server_parse_count bind_count"
	totalsOf  = "total_server_assignment_count total_xact_count total_query_count total_received total_sent total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count total_bind_count"
	averageOf = "avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count avg_bind_count"
	links     = "type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed "
	linked    = "ptr link remote_pid tls application_name prepared_statements id"
	buffers   = " recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail"
)

// view is a table and where its rows come from.
type view struct {
	table
	rows func(*Console) []row
}

// views are what SHOW shows, by name.
var views = map[string]view{
	"VERSION": {columns("s", "version"), func(*Console) []row { return []row{{"PgBouncer " + Version}} }},
	"LISTS":   {columns("si", "list items"), (*Console).lists},
	"CONFIG":  {columns("ssss", "key value default changeable"), (*Console).settings},
	"STATE":   {columns("ss", "key value"), (*Console).state},
	"DATABASES": {columns("ssissiiiissiiiiii", `name host port database force_user pool_size min_pool_size reserve_pool_size
		server_lifetime pool_mode load_balance_hosts max_connections current_connections max_client_connections
		current_client_connections paused disabled`), (*Console).databases},
	"POOLS": {columns("ssiiiiiiiiiiiiiss", `database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req
		sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode
		load_balance_hosts`), (*Console).pools},
	"USERS": {columns("ssssiiii", `name pool_size reserve_pool_size pool_mode max_user_connections current_connections
		max_user_client_connections current_client_connections`), (*Console).users},
	"STATS":          {columns("s"+strings.Repeat("N", 22), "database "+totalsOf+" "+averageOf), (*Console).stats},
	"STATS_TOTALS":   {columns("s"+strings.Repeat("N", 11), "database "+counts), (*Console).statsTotals},
	"STATS_AVERAGES": {columns("s"+strings.Repeat("N", 11), "database "+counts), (*Console).statsAverages},
	"TOTALS":         {columns("sN", "name value"), (*Console).sums},
	"CLIENTS":        {columns("ssssssisiTTiiississii", links+linked), (*Console).clients},
	"SERVERS":        {columns("ssssssisiTTiiississii", links+linked), (*Console).servers},
	"SOCKETS":        {columns("ssssssisiTTiiississiiiiiiiii", links+linked+buffers), (*Console).sockets},
	"ACTIVE_SOCKETS": {columns("ssssssisiTTiiississiiiiiiiii", links+linked+buffers), (*Console).sockets},
	"MEM":            {columns("siiii", "name size used free memtotal"), (*Console).memory},
	"PEERS":          {columns("isii", "peer_id host port pool_size"), none},
	"PEER_POOLS":     {columns("iiiii", "peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login"), none},
	"DNS_HOSTS":      {columns("sqs", "hostname ttl addrs"), none},
	"DNS_ZONES":      {columns("sqi", "zonename serial count"), none},
}

// parameters are what drivers ask for as of a PostgreSQL.
var parameters = map[string]string{
	"CLIENT_ENCODING":               "UTF-8",
	"DEFAULT_TRANSACTION_ISOLATION": "read committed",
	"TRANSACTION_ISOLATION":         "read committed",
	"STANDARD_CONFORMING_STRINGS":   "on",
	"DATESTYLE":                     "ISO",
	"TIMEZONE":                      "GMT",
}

func none(*Console) []row { return nil }

// show answers SHOW.
func (s *Session) show(args []string, out []byte) ([]byte, error) {
	if len(args) == 3 && strings.EqualFold(strings.Join(args, " "), "transaction isolation level") {
		args = []string{"transaction_isolation"}
	}
	if len(args) == 2 && strings.EqualFold(strings.Join(args, " "), "time zone") {
		args = []string{"timezone"}
	}
	if len(args) != 1 {
		return out, errUnknown
	}
	name := strings.ToUpper(args[0])
	if name == "HELP" {
		out = wire.AppendNoticeResponse(out, wire.Report{
			Severity: wire.SeverityNotice, Code: "00000", Message: "Console usage", Detail: usage,
		})
		return wire.AppendCommandComplete(out, "SHOW"), nil
	}
	v, known := views[name]
	if value, fake := parameters[name]; fake {
		v, known = view{columns("s", strings.ToLower(name)), func(*Console) []row { return []row{{value}} }}, true
	}
	if !known {
		return out, errUnknown
	}
	out = v.appendHead(out)
	for _, r := range v.rows(s.console) {
		out = r.append(out)
	}
	return wire.AppendCommandComplete(out, "SHOW"), nil
}
