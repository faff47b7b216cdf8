package standalone

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/podapi"
)

const least = `
destinations:
- name: main
  endpoints: [{host: db}]
secrets:
  users: {app: one}
`

// faults returns what is wrong with a document, a line for each fault.
func faults(t *testing.T, document string) string {
	t.Helper()
	_, err := parse("weir.yaml", []byte(document))
	invalid := new(Invalid)
	if err != nil && !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestTheLeastThatMakesSense(t *testing.T) {
	f, err := parse("weir.yaml", []byte(least))
	if err != nil {
		t.Fatal(err)
	}
	want := podapi.Config{
		Version: 1, Pool: "standalone/weir", Generation: 7, Ledger: 7, DrainSeconds: 60,
		Destinations: []podapi.Destination{{
			Name: "main", Protocol: "PostgreSQL", ListenPort: 6432, Endpoints: []podapi.Endpoint{{Host: "db", Port: 5432}},
			Limits: podapi.Limits{AcquireTimeoutMilliseconds: 30_000, MaxClients: 10_000}, TLS: podapi.ServerTLS{Mode: "Prefer"},
			PostgreSQL: &podapi.PostgreSQL{PoolMode: "Transaction", Auth: podapi.Auth{UsersSecret: "users"}},
		}},
		Shares: map[string]map[string]podapi.Share{"standalone": {"main": {MaxOpen: 20, MaxIdle: 20, MaxWaiting: -1}}},
	}
	if got := f.Config(7); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if f.ListenHost() != "127.0.0.1" || f.Health != DefaultHealth {
		t.Errorf("listens on %q and %q", f.ListenHost(), f.Health)
	}
}

func TestLimitsAreThoseOfPodsAndOfShares(t *testing.T) {
	f, err := parse("weir.yaml", []byte(`
listen: "*"
destinations:
- name: main
  listenPort: 7000
  endpoints: [{host: db, port: 1}]
  limits: {maxOpen: 9, maxOpenPerUser: 5, minIdle: 1, maxIdle: 2, maxWaiting: 0, maxClients: 3, idleTimeoutSeconds: 4}
secrets: {users: {app: 0123, other: "yes"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	c := f.Config(1)
	if l := c.Destinations[0].Limits; l.MaxClients != 3 || l.IdleTimeoutSeconds != 4 {
		t.Errorf("limits are %+v", l)
	}
	if s := c.Shares[PodUID()]["main"]; s != (podapi.Share{MaxOpen: 9, MaxOpenPerUser: 5, MinIdle: 1, MaxIdle: 2, MaxWaiting: 0}) {
		t.Errorf("the share is %+v", s)
	}
	if f.ListenHost() != "" {
		t.Errorf("listens on %q", f.ListenHost())
	}
	users, err := f.Secret("users")
	if err != nil || string(users["app"]) != "0123" || string(users["other"]) != "yes" {
		t.Errorf("users are %q, %v", users, err)
	}
}

func TestWhatMakesNoSenseIsToldWithItsLine(t *testing.T) {
	for _, c := range []struct{ name, document, want string }{
		{"nothing", "", "weir.yaml: it is empty: at least destinations must be named"},
		{"a comment alone", "# nothing\n", "weir.yaml: it is empty: at least destinations must be named"},
		{"no YAML", "a: b: c\n", "weir.yaml: mapping values are not allowed in this context"},
		{"two documents", least + "---\n" + least, "weir.yaml: it must be a single document, without ---"},
		{"a list", "- a\n", "weir.yaml:1: must have fields, is a list"},
		{"an unknown field", "destination: []\n", "weir.yaml:1: destination: is not known: did you mean destinations?"},
		{"a field unlike all others", "xyz: 1\n", "weir.yaml:1: xyz: is not known; known are destinations, drainSeconds, health, listen, listener, secrets"},
		{"an unknown limit", strings.Replace(least, "endpoints:", "limits: {maxOpne: 1}\n  endpoints:", 1),
			"weir.yaml:4: destinations[0].limits.maxOpne: is not known: did you mean maxOpen?"},
		{"what only pods have", strings.Replace(least, "endpoints:", "limits: {shares: 1}\n  endpoints:", 1), "weir.yaml:4: destinations[0].limits.shares: is not known"},
		{"a field written twice", "listen: \"*\"\nlisten: \"*\"\n", "weir.yaml:2: listen: is written twice"},
		{"a number that is none", "drainSeconds: soon\n", `weir.yaml:1: drainSeconds: must be a whole number, is "soon"`},
		{"a number in quotes", "drainSeconds: \"5\"\n", `weir.yaml:1: drainSeconds: must be a whole number, is "5"`},
		{"a number that is too large", "drainSeconds: 9999999999\n", `weir.yaml:1: drainSeconds: must be a whole number, is "9999999999"`},
		{"a fraction", "drainSeconds: 1.5\n", `weir.yaml:1: drainSeconds: must be a whole number, is "1.5"`},
		{"a text that is none", "listen: true\n", "weir.yaml:1: listen: must be a text: put it in quotes"},
		{"a list that is none", "destinations: main\n", "weir.yaml:1: destinations: must be a list: begin its items with a dash"},
		{"no destination", "listen: \"*\"\n", "weir.yaml: destinations: must be 1 to 32, are 0"},
		{"an address that is a name", "listen: home\n" + least, `weir.yaml:1: listen: must be an IP address, or "*" for all, is "home"`},
		{"a port without an address", "health: 9901\n" + least, `weir.yaml:1: health: must be an address with a port, is "9901"`},
		{"a name in capitals", strings.Replace(least, "main", "Main", 1),
			`weir.yaml:3: destinations[0].name: must be lower-case letters, digits and dashes, at most 63, is "Main"`},
		{"no endpoint", strings.Replace(least, "[{host: db}]", "[]", 1), "weir.yaml:4: destinations[0].endpoints: must be 1 to 16, are 0"},
		{"maxOpen 0", strings.Replace(least, "endpoints:", "limits:\n      maxOpen: 0\n  endpoints:", 1), "weir.yaml:5: destinations[0].limits.maxOpen: must be at least 1"},
		{"more idle than open", strings.Replace(least, "endpoints:", "limits: {maxOpen: 5, maxIdle: 6}\n  endpoints:", 1),
			"weir.yaml:4: destinations[0].limits.maxIdle: must not be above maxOpen, which is 5"},
		{"more for a user than for all", strings.Replace(least, "endpoints:", "limits: {maxOpenPerUser: 21}\n  endpoints:", 1),
			"weir.yaml:4: destinations[0].limits.maxOpenPerUser: must not be above maxOpen, which is 20"},
		{"a share that is negative", strings.Replace(least, "endpoints:", "limits: {maxWaiting: -2}\n  endpoints:", 1),
			"weir.yaml:4: destinations[0].limits.maxWaiting: must be between -1 and 2147483647, is -2"},
		{"no users", strings.Replace(least, "users:", "others:", 1), `weir.yaml:3: destinations[0]: Secret "users" is missing or empty`},
		{"a user without a password", strings.Replace(least, "one", `""`, 1), `weir.yaml:6: secrets.users: Secret "users": user "app": the password is empty`},
		{"a file that is missing", strings.Replace(least, "{app: one}", "./none.yaml", 1), `secrets.users: Secret "users" cannot be read: stat none.yaml: no such file`},
		{"a key's file that is missing", strings.Replace(least, "one", "{file: /none}", 1), `Secret "users" cannot be read: key "app": open /none: no such file`},
		{"a variable that is missing", strings.Replace(least, "one", "{env: WEIR_NONE}", 1), `key "app": the environment has no variable WEIR_NONE`},
		{"a key with a file and a variable", strings.Replace(least, "one", "{file: a, env: B}", 1),
			"weir.yaml:6: secrets.users.app: must be a text, or have the field file or the field env"},
		{"a merge key", "<<: {}\n", "weir.yaml:1: has a key that is no text"},
	} {
		if got := faults(t, c.document); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	got := faults(t, "listen: []\ndestinations:\n- nam: main\n  listenPort: x\n")
	want := "weir.yaml:1: listen: must be a text: put it in quotes\n" +
		"weir.yaml:3: destinations[0].nam: is not known: did you mean name?\n" +
		`weir.yaml:4: destinations[0].listenPort: must be a whole number, is "x"`
	if got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}

func TestSecretsComeFromFilesAndTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("directory/app", "one")
	write("users.yaml", "app: two\nnumber: 3\n")
	write("userlist.txt", "\"app\" \"four\"\n\"none\" \"\"\n")
	write("password", "five")
	write("broken.yaml", "app: [1]\n")
	t.Setenv("WEIR_TEST_PASSWORD", "six")
	write("weir.yaml", least+`
  in-directory: directory
  in-yaml: users.yaml
  in-userlist: ./userlist.txt
  in-key: {app: {file: password}, other: {env: WEIR_TEST_PASSWORD}}
  broken: broken.yaml
`)
	f, err := Read(filepath.Join(dir, "weir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]map[string]string{
		"in-directory": {"app": "one"}, "in-yaml": {"app": "two", "number": "3"}, "in-userlist": {"app": "four"},
		"in-key": {"app": "five", "other": "six"}, "unknown": {},
	} {
		keys, err := f.Secret(name)
		got := map[string]string{}
		for key, value := range keys {
			got[key] = string(value)
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := f.Secret("broken"); err == nil || !strings.Contains(err.Error(), "broken.yaml:1: app: must be a text") {
		t.Errorf("broken: %v", err)
	}
}

// agent takes what it is pushed, until it fails.
type agent struct {
	configs []podapi.Config
	fails   error
}

func (a *agent) push(document []byte) (podapi.Applied, error) {
	var c podapi.Config
	if err := json.Unmarshal(document, &c); err != nil {
		return podapi.Applied{}, err
	}
	if a.fails == nil {
		a.configs = append(a.configs, c)
	}
	return podapi.Applied{}, a.fails
}

func TestAFollowerPushesWhatHasChangedAndMakesSense(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.yaml")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("listen: []\n")
	if _, err := Follow(path, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("it begins with nonsense")
	}
	write(least)
	f, err := Follow(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var a agent
	step := func(name string, always bool, pushed int, fails bool) {
		t.Helper()
		if err := f.Push(always, a.push); len(a.configs) != pushed || (err != nil) != fails {
			t.Fatalf("%s: pushed %d times, want %d: %v", name, len(a.configs), pushed, err)
		}
	}
	step("at the beginning", true, 1, false)
	step("nothing has changed", false, 1, false)
	step("nothing has changed, but it is asked for", true, 2, false)
	write(strings.Replace(least, "host: db", "host: other", 1))
	step("it has changed", false, 3, false)
	write("nonsense")
	step("it makes no sense", false, 3, true)
	step("it is not told twice", false, 3, false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	step("it is gone", false, 3, true)
	step("it is still gone", false, 3, false)
	write(strings.Replace(least, "app: one", "app: two", 1))
	a.fails = errors.New("no")
	step("the agent refuses it", false, 3, true)
	if users, _ := f.Secret("users"); string(users["app"]) != "one" {
		t.Errorf("what is served is of a file that was refused: %q", users)
	}
	a.fails = nil
	step("it is tried again", true, 4, false)
	for i, c := range a.configs {
		if c.Ledger != int64(i+1) {
			t.Errorf("push %d has ledger %d", i, c.Ledger)
		}
	}
	if host := a.configs[2].Destinations[0].Endpoints[0].Host; host != "other" {
		t.Errorf("the third push is of %s", host)
	}
}

// Whatever a file holds, reading it ends, and what is read is valid.
func FuzzParse(f *testing.F) {
	f.Add(least)
	f.Add("a: &a [*a]\n")
	f.Add("listen: \"*\"\ndestinations: [{name: a, limits: {maxOpen: -1}, postgresql: {console: {adminUsers: [a]}}}]\n")
	f.Add("x: &x {a: 1}\ny: [*x, *x, *x]\n")
	f.Fuzz(func(t *testing.T, document string) {
		if strings.Contains(document, "file") || strings.Contains(document, "/") {
			t.Skip("other files")
		}
		file, err := parse("weir.yaml", []byte(document))
		if invalid := new(Invalid); err != nil && (!errors.As(err, &invalid) || len(invalid.Faults) == 0) {
			t.Fatal(err)
		}
		if err == nil && len(file.Config(1).Destinations) == 0 {
			t.Fatal("it has no destination")
		}
	})
}
