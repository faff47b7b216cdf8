package console_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/postgres/console"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// talk gives a session bytes and returns what it answers, a line for each message.
func talk(s *console.Session, in []byte) []string {
	_, out := s.Receive(context.Background(), in, nil)
	return read(out)
}

// read writes messages of a server as text.
func read(in []byte) (lines []string) {
	for len(in) > 0 {
		size := int(binary.BigEndian.Uint32(in[1:])) + 1
		lines = append(lines, string(in[0])+" "+words(in[0], in[5:size]))
		in = in[size:]
	}
	return lines
}

func words(typ byte, body []byte) string {
	switch typ {
	case wire.TypeRowDescription:
		var names []string
		for b := body[2:]; len(b) > 0; {
			end := slices.Index(b, 0)
			names = append(names, fmt.Sprintf("%s:%d:%d", b[:end], binary.BigEndian.Uint32(b[end+7:]), int16(binary.BigEndian.Uint16(b[end+11:]))))
			b = b[end+19:]
		}
		return strings.Join(names, " ")
	case wire.TypeDataRow:
		var values []string
		for b := body[2:]; len(b) > 0; {
			size := int(int32(binary.BigEndian.Uint32(b)))
			if b = b[4:]; size < 0 {
				values = append(values, "NULL")
				continue
			}
			values, b = append(values, string(b[:size])), b[size:]
		}
		return strings.Join(values, "|")
	case wire.TypeErrorResponse, wire.TypeNoticeResponse:
		var fields []string
		for _, f := range strings.Split(strings.TrimRight(string(body), "\x00"), "\x00") {
			if f[0] == 'C' || f[0] == 'M' {
				fields = append(fields, f[1:])
			}
		}
		return strings.Join(fields, " ")
	}
	return strings.TrimRight(string(body), "\x00")
}

func query(text string) []byte { return wire.AppendQuery(nil, text) }

// show returns what answers a SHOW, without ReadyForQuery.
func show(t *testing.T, s *console.Session, what string) (head string, rows []string) {
	t.Helper()
	lines := talk(s, query("SHOW "+what))
	if n := len(lines); n < 3 || lines[n-1] != "Z I" || lines[n-2] != "C SHOW" || lines[0][:2] != "T " {
		t.Fatalf("SHOW %s: %q", what, lines)
	}
	for _, line := range lines[1 : len(lines)-2] {
		rows = append(rows, strings.TrimPrefix(line, "D "))
	}
	return lines[0][2:], rows
}

// The columns are written out here once more: readers know them by position.
func TestColumnsAreThoseOfPgBouncer(t *testing.T) {
	links := "type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed"
	linked := "ptr link remote_pid tls application_name prepared_statements id"
	of := map[byte]string{'s': "25:-1", 'T': "25:-1", 'i': "23:4", 'q': "20:8", 'N': "1700:-1"}
	s := console.New(&stage{}).Session(console.Stats)
	for what, want := range map[string][2]string{
		"VERSION": {"s", "version"},
		"LISTS":   {"si", "list items"},
		"CONFIG":  {"ssss", "key value default changeable"},
		"STATE":   {"ss", "key value"},
		"DATABASES": {"ssissiiiissiiiiii", "name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime " +
			"pool_mode load_balance_hosts max_connections current_connections max_client_connections current_client_connections paused disabled"},
		"POOLS": {"ssiiiiiiiiiiiiiss", "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active " +
			"sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts"},
		"STATS": {"sNNNNNNNNNNNNNNNNNNNNNN", "database total_server_assignment_count total_xact_count total_query_count total_received " +
			"total_sent total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count total_bind_count " +
			"avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time " +
			"avg_client_parse_count avg_server_parse_count avg_bind_count"},
		"STATS_TOTALS": {"sNNNNNNNNNNN", "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time " +
			"query_time wait_time client_parse_count server_parse_count bind_count"},
		"STATS_AVERAGES": {"sNNNNNNNNNNN", "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time " +
			"query_time wait_time client_parse_count server_parse_count bind_count"},
		"TOTALS": {"sN", "name value"},
		"USERS": {"ssssiiii", "name pool_size reserve_pool_size pool_mode max_user_connections current_connections " +
			"max_user_client_connections current_client_connections"},
		"CLIENTS": {"ssssssisiTTiiississii", links + " " + linked},
		"SERVERS": {"ssssssisiTTiiississii", links + " " + linked},
		"SOCKETS": {"ssssssisiTTiiississii" + "iiiiiii",
			links + " " + linked + " recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail"},
		"ACTIVE_SOCKETS": {"ssssssisiTTiiississii" + "iiiiiii",
			links + " " + linked + " recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail"},
		"MEM":             {"siiii", "name size used free memtotal"},
		"PEERS":           {"isii", "peer_id host port pool_size"},
		"PEER_POOLS":      {"iiiii", "peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login"},
		"DNS_HOSTS":       {"sqs", "hostname ttl addrs"},
		"DNS_ZONES":       {"sqi", "zonename serial count"},
		"client_encoding": {"s", "client_encoding"},
	} {
		var columns []string
		for i, name := range strings.Fields(want[1]) {
			columns = append(columns, name+":"+of[want[0][i]])
		}
		head, rows := show(t, s, what)
		if head != strings.Join(columns, " ") {
			t.Errorf("SHOW %s has columns\n%s, want\n%s", what, head, strings.Join(columns, " "))
		}
		for _, row := range rows {
			if n := strings.Count(row, "|") + 1; n != len(columns) {
				t.Errorf("SHOW %s has %d values in a row: %s", what, n, row)
			}
		}
	}
}

func TestValuesAreInTheirColumns(t *testing.T) {
	source := &stage{totals: []console.Totals{{
		Database: "shop", Assigned: 1, Transactions: 2, Queries: 3, Received: 4, Sent: 5, TransactionTime: 6 * time.Microsecond,
		QueryTime: 7 * time.Microsecond, WaitTime: 8 * time.Microsecond, ClientParses: 9, ServerParses: 10, ClientBinds: 11,
	}}}
	for what, want := range map[string][]string{
		"DATABASES": {
			"shop|db|5432|shop_prod|app|20|2|0|3600|transaction|NULL|20|3|100|7|1|0",
			"pgbouncer|NULL|5432|pgbouncer|pgbouncer|2|0|0|0|statement|NULL|0|0|0|0|0|0",
		},
		"POOLS": {
			"shop|app|1|2|3|0|4|3|5|6|0|7|8|1|500000|transaction|NULL",
			"pgbouncer|pgbouncer|0|0|0|0|0|0|0|0|0|0|0|0|0|statement|NULL",
		},
		"STATS":        {"shop|1|2|3|4|5|6|7|8|9|10|11" + strings.Repeat("|0", 11), "pgbouncer|0|1|1" + strings.Repeat("|0", 19)},
		"STATS_TOTALS": {"shop|1|2|3|4|5|6|7|8|9|10|11", "pgbouncer|0|1|1" + strings.Repeat("|0", 8)},
		"USERS":        {"app|NULL|NULL|NULL|9|8|0|7"},
		"CLIENTS": {
			"C|app|shop|none|active|10.0.0.1|1111|10.0.0.2|6432|1970-01-01 00:00:00 UTC|1970-01-01 00:01:00 UTC|0|0|0|0xc00000000001|" +
				"0x500000000002|0|TLSv1.3/TLS_AES_128_GCM_SHA256|psql|4|1",
			"C|app|shop|none|waiting_cancel_req|10.0.0.1|1111|10.0.0.2|6432|1970-01-01 00:00:00 UTC|1970-01-01 00:01:00 UTC|2|500000|0|" +
				"0xc00000000003||0|TLSv1.3/TLS_AES_128_GCM_SHA256|psql|4|3",
		},
		"SERVERS": {
			"S|app|shop|none|active|10.0.0.1|1111|10.0.0.2|6432|1970-01-01 00:00:00 UTC|1970-01-01 00:01:00 UTC|0|0|1|0x500000000002|" +
				"0xc00000000001|4711|TLSv1.3/TLS_AES_128_GCM_SHA256|psql|4|2",
		},
		"STATE":  {"active|no", "paused|no", "suspended|yes"},
		"CONFIG": {"max_client_conn|100|10000|yes"},
		"LISTS": {
			"databases|2", "users|1", "peers|0", "pools|2", "peer_pools|0", "free_clients|0", "used_clients|3", "login_clients|5",
			"free_servers|6", "used_servers|16", "dns_names|0", "dns_zones|0", "dns_queries|0", "dns_pending|0",
		},
	} {
		s := console.New(source).Session(console.Stats)
		if _, rows := show(t, s, what); !slices.Equal(rows, want) {
			t.Errorf("SHOW %s:\n%s, want\n%s", what, strings.Join(rows, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestAveragesAreOfTheLastPeriod(t *testing.T) {
	source := &stage{totals: []console.Totals{{Database: "shop", Queries: 1000, Transactions: 500, QueryTime: time.Second}}}
	c := console.New(source)
	s := c.Session(console.Stats)
	began := time.Unix(1000, 0)
	c.Tick(began)
	if _, rows := show(t, s, "STATS_AVERAGES"); rows[0] != "shop"+strings.Repeat("|0", 11) {
		t.Errorf("before a period has ended: %s", rows[0])
	}
	source.totals = []console.Totals{{
		Database: "shop", Assigned: 120, Queries: 1600, Transactions: 620, QueryTime: time.Second + 600*time.Millisecond,
		TransactionTime: 240 * time.Millisecond, WaitTime: 12 * time.Millisecond, Sent: 6000,
	}}
	c.Tick(began.Add(console.Period))
	source.totals[0].Queries = 99999 // of the next period
	if _, rows := show(t, s, "STATS_AVERAGES"); rows[0] != "shop|2|2|10|0|100|2000|1000|100|0|0|0" {
		t.Errorf("%s", rows[0])
	}
}

func TestCommandsReachTheirDatabase(t *testing.T) {
	for text, want := range map[string]struct{ told, tag string }{
		"PAUSE":                      {"pause:", "PAUSE"},
		"pause shop;":                {"pause:shop", "PAUSE"},
		` Pause "my ""own"" shop" ;`: {`pause:my "own" shop`, "PAUSE"},
		"RESUME 'shop'":              {"resume:shop", "RESUME"},
		"RECONNECT":                  {"reconnect:", "RECONNECT"},
		"KILL shop":                  {"kill:shop", "KILL"},
		"KILL_CLIENT 7":              {"kill client 7", "KILL_CLIENT"},
		"WAIT_CLOSE shop":            {"wait:shop", "WAIT_CLOSE"},
		"ENABLE shop":                {"enable:shop", "ENABLE"},
		"DISABLE shop":               {"disable:shop", "DISABLE"},
		"SUSPEND":                    {"suspend", "SUSPEND"},
		"RELOAD;":                    {"reload", "RELOAD"},
		"SHUTDOWN":                   {"quit", "SHUTDOWN"},
		"SHUTDOWN wait_for_servers":  {"leave", "SHUTDOWN"},
		"SHUTDOWN WAIT_FOR_CLIENTS":  {"leave", "SHUTDOWN"},
	} {
		source := &stage{}
		if got := talk(console.New(source).Session(console.Admin), query(text)); !slices.Equal(got, []string{"C " + want.tag, "Z I"}) {
			t.Errorf("%s: %q", text, got)
		}
		if !slices.Equal(source.told, []string{want.told}) {
			t.Errorf("%s: the source is told %q", text, source.told)
		}
	}
}

func TestWhatDriversSendAroundStatementsIsIgnored(t *testing.T) {
	for text, want := range map[string][]string{
		"SET extra_float_digits = 3":                   {"N 00000 SET ignored", "C SET", "Z I"},
		"SET SESSION CHARACTERISTICS AS TRANSACTION x": {"N 00000 SET ignored", "C SET", "Z I"},
		"set client_encoding to 'UTF8'":                {"N 00000 SET ignored", "C SET", "Z I"},
		"BEGIN":                                        {"C BEGIN", "Z I"},
		"START TRANSACTION":                            {"C START TRANSACTION", "Z I"},
		"COMMIT;":                                      {"C COMMIT", "Z I"},
		"ROLLBACK":                                     {"C ROLLBACK", "Z I"},
		"":                                             {"I ", "Z I"},
		";":                                            {"I ", "Z I"},
		"SHOW transaction isolation level":             {"T transaction_isolation:25:-1", "D read committed", "C SHOW", "Z I"},
		"SHOW DateStyle":                               {"T datestyle:25:-1", "D ISO", "C SHOW", "Z I"},
		"SHOW TIME ZONE":                               {"T timezone:25:-1", "D GMT", "C SHOW", "Z I"},
		"SHOW standard_conforming_strings":             {"T standard_conforming_strings:25:-1", "D on", "C SHOW", "Z I"},
		"show default_transaction_isolation":           {"T default_transaction_isolation:25:-1", "D read committed", "C SHOW", "Z I"},
	} {
		if got := talk(console.New(&stage{}).Session(console.Stats), query(text)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestWhatMakesNoSenseIsRefusedAndTheSessionGoesOn(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1":                   "E 42601 invalid command 'SELECT 1', use SHOW HELP;",
		"SHOW":                       "E 42601 invalid command 'SHOW', use SHOW HELP;",
		"SHOW nothing":               "E 42601 invalid command 'SHOW nothing', use SHOW HELP;",
		"SHOW POOLS app":             "E 42601 invalid command 'SHOW POOLS app', use SHOW HELP;",
		"SHOW FDS":                   "E 42601 invalid command 'SHOW FDS', use SHOW HELP;",
		"SHOW VERSION; SHOW VERSION": "E 42601 invalid command 'SHOW VERSION; SHOW VERSION', use SHOW HELP;",
		"PAUSE a b":                  "E 42601 invalid command 'PAUSE a b', use SHOW HELP;",
		`PAUSE ""`:                   `E 42601 invalid command 'PAUSE ""', use SHOW HELP;`,
		"PAUSE 'without an end":      "E 42601 invalid command 'PAUSE 'without an end', use SHOW HELP;",
		"SUSPEND now":                "E 42601 invalid command 'SUSPEND now', use SHOW HELP;",
		"SHUTDOWN sometime":          "E 42601 invalid command 'SHUTDOWN sometime', use SHOW HELP;",
		"ENABLE":                     "E 42601 a database is required",
		"KILL_CLIENT":                "E 42601 the id of a client is required",
		"KILL_CLIENT all":            "E 22023 invalid client id: all",
		"SET max_client_conn = 5":    "E 0A000 settings are not changed here",
		"SET":                        "E 42601 invalid command 'SET', use SHOW HELP;",
		strings.Repeat("long ", 100): "E 42601 invalid command '" + strings.Repeat("long ", 40) + "...', use SHOW HELP;",
	} {
		source := &stage{}
		s := console.New(source).Session(console.Admin)
		if got := talk(s, query(text)); !slices.Equal(got, []string{want, "Z I"}) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		if len(source.told) > 0 || s.Done {
			t.Errorf("%s: told %q, done %v", text, source.told, s.Done)
		}
	}
}

func TestAFailureOfTheSourceIsTold(t *testing.T) {
	for _, c := range []struct {
		fails error
		want  string
	}{
		{&console.Refusal{Code: "55000", Message: "not now"}, "E 55000 not now"},
		{fmt.Errorf("reload: %w", context.DeadlineExceeded), "E XX000 reload: context deadline exceeded"},
		{context.Canceled, "E 57014 canceling statement due to user request"},
	} {
		s := console.New(&stage{fails: c.fails}).Session(console.Admin)
		if got := talk(s, query("RELOAD")); !slices.Equal(got, []string{c.want, "Z I"}) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestExtendedQueriesAreRefusedUpToTheirSync(t *testing.T) {
	s := console.New(&stage{}).Session(console.Admin)
	in := slices.Concat(wire.AppendParse(nil, "", "SHOW VERSION", nil), wire.AppendDescribe(nil, 'S', ""), wire.AppendSync(nil), query("SHOW VERSION"))
	want := []string{"E 0A000 the console takes simple queries only", "Z I", "T version:25:-1", "D PgBouncer 1.25.2", "C SHOW", "Z I"}
	if got := talk(s, in); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestATextThatEndsEarlyIsRefused(t *testing.T) {
	s := console.New(&stage{}).Session(console.Admin)
	for _, body := range []string{"SHOW\x00POOLS\x00", "SHOW POOLS", ""} {
		in := append([]byte{'Q', 0, 0, 0, byte(len(body) + 4)}, body...)
		if got := talk(s, in); !slices.Equal(got, []string{"E 08P01 invalid message format", "Z I"}) {
			t.Errorf("%q: %q", body, got)
		}
	}
}

func TestTheSessionEndsWithTerminateAndWithNonsense(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want []string
	}{
		"Terminate":                 {wire.AppendTerminate(nil), nil},
		"a message of no type":      {[]byte{0, 0, 0, 0, 4}, []string{"E 08P01 invalid frontend message type 0"}},
		"a statement that is large": {query(strings.Repeat("x", console.MaxStatement+1)), []string{"E 08P01 invalid message length"}},
	} {
		s := console.New(&stage{}).Session(console.Admin)
		if got := talk(s, c.in); !slices.Equal(got, c.want) || !s.Done {
			t.Errorf("%s: %q, done %v", name, got, s.Done)
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	c := console.New(&stage{})
	for n, want := range []bool{true, true, false} {
		if c.Enter(2) != want || c.Sessions() != min(n+1, 2) {
			t.Fatalf("the session after %d others: %d are in", n, c.Sessions())
		}
	}
	c.Leave()
	if !c.Enter(2) {
		t.Fatal("one has left")
	}
}

// Whatever comes, in pieces of any size: each message that asks for it is answered, and nothing is read twice.
func FuzzSession(f *testing.F) {
	f.Add(query("SHOW POOLS"), 3)
	f.Add(slices.Concat(wire.AppendParse(nil, "a", "b", nil), wire.AppendSync(nil), query("PAUSE 'x")), 1)
	f.Add([]byte("Q\x00\x00\x00\x06;\x00X\x00\x00\x00\x04"), 100)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		whole := talk(console.New(&stage{}).Session(console.Admin), in)
		s, size := console.New(&stage{}).Session(console.Admin), max(1, size)
		var buffer, out []byte
		for len(in) > 0 && !s.Done {
			n := min(size, len(in))
			buffer, in = append(buffer, in[:n]...), in[n:]
			var used int
			used, out = s.Receive(context.Background(), buffer, out)
			if buffer = buffer[used:]; len(buffer) > console.Buffer {
				t.Fatalf("%d bytes are kept", len(buffer))
			}
		}
		if got := read(out); !slices.Equal(mask(got), mask(whole)) {
			t.Fatalf("in pieces %q, at once %q", got, whole)
		}
	})
}

// mask hides what differs from one moment to the next.
func mask(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, "D heap|") })
}
