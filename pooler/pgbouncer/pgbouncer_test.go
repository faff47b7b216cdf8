package pgbouncer

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is now\n%s", path, got)
	}
}

// Rewrite what is expected with: go test ./pooler/pgbouncer -update
func TestAConfigurationIsTranslated(t *testing.T) {
	t.Chdir("testdata")
	c, err := Load("pgbouncer.ini")
	if err != nil {
		t.Fatal(err)
	}
	translation := Translate(c)
	t.Chdir("..")
	var file, pool bytes.Buffer
	if err := translation.WriteFile(&file); err != nil {
		t.Fatal(err)
	}
	if err := translation.WriteConnectionPool(&pool, "orders"); err != nil {
		t.Fatal(err)
	}
	golden(t, "weir.yaml", file.Bytes())
	golden(t, "connectionpool.yaml", pool.Bytes())
	golden(t, "notes.txt", []byte(strings.Join(translation.Notes, "\n")+"\n"))
	for _, written := range []string{file.String(), pool.String()} {
		if strings.Contains(written, "a secret") {
			t.Error("a password is copied")
		}
	}
}

// load reads a pgbouncer.ini of this content.
func load(t *testing.T, content string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pgbouncer.ini")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

func TestTheLeastThatPgBouncerTakesIsTranslated(t *testing.T) {
	c, err := load(t, "[databases]\nshop =\n[pgbouncer]\n")
	if err != nil {
		t.Fatal(err)
	}
	translation := Translate(c)
	if len(translation.destinations) != 1 {
		t.Fatalf("%+v", translation.destinations)
	}
	want := &destination{
		name: "127-0-0-1", port: 6432, endpoints: []endpoint{{"127.0.0.1", 5432}}, poolMode: "session",
		databases: []database{{"shop", "shop"}}, maxOpen: 20, lifetime: 3600,
	}
	if got := translation.destinations[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestOfEqualSettingsTheLastCounts(t *testing.T) {
	c, err := load(t, "[databases]\na = host=x\na = host=y\n[pgbouncer]\nlisten_port = 1\nLISTEN_PORT = 2\n")
	if err != nil {
		t.Fatal(err)
	}
	if d := Translate(c).destinations; len(d) != 1 || d[0].endpoints[0].host != "y" || d[0].port != 2 {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsNotAConfigurationIsRefusedWithItsLine(t *testing.T) {
	for content, want := range map[string]string{
		"a = b":                    ":1: stands before the first [section]",
		"[databases\n":             ":1: a section must be [name], and stand alone",
		"[databases] x\n":          ":1: a section must be [name], and stand alone",
		"[pgbouncer]\n\nnothing\n": ":3: must be: name = value",
		"[databases]\n\"a = b\n":   ":2: a quoted name does not end",
		"[databases]\n\"a\" b\n":   ":2: must be: name = value",
		"%includes x\n":            ":1: only %include FILE may begin with %",
		"%include /no/such/file\n": ":1: open /no/such/file: no such file or directory",
	} {
		if _, err := load(t, content); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
}

func TestFilesThatIncludeEachOtherAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(path, []byte("%include pgbouncer.ini\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "more than 10 files include each other") {
		t.Errorf("%v", err)
	}
}

func TestAUserlistThatIsMissingIsNoted(t *testing.T) {
	c, err := load(t, "[databases]\na =\n[pgbouncer]\nauth_file = /no/such/file\n")
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(Translate(c).Notes, "\n"); !strings.Contains(notes, ":4: auth_file: open /no/such/file: no such file") {
		t.Error(notes)
	}
}

func TestConnectStrings(t *testing.T) {
	for text, want := range map[string][]Param{
		"":                                     nil,
		"host=a port=1":                        {{"host", "a"}, {"port", "1"}},
		"  HOST = a\tport\t=\t1  ":             {{"host", "a"}, {"port", "1"}},
		"password='it''s' dbname='a b'":        {{"password", "it's"}, {"dbname", "a b"}},
		"user='' host=":                        {{"user", ""}, {"host", ""}},
		"connect_query='SELECT ''a'' = ''b'''": {{"connect_query", "SELECT 'a' = 'b'"}},
	} {
		if got, err := ParseParams(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"host":      "must be key=value pairs",
		"a b=c":     "must be key=value pairs",
		"=c":        "must be key=value pairs",
		"a='b":      "the value of a has no closing quote",
		"a=b 'c'=d": "must be key=value pairs",
	} {
		if _, err := ParseParams(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestUserlists(t *testing.T) {
	users, err := ParseUserlist(strings.NewReader("# all\n\n\"a\" \"b\" \"more\"\n  \"c \"\"d\" \"\"\n"))
	if want := []User{{"a", "b"}, {`c "d`, ""}}; err != nil || !slices.Equal(users, want) {
		t.Errorf("%v, %v", users, err)
	}
	for text, want := range map[string]string{
		"a b":                          "line 1: must begin with the name of a user in double quotes",
		"\n\"a\" b":                    `line 2: the password of user "a" must be in double quotes`,
		`"a"`:                          `line 1: the password of user "a" must be in double quotes`,
		strings.Repeat("x", maxLine+1): "bufio.Scanner: token too long",
	} {
		if _, err := ParseUserlist(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

// Each setting is either translated or left out for a reason, and not both.
func TestNoSettingIsForgotten(t *testing.T) {
	for _, name := range translated {
		if _, twice := leftOut[name]; twice {
			t.Errorf("%s is translated and left out", name)
		}
	}
	c, err := load(t, "[databases]\na =\n[pgbouncer]\npkt_buf = 4096\npkt_buf2 = 1\ntcp_keepalive=1.0\n")
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(Translate(c).Notes, "\n")
	if strings.Contains(notes, "pkt_buf:") || strings.Contains(notes, "tcp_keepalive") || !strings.Contains(notes, "pkt_buf2: is not a setting") {
		t.Error(notes)
	}
}

// Whatever a file holds, reading and translating it ends, and what is written can be written.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"[databases]\n* = host=a\n[pgbouncer]\nlisten_addr=*\n",
		"[databases]\n\"a\"\"b\" = host='x' port=y pool_size=99999999999999999999\n[users]\nq=\n",
		"[pgbouncer]\nquery_wait_timeout=1e308\nlisten_port=-1\nadmin_users=,,a\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		if strings.Contains(content, "%include") || strings.Contains(content, "auth_file") {
			t.Skip("other files")
		}
		c := &Config{Path: "pgbouncer.ini"}
		section := ""
		for i, line := range strings.Split(content, "\n") {
			if err := c.line(strings.TrimSpace(line), c.Path, i+1, &section, 0); err != nil {
				return
			}
		}
		translation := Translate(c)
		var out bytes.Buffer
		if err := translation.WriteFile(&out); err != nil {
			t.Fatal(err)
		}
		if err := translation.WriteConnectionPool(&out, "a"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAuthTypesAreMethods(t *testing.T) {
	for kind, want := range map[string]string{"md5": "", "plain": "", "scram-sha-256": "", "trust": "Trust", "any": "Trust", "cert": "Certificate", "pam": ""} {
		c, err := load(t, "[databases]\na =\n[pgbouncer]\nauth_type = "+kind+"\n")
		if err != nil {
			t.Fatal(err)
		}
		translation := Translate(c)
		if translation.method != want {
			t.Errorf("%s becomes %q", kind, translation.method)
		}
		if noted := strings.Contains(strings.Join(translation.Notes, "\n"), ": auth_type: "); noted != (kind == "pam" || want == "Trust") {
			t.Errorf("%s: notes are %q", kind, translation.Notes)
		}
	}
}

func TestAModeThatIsNotThereIsNoted(t *testing.T) {
	c, err := load(t, "[databases]\na = host=x pool_mode=query\nb = host=y pool_mode=statement\n[pgbouncer]\n")
	if err != nil {
		t.Fatal(err)
	}
	translation := Translate(c)
	notes := strings.Join(translation.Notes, "\n")
	if translation.destinations[1].poolMode != "statement" || strings.Contains(notes, "b: pool_mode") {
		t.Errorf("statement mode: %+v, %q", translation.destinations[1], translation.Notes)
	}
	if translation.destinations[0].poolMode != "transaction" || !strings.Contains(notes, "a: pool_mode query: no match: Transaction is taken") {
		t.Errorf("%+v, %q", translation.destinations[0], translation.Notes)
	}
}
