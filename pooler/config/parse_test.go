package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weir-dev/weir/pooler/podapi"
)

// valid is a Config in which everything is right; tests change one thing.
func valid() podapi.Config {
	return podapi.Config{
		Version: podapi.Version, Pool: "shop/orders", Generation: 1, Ledger: 1, DrainSeconds: 60,
		Destinations: []podapi.Destination{{
			Name: "main", Protocol: podapi.ProtocolPostgreSQL, ListenPort: 5432,
			Endpoints: []podapi.Endpoint{{Host: "db.shop.svc", Port: 5432}},
			Limits:    podapi.Limits{AcquireTimeoutMilliseconds: 30000, MaxClients: 1000},
			PostgreSQL: &podapi.PostgreSQL{
				PoolMode: podapi.PoolModeTransaction,
				Auth:     podapi.Auth{UsersSecret: "orders-users"},
			},
		}},
		Shares: map[string]map[string]podapi.Share{"uid": {"main": {MaxOpen: 10, MaxIdle: 10, MaxWaiting: podapi.Unlimited}}},
	}
}

func document(t testing.TB, c podapi.Config) []byte {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAFaultNamesItsFieldAndSaysWhatIsAllowed(t *testing.T) {
	first := func(change func(*podapi.Destination)) func(*podapi.Config) {
		return func(c *podapi.Config) { change(&c.Destinations[0]) }
	}
	for want, change := range map[string]func(*podapi.Config){
		`pool: must be namespace/name, is "orders"`:                                       func(c *podapi.Config) { c.Pool = "orders" },
		`pool: must be namespace/name, is "shop/../orders"`:                               func(c *podapi.Config) { c.Pool = "shop/../orders" },
		`generation: must not be negative, is -1`:                                         func(c *podapi.Config) { c.Generation = -1 },
		`ledger: must be at least 1, is 0`:                                                func(c *podapi.Config) { c.Ledger = 0 },
		`drainSeconds: must be between 0 and 1073741824, is -1`:                           func(c *podapi.Config) { c.DrainSeconds = -1 },
		`clientCA: holds no certificate in PEM form`:                                      func(c *podapi.Config) { c.ClientCA = "not a certificate" },
		`listener.tls.mode: must be Disabled or Optional or Required or Mutual, is "Off"`: func(c *podapi.Config) { c.Listener.TLS.Mode = "Off" },
		`listener.tls.secret: must be the name of a Secret, is ""`:                        func(c *podapi.Config) { c.Listener.TLS.Mode = podapi.ListenerTLSRequired },
		`listener.tls.clientCASecret: must be the name of a Secret, is ""`: func(c *podapi.Config) {
			c.Listener.TLS = podapi.ListenerTLS{Mode: podapi.ListenerTLSMutual, Secret: "tls"}
		},
		`destinations: must be 1 to 32, are 0`:                                                       func(c *podapi.Config) { c.Destinations = nil },
		`destinations: must be 1 to 32, are 33`:                                                      func(c *podapi.Config) { c.Destinations = many(c.Destinations[0], 33) },
		`destinations[0].name: must be lower-case letters, digits and dashes, at most 63, is "Main"`: first(func(d *podapi.Destination) { d.Name = "Main" }),
		`destinations[1].name: "main" is already the name of another destination`: func(c *podapi.Config) {
			again := c.Destinations[0]
			again.ListenPort = 5433
			c.Destinations = append(c.Destinations, again)
		},
		`destinations[1].listenPort: 5432 is already the port of destination "main"`: func(c *podapi.Config) {
			again := c.Destinations[0]
			again.Name = "other"
			c.Destinations = append(c.Destinations, again)
		},
		`destinations[0].listenPort: must be between 1 and 65535, is 0`:                                     first(func(d *podapi.Destination) { d.ListenPort = 0 }),
		`destinations[0].endpoints: must be 1 to 16, are 0`:                                                 first(func(d *podapi.Destination) { d.Endpoints = nil }),
		`destinations[0].endpoints[0].host: must be a host name or an IP address, is "a b"`:                 first(func(d *podapi.Destination) { d.Endpoints = []podapi.Endpoint{{Host: "a b", Port: 1}} }),
		`destinations[0].endpoints[0].port: must be between 1 and 65535, is 70000`:                          first(func(d *podapi.Destination) { d.Endpoints = []podapi.Endpoint{{Host: "db", Port: 70000}} }),
		`destinations[0].limits.queryTimeoutSeconds: must be between 0 and 1073741824, is -1`:               first(func(d *podapi.Destination) { d.Limits.QueryTimeoutSeconds = -1 }),
		`destinations[0].limits.acquireTimeoutMilliseconds: must be between 1 and 2147483647, is 0`:         first(func(d *podapi.Destination) { d.Limits.AcquireTimeoutMilliseconds = 0 }),
		`destinations[0].limits.maxClients: must be between 1 and 1048576, is 0`:                            first(func(d *podapi.Destination) { d.Limits.MaxClients = 0 }),
		`destinations[0].limits.idleTimeoutSeconds: must be between 0 and 1073741824, is -1`:                first(func(d *podapi.Destination) { d.Limits.IdleTimeoutSeconds = -1 }),
		`destinations[0].limits.maxLifetimeSeconds: must be between 0 and 1073741824, is -1`:                first(func(d *podapi.Destination) { d.Limits.MaxLifetimeSeconds = -1 }),
		`destinations[0].stopPolicy: must be None or Hold or HoldAndDrain, is "Pause"`:                      first(func(d *podapi.Destination) { d.StopPolicy = "Pause" }),
		`destinations[0].tls.mode: must be Disable or Prefer or Require or VerifyCA or VerifyFull, is "on"`: first(func(d *podapi.Destination) { d.TLS.Mode = "on" }),
		`destinations[0].tls.caSecret: must be the name of a Secret, is "../../etc"`:                        first(func(d *podapi.Destination) { d.TLS.CASecret = "../../etc" }),
		`destinations[0].tls.certificateSecret: must be the name of a Secret, is "a/b"`:                     first(func(d *podapi.Destination) { d.TLS.CertificateSecret = "a/b" }),
		`destinations[0].protocol: must be PostgreSQL, is "Gopher"`:                                         first(func(d *podapi.Destination) { d.Protocol = "Gopher" }),
		`destinations[0].postgresql: is missing: a destination of protocol PostgreSQL needs it`:             first(func(d *podapi.Destination) { d.PostgreSQL = nil }),
		`destinations[0].postgresql.maxPreparedStatements: must be between 0 and 1048576, is -1`:            first(func(d *podapi.Destination) { d.PostgreSQL.MaxPreparedStatements = new(int32(-1)) }),
		`destinations[0].postgresql.poolMode: must be Transaction or Session or Statement, is ""`:           first(func(d *podapi.Destination) { d.PostgreSQL.PoolMode = "" }),
		`destinations[0].postgresql.targetSession: must be Any or ReadWrite or ReadOnly, is "primary"`:      first(func(d *podapi.Destination) { d.PostgreSQL.TargetSession = "primary" }),
		`destinations[0].postgresql.auth.usersSecret: must be the name of a Secret, is ".."`:                first(func(d *podapi.Destination) { d.PostgreSQL.Auth.UsersSecret = ".." }),
		`destinations[0].postgresql.auth.serverUserSecret: must be the name of a Secret, is "."`:            first(func(d *podapi.Destination) { d.PostgreSQL.Auth.ServerUserSecret = "." }),
		`destinations[0].postgresql.auth.method: must be SCRAM or MD5 or Certificate or Trust, is "Peer"`:   first(func(d *podapi.Destination) { d.PostgreSQL.Auth.Method = "Peer" }),
		`destinations[0].postgresql.auth.lookup.userSecret: must be the name of a Secret, is ""`: first(func(d *podapi.Destination) {
			d.PostgreSQL.Auth = podapi.Auth{Lookup: &podapi.Lookup{}}
		}),
		`destinations[0].postgresql.auth.lookup.query: must have the user's name as its parameter $1, and be at most 4096 bytes without a zero byte`: first(func(d *podapi.Destination) {
			d.PostgreSQL.Auth.Lookup = &podapi.Lookup{UserSecret: "it", Query: "SELECT 1"}
		}),
		`destinations[0].postgresql.auth.lookup.cacheSeconds: must be between 0 and 1073741824, is -1`: first(func(d *podapi.Destination) {
			d.PostgreSQL.Auth.Lookup = &podapi.Lookup{UserSecret: "it", CacheSeconds: -1}
		}),
		`destinations[0].postgresql.auth.certificateUsers[1].user: must be 1 to 128 bytes without a zero byte`: first(func(d *podapi.Destination) {
			d.PostgreSQL.Auth.CertificateUsers = []podapi.CertificateUser{{CommonName: "a", User: "x"}, {CommonName: "a"}}
		}),
		`destinations[0].postgresql.databases[0].name: must be 1 to 128 bytes without a zero byte`: first(func(d *podapi.Destination) {
			d.PostgreSQL.Databases = []podapi.Database{{}}
		}),
		`destinations[0].postgresql.databases[0].target: must be at most 128 bytes without a zero byte`: first(func(d *podapi.Destination) {
			d.PostgreSQL.Databases = []podapi.Database{{Name: "a", Target: "b\x00"}}
		}),
		`destinations[0].postgresql.databases[1].name: "a" is already the name of another database`: first(func(d *podapi.Destination) {
			d.PostgreSQL.Databases = []podapi.Database{{Name: "a"}, {Name: "a"}}
		}),
		`destinations[0].postgresql.console: names of users must be 1 to 128 bytes without a zero byte`: first(func(d *podapi.Destination) {
			d.PostgreSQL.Console.AdminUsers = []string{""}
		}),
		`destinations[0].postgresql.console: must name at most 128 users`: first(func(d *podapi.Destination) {
			d.PostgreSQL.Console.StatsUsers = slices.Repeat([]string{"a"}, 129)
		}),
		`destinations[0].postgresql.console: the console is called "weir", which is a database, too`: first(func(d *podapi.Destination) {
			d.PostgreSQL.Databases = []podapi.Database{{Name: "weir"}}
			d.PostgreSQL.Console.StatsUsers = []string{"a"}
		}),
		`peers[0].address: must be an IP address, is "db"`: func(c *podapi.Config) {
			c.Peers = []podapi.Peer{{UID: "a", Address: "db"}}
		},
		`peers[1].uid: must be 1 to 128 bytes`: func(c *podapi.Config) {
			c.Peers = []podapi.Peer{{UID: "a", Address: "10.0.0.1"}, {Address: "2001:db8::1"}}
		},
		`shares["uid"]["main"].maxOpen: must be between 0 and 1048576, is -1`: func(c *podapi.Config) {
			c.Shares["uid"]["main"] = podapi.Share{MaxOpen: -1}
		},
		`shares["uid"]["main"].maxOpenPerUser: must be between 0 and 1048576, is -1`: func(c *podapi.Config) {
			c.Shares["uid"]["main"] = podapi.Share{MaxOpenPerUser: -1}
		},
		`shares["uid"]["main"].maxWaiting: must be between -1 and 2147483647, is -2`: func(c *podapi.Config) {
			c.Shares["uid"]["main"] = podapi.Share{MaxWaiting: -2}
		},
	} {
		t.Run(want, func(t *testing.T) {
			c := valid()
			change(&c)
			_, err := Parse(document(t, c))
			if err == nil || err.Error() != "invalid configuration: "+want {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// many are n copies of a destination that differ in name and port.
func many(d podapi.Destination, n int) (all []podapi.Destination) {
	for i := range n {
		d.Name, d.ListenPort = fmt.Sprint("d", i), int32(6000+i)
		all = append(all, d)
	}
	return all
}

func TestWhatIsNotOfThisFormatIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ document, want string }{
		"not JSON":        {"{", "it is not a JSON document of this format"},
		"another type":    {`{"version":1,"ledger":"seven"}`, "it is not a JSON document of this format"},
		"no version":      {`{}`, "version: is missing; this pooler speaks version 1"},
		"another version": {`{"version":2,"ledger":"seven"}`, "version: is 2, but this pooler speaks version 1"},
		"too large":       {strings.Repeat(" ", podapi.MaxConfigBytes+1), "it has 1048577 bytes: at most 1048576 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(test.document))
			if _, ok := errors.AsType[*Invalid](err); !ok || !strings.HasPrefix(err.Error(), "invalid configuration: "+test.want) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestWhatANewerOperatorAddsIsIgnored(t *testing.T) {
	text := strings.Replace(string(document(t, valid())), `"version":1`, `"version":1,"later":{"a":[1]}`, 1)
	text = strings.Replace(text, `"poolMode":`, `"alsoLater":7,"poolMode":`, 1)
	c, err := Parse([]byte(text))
	if err != nil || c.Destinations[0].Name != "main" {
		t.Fatalf("%v", err)
	}
}

func TestAllFaultsAreToldTogetherUpToABound(t *testing.T) {
	c := valid()
	c.Destinations = many(c.Destinations[0], 20)
	for i := range c.Destinations {
		c.Destinations[i].Endpoints = nil
	}
	_, err := Parse(document(t, c))
	if err == nil || strings.Count(err.Error(), "endpoints: must be") != maxFaults || !strings.HasSuffix(err.Error(), "; and 10 more") {
		t.Fatalf("got %v", err)
	}
}

func TestAFaultIsShortHoweverLongTheFieldIs(t *testing.T) {
	c := valid()
	c.Pool = strings.Repeat("x", 100_000)
	if _, err := Parse(document(t, c)); err == nil || len(err.Error()) > 300 {
		t.Fatalf("%d bytes", len(err.Error()))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(document(f, valid()))
	f.Add([]byte(`{"version":1,"pool":"a/b","ledger":1,"destinations":[{"name":"a","protocol":"PostgreSQL"}]}`))
	f.Add([]byte(`{"version":1,"destinations":[null],"shares":{"":{"":null}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			if _, ok := errors.AsType[*Invalid](err); !ok {
				t.Fatalf("%T is not an *Invalid", err)
			}
			return
		}
		again, err := Parse(document(t, c))
		if err != nil || again.Ledger != c.Ledger || len(again.Destinations) != len(c.Destinations) {
			t.Fatalf("what was accepted is not accepted again: %v", err)
		}
		for _, name := range SecretNames(c) {
			if strings.ContainsAny(name, "/\\\x00") || strings.Contains(name, "..") {
				t.Fatalf("%q leaves its directory", name)
			}
		}
	})
}
