package standalone

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/weir-dev/weir/pooler/podapi"
)

// What an unset field means, as in a ConnectionPool.
const (
	DefaultHealth       = "127.0.0.1:9901"
	defaultListen       = "127.0.0.1"
	defaultListenPort   = 6432
	defaultServerPort   = 5432
	defaultMaxOpen      = 20
	defaultPatience     = 30_000
	defaultMaxClients   = 10_000
	defaultDrainSeconds = 60
	defaultUsers        = "users"
)

// MaxBytes bounds the file, in bytes.
const MaxBytes = podapi.MaxConfigBytes

// File is what one file says.
type File struct {
	Listen       string            `json:"listen"`       // address at which clients are served; "*": all; unset: 127.0.0.1
	Health       string            `json:"health"`       // address of health and metrics; unset: DefaultHealth
	DrainSeconds *int32            `json:"drainSeconds"` // how long clients get to leave at the end; unset: 60
	Listener     podapi.Listener   `json:"listener"`
	Destinations []Destination     `json:"destinations"`
	Secrets      map[string]Secret `json:"secrets"`

	directory string // that relative paths start from
}

// Destination is one database server. It has the fields of podapi.Destination.
type Destination struct {
	podapi.Destination
	Limits Limits `json:"limits"`
}

// Limits are those of a podapi.Destination, and of the share that a pod would have.
type Limits struct {
	podapi.Limits
	MaxOpen        *int32 `json:"maxOpen"`        // unset: 20
	MaxOpenPerUser int32  `json:"maxOpenPerUser"` // unset: only maxOpen bounds them
	MinIdle        int32  `json:"minIdle"`        // unset: none
	MaxIdle        *int32 `json:"maxIdle"`        // unset: maxOpen
	MaxWaiting     *int32 `json:"maxWaiting"`     // unset: no limit but maxClients
}

// Secret is what a Secret is in Kubernetes: either in a file or directory, or written out.
type Secret struct {
	Path string           // of a directory with a file for each key, of a YAML file, or of a userlist.txt of PgBouncer
	Keys map[string]Value // of them one may be a Path's key, too; then it counts
}

// Value is one key of a Secret: a text, a file that holds it, or a variable of the environment.
type Value struct {
	Text string
	File string
	Env  string
}

// fill replaces what is unset.
func (f *File) fill() {
	set(&f.Listen, defaultListen)
	set(&f.Health, DefaultHealth)
	if f.DrainSeconds == nil {
		f.DrainSeconds = new(int32(defaultDrainSeconds))
	}
	_, users := f.Secrets[defaultUsers]
	for i := range f.Destinations {
		f.Destinations[i].fill(users)
	}
}

// fill is told whether there is a Secret of users that is meant when none is named.
func (d *Destination) fill(users bool) {
	set(&d.Protocol, podapi.ProtocolPostgreSQL)
	set(&d.ListenPort, defaultListenPort)
	set(&d.TLS.Mode, podapi.ServerTLSPrefer)
	for i := range d.Endpoints {
		set(&d.Endpoints[i].Port, defaultServerPort)
	}
	if d.PostgreSQL == nil {
		d.PostgreSQL = &podapi.PostgreSQL{}
	}
	set(&d.PostgreSQL.PoolMode, podapi.PoolModeTransaction)
	auth := &d.PostgreSQL.Auth
	if needless := auth.Method == podapi.AuthCertificate || auth.Method == podapi.AuthTrust || auth.Lookup != nil; users || !needless {
		set(&auth.UsersSecret, defaultUsers)
	}
	l := &d.Limits
	set(&l.AcquireTimeoutMilliseconds, defaultPatience)
	set(&l.MaxClients, defaultMaxClients)
	if l.MaxOpen == nil {
		l.MaxOpen = new(int32(defaultMaxOpen))
	}
	if l.MaxIdle == nil {
		l.MaxIdle = l.MaxOpen
	}
	if l.MaxWaiting == nil {
		l.MaxWaiting = new(int32(podapi.Unlimited))
	}
}

func set[T comparable](field *T, unset T) {
	var zero T
	if *field == zero {
		*field = unset
	}
}

// ListenHost is the address at which clients are served; empty: all.
func (f *File) ListenHost() string {
	if f.Listen == "*" {
		return ""
	}
	return f.Listen
}

// pod is the name under which this process finds its share.
const pod = "standalone"

// Config is what the operator would push, as the change of that number.
func (f *File) Config(ledger int64) podapi.Config {
	c := podapi.Config{
		Version: podapi.Version, Pool: "standalone/weir", Generation: ledger, Ledger: ledger, DrainSeconds: *f.DrainSeconds,
		Listener: f.Listener, Shares: map[string]map[string]podapi.Share{pod: {}},
	}
	for _, d := range f.Destinations {
		out := d.Destination
		out.Limits = d.Limits.Limits
		c.Destinations = append(c.Destinations, out)
		c.Shares[pod][d.Name] = podapi.Share{
			MaxOpen: *d.Limits.MaxOpen, MaxOpenPerUser: d.Limits.MaxOpenPerUser,
			MinIdle: d.Limits.MinIdle, MaxIdle: *d.Limits.MaxIdle, MaxWaiting: *d.Limits.MaxWaiting,
		}
	}
	return c
}

// PodUID is how the agent is to be called so that it finds its share.
func PodUID() string { return pod }

// Secret returns the keys of a Secret, read now. It is a secrets.Source.
func (f *File) Secret(name string) (map[string][]byte, error) {
	s, known := f.Secrets[name]
	if !known {
		return nil, nil
	}
	content := map[string][]byte{}
	if s.Path != "" {
		var err error
		if content, err = readSecret(f.path(s.Path)); err != nil {
			return nil, err
		}
	}
	for key, v := range s.Keys {
		value, err := v.read(f)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		content[key] = value
	}
	return content, nil
}

func (f *File) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(f.directory, p)
}

func (v Value) read(f *File) ([]byte, error) {
	switch {
	case v.File != "":
		return readBounded(f.path(v.File))
	case v.Env != "":
		text, set := os.LookupEnv(v.Env)
		if !set {
			return nil, fmt.Errorf("the environment has no variable %s", v.Env)
		}
		return []byte(text), nil
	}
	return []byte(v.Text), nil
}
