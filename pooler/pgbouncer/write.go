package pgbouncer

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tree is a mapping in its order: keys and values in turns. Values that are nil are left out.
func tree(pairs ...any) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(pairs); i += 2 {
		if value := valueOf(pairs[i+1]); value != nil {
			node.Content = append(node.Content, valueOf(pairs[i]), value)
		}
	}
	if len(node.Content) == 0 {
		return nil
	}
	return node
}

func list(items []*yaml.Node) *yaml.Node {
	if len(items) == 0 {
		return nil
	}
	return &yaml.Node{Kind: yaml.SequenceNode, Content: items}
}

func valueOf(v any) *yaml.Node {
	switch v := v.(type) {
	case *yaml.Node:
		return v
	case string:
		if v == "" {
			return nil
		}
		node := &yaml.Node{}
		node.SetString(v)
		return node
	case int:
		if v == 0 {
			return nil
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case []string:
		var items []*yaml.Node
		for _, one := range v {
			items = append(items, valueOf(one))
		}
		return list(items)
	}
	return nil
}

func write(w io.Writer, documents ...*yaml.Node) error {
	out := yaml.NewEncoder(w)
	out.SetIndent(2)
	for _, document := range documents {
		if err := out.Encode(document); err != nil {
			return err
		}
	}
	return out.Close()
}

// WriteFile writes a file for a pooler without an operator.
func (t *Translation) WriteFile(w io.Writer) error {
	var destinations []*yaml.Node
	secrets := tree("users", t.usersFile)
	if secrets == nil {
		secrets = &yaml.Node{Kind: yaml.MappingNode}
	}
	add := func(name string, content *yaml.Node) {
		if content != nil {
			secrets.Content = append(secrets.Content, valueOf(name), content)
		}
	}
	for _, d := range t.destinations {
		var forced string
		if d.forced != "" {
			forced = forcedSecret + "-" + d.name
			add(forced, tree("username", d.forced, "password", tree("env", variable(d.forced))))
		}
		destinations = append(destinations, t.destination(d, func(use string) (string, any) {
			switch use {
			case "users":
				return "usersSecret", use0(t.usersFile+t.needed(), "users")
			case "lookup":
				return "userSecret", lookupSecret
			case "serverUser":
				return "serverUserSecret", forced
			case "ca":
				return "caSecret", use0(t.from.value("server_tls_ca_file", ""), "server-ca")
			}
			return "certificateSecret", use0(t.from.value("server_tls_cert_file", ""), "server-certificate")
		}))
	}
	if t.lookup.user != "" {
		add(lookupSecret, tree("username", t.lookup.user, "password", tree("env", variable(t.lookup.user))))
	}
	file := func(path string) *yaml.Node { return tree("file", path) }
	add("listener", tree("tls.crt", file(t.tls.cert), "tls.key", file(t.tls.key)))
	add("client-ca", tree("ca.crt", file(t.tls.ca)))
	add("server-ca", tree("ca.crt", file(t.from.value("server_tls_ca_file", ""))))
	add("server-certificate", tree("tls.crt", file(t.from.value("server_tls_cert_file", "")), "tls.key", file(t.from.value("server_tls_key_file", ""))))
	if len(secrets.Content) == 0 {
		secrets = nil
	}
	return write(w, tree(
		"listen", t.listen,
		"listener", t.listener("secret", "clientCASecret", func(name string) any { return name }),
		"destinations", list(destinations),
		"secrets", secrets,
	))
}

const lookupSecret = "lookup-user"

// needed says something if users must be named.
func (t *Translation) needed() string {
	if t.lookup.user == "" && t.method != "Trust" && t.method != "Certificate" {
		return "yes"
	}
	return ""
}

func use0(file, name string) any {
	if file == "" {
		return nil
	}
	return name
}

// WriteConnectionPool writes a ConnectionPool of that name. The Secrets that it names are to be made.
func (t *Translation) WriteConnectionPool(w io.Writer, name string) error {
	reference := func(secret string) any { return tree("name", name+"-"+secret) }
	var destinations []*yaml.Node
	for _, d := range t.destinations {
		destinations = append(destinations, t.destination(d, func(use string) (string, any) {
			switch use {
			case "users":
				if t.usersFile+t.needed() == "" {
					return "usersSecretRef", nil
				}
				return "usersSecretRef", reference("users")
			case "lookup":
				return "userSecretRef", reference(lookupSecret)
			case "serverUser":
				if d.forced == "" {
					return "serverUserSecretRef", nil
				}
				return "serverUserSecretRef", reference(forcedSecret + "-" + d.name)
			case "ca":
				if t.from.value("server_tls_ca_file", "") == "" {
					return "caSecretRef", nil
				}
				return "caSecretRef", reference("server-ca")
			}
			if t.from.value("server_tls_cert_file", "") == "" {
				return "certificateSecretRef", nil
			}
			return "certificateSecretRef", reference("server-certificate")
		}))
	}
	pool := tree(
		"apiVersion", "weir.dev/v1alpha1",
		"kind", "ConnectionPool",
		"metadata", tree("name", name),
		"spec", tree(
			"listener", t.listener("secretRef", "clientCASecretRef", reference),
			"destinations", list(destinations),
		),
	)
	pool.HeadComment = t.secretsToMake(name)
	return write(w, pool)
}

// secretsToMake says how to make the Secrets that the pool names.
func (t *Translation) secretsToMake(name string) string {
	var lines []string
	if t.usersFile+t.needed() != "" {
		lines = append(lines, fmt.Sprintf("Make a Secret %s-users with a key for each user of auth_file, its value the password or verifier.", name))
	}
	for _, d := range t.destinations {
		if d.forced != "" {
			lines = append(lines, fmt.Sprintf("Make a Secret %s-%s-%s with the keys username (%s) and password.", name, forcedSecret, d.name, d.forced))
		}
	}
	if t.lookup.user != "" {
		lines = append(lines, fmt.Sprintf("Make a Secret %s-%s with the keys username (%s) and password.", name, lookupSecret, t.lookup.user))
	}
	for _, s := range []struct{ file, secret, keys string }{
		{t.tls.cert, "listener", "tls.crt and tls.key"}, {t.tls.ca, "client-ca", "ca.crt"},
		{t.from.value("server_tls_ca_file", ""), "server-ca", "ca.crt"},
		{t.from.value("server_tls_cert_file", ""), "server-certificate", "tls.crt and tls.key"},
	} {
		if s.file != "" {
			lines = append(lines, fmt.Sprintf("Make a Secret %s-%s with %s out of %s.", name, s.secret, s.keys, s.file))
		}
	}
	return strings.Join(lines, "\n")
}

// listener is TLS towards clients; secret and ca are what the fields are called.
func (t *Translation) listener(secret, ca string, name func(string) any) *yaml.Node {
	if t.tls.mode == "" {
		return nil
	}
	var authority any
	if t.tls.mode == "Mutual" {
		authority = name("client-ca")
	}
	return tree("tls", tree("mode", t.tls.mode, secret, name("listener"), ca, authority))
}

// destination is the same in a file and a ConnectionPool, but for how Secrets are named.
func (t *Translation) destination(d *destination, secret func(use string) (field string, name any)) *yaml.Node {
	var endpoints, databases []*yaml.Node
	for _, e := range d.endpoints {
		endpoints = append(endpoints, tree("host", e.host, "port", e.port))
	}
	for _, one := range d.databases {
		target := one.target
		if target == one.name {
			target = ""
		}
		databases = append(databases, tree("name", one.name, "target", target))
	}
	pair := func(uses ...string) (pairs []any) {
		for _, use := range uses {
			field, name := secret(use)
			pairs = append(pairs, field, name)
		}
		return pairs
	}
	return tree(
		"name", d.name,
		"protocol", "PostgreSQL",
		"listenPort", d.port,
		"endpoints", list(endpoints),
		"tls", tree(append([]any{"mode", t.serverMode()}, pair("ca", "certificate")...)...),
		"limits", t.limits(d),
		"postgresql", tree(
			"poolMode", poolMode(d.poolMode),
			"maxPreparedStatements", t.prepared(),
			"databases", list(databases),
			"auth", tree(append([]any{"method", t.method, "lookup", t.lookupTree(pair)}, pair("users", "serverUser")...)...),
			"console", tree("adminUsers", t.console[0], "statsUsers", t.console[1]),
		),
	)
}

// lookupTree is nil if nobody is looked up.
func (t *Translation) lookupTree(pair func(...string) []any) *yaml.Node {
	if t.lookup.user == "" {
		return nil
	}
	return tree(append(pair("lookup"), "database", t.lookup.database, "query", t.lookup.query)...)
}

// prepared is how many prepared statements are kept, if that was said; 0 is told, too.
func (t *Translation) prepared() *yaml.Node {
	if _, set := t.from.setting("max_prepared_statements"); !set {
		return nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(t.number("max_prepared_statements", 200))}
}

func (t *Translation) serverMode() string {
	return map[string]string{
		"disable": "Disable", "allow": "Prefer", "prefer": "Prefer", "require": "Require", "verify-ca": "VerifyCA", "verify-full": "VerifyFull",
	}[t.from.value("server_tls_sslmode", "prefer")]
}

func poolMode(mode string) string {
	return map[string]string{"session": "Session", "transaction": "Transaction", "statement": "Statement"}[mode]
}

func (t *Translation) limits(d *destination) *yaml.Node {
	wait := t.seconds("query_wait_timeout", 120)
	if wait == 0 {
		wait = longestWait
	}
	bounded := func(name string, unset int) int { return min(t.seconds(name, unset), maxSeconds) }
	return tree(
		"maxOpen", d.maxOpen,
		"maxOpenPerUser", d.perUser,
		"minIdle", d.minIdle,
		"idleTimeoutSeconds", bounded("server_idle_timeout", 600),
		"maxLifetimeSeconds", min(d.lifetime, maxSeconds),
		"acquireTimeoutMilliseconds", min(wait, longestWait)*1000,
		"maxClients", min(t.number("max_client_conn", 100), maxClients),
		"connectTimeoutSeconds", min(max(1, t.seconds("server_connect_timeout", 15)), 600),
		"loginTimeoutSeconds", min(max(1, t.seconds("client_login_timeout", 60)), 600),
		"clientIdleTimeoutSeconds", bounded("client_idle_timeout", 0),
		"idleInTransactionTimeoutSeconds", bounded("idle_transaction_timeout", 0),
		"queryTimeoutSeconds", bounded("query_timeout", 0),
		"transactionTimeoutSeconds", bounded("transaction_timeout", 0),
	)
}
