package podapi

// Version is the format of Config and State that this package speaks.
const Version = 1

// Paths of the control port.
const (
	PathConfig = "/v1/config" // PUT a Config; answers Applied, 409 for one older than what runs, 422 for one that makes no sense
	PathState  = "/v1/state"  // GET answers State
)

// Parameters of PathState: a GET that has both is answered when State.News is another word than the one seen, or after that
// many seconds, MaxWaitSeconds at most.
const (
	ParamWait = "wait"
	ParamSeen = "seen"

	MaxWaitSeconds = 30
)

// MaxConfigBytes bounds a Config on the wire; a ConfigMap cannot hold more either.
const MaxConfigBytes = 1 << 20

// ConfigKey is the key of the Config in the pool's ConfigMap, and the name of its file in a pod.
const ConfigKey = "config.json"

// ProtocolPostgreSQL is the Protocol of a PostgreSQL destination.
const ProtocolPostgreSQL = "PostgreSQL"

// Pool modes of PostgreSQL.
const (
	PoolModeTransaction = "Transaction"
	PoolModeSession     = "Session"
	PoolModeStatement   = "Statement"
)

// Stop policies of a destination (Destination.StopPolicy, DestinationState.StopPolicy).
const (
	StopPolicyNone         = "None" // also the empty policy
	StopPolicyHold         = "Hold"
	StopPolicyHoldAndDrain = "HoldAndDrain"
)

// Target sessions of PostgreSQL.
const (
	TargetSessionAny       = "Any" // also the empty one
	TargetSessionReadWrite = "ReadWrite"
	TargetSessionReadOnly  = "ReadOnly"
)

// Modes of TLS towards clients (Listener.TLS) and towards servers (Destination.TLS).
const (
	ListenerTLSDisabled = "Disabled" // also the empty mode
	ListenerTLSOptional = "Optional"
	ListenerTLSRequired = "Required"
	ListenerTLSMutual   = "Mutual"

	ServerTLSDisable    = "Disable" // also the empty mode
	ServerTLSPrefer     = "Prefer"
	ServerTLSRequire    = "Require"
	ServerTLSVerifyCA   = "VerifyCA"
	ServerTLSVerifyFull = "VerifyFull"
)

// Methods of authentication of PostgreSQL's clients (Auth.Method).
const (
	AuthSCRAM       = "SCRAM" // also the empty method
	AuthMD5         = "MD5"
	AuthCertificate = "Certificate"
	AuthTrust       = "Trust"
)

// DefaultMaxPreparedStatements is how many prepared statements are kept on a server connection unless a Config says it.
const DefaultMaxPreparedStatements = 200

// Unlimited is the value of Share.MaxWaiting for no bound.
const Unlimited = -1

// Config is everything that the pods of one ConnectionPool need to know.
type Config struct {
	Version    int    `json:"version"`
	Pool       string `json:"pool"`          // namespace/name
	UID        string `json:"uid,omitempty"` // of the ConnectionPool; makes the salts that names without an account are shown
	Generation int64  `json:"generation"`    // of the ConnectionPool that this was rendered from
	Ledger     int64  `json:"ledger"`        // rises with every change of this document; at least 1

	ClientCA     string `json:"clientCA,omitempty"` // PEM; who presents a certificate of it may push and poll
	DrainSeconds int32  `json:"drainSeconds"`       // how long a leaving pod waits for its clients

	Listener     Listener      `json:"listener"`
	Destinations []Destination `json:"destinations"`

	// Peers are the pods of the pool, in order of UID: a pod passes a cancel request on to the one that holds the session.
	Peers []Peer `json:"peers,omitempty"`

	// Shares are the limits of each pod, by pod UID and destination name. A pod that is not named has none: its limit is 0.
	Shares map[string]map[string]Share `json:"shares,omitempty"`
}

// Peer is a pod of the pool.
type Peer struct {
	UID     string `json:"uid"`
	Address string `json:"address"` // IP
}

// Listener is how pods meet clients.
type Listener struct {
	TLS ListenerTLS `json:"tls"`
}

// ListenerTLS is how pods serve TLS to clients.
type ListenerTLS struct {
	Mode           string `json:"mode,omitempty"`
	Secret         string `json:"secret,omitempty"`         // with tls.crt and tls.key
	ClientCASecret string `json:"clientCASecret,omitempty"` // with ca.crt; for ListenerTLSMutual
}

// Destination is one database server behind the pool.
type Destination struct {
	Name       string      `json:"name"`
	Protocol   string      `json:"protocol"`
	Endpoints  []Endpoint  `json:"endpoints"` // tried in this order
	ListenPort int32       `json:"listenPort"`
	Limits     Limits      `json:"limits"`
	StopPolicy string      `json:"stopPolicy,omitempty"`
	TLS        ServerTLS   `json:"tls"`
	PostgreSQL *PostgreSQL `json:"postgresql,omitempty"`
}

// Endpoint is one address of a destination.
type Endpoint struct {
	Host string `json:"host"`
	Port int32  `json:"port"`
}

// Limits are the limits that every pod applies as they are; those that are divided between pods are in Share.
type Limits struct {
	IdleTimeoutSeconds         int32 `json:"idleTimeoutSeconds,omitempty"` // 0: idle connections are not closed for being idle
	MaxLifetimeSeconds         int32 `json:"maxLifetimeSeconds,omitempty"` // 0: no limit
	AcquireTimeoutMilliseconds int32 `json:"acquireTimeoutMilliseconds"`
	MaxClients                 int32 `json:"maxClients"` // per pod

	ConnectTimeoutSeconds           int32 `json:"connectTimeoutSeconds,omitempty"`           // 0: 10 s
	LoginTimeoutSeconds             int32 `json:"loginTimeoutSeconds,omitempty"`             // 0: 15 s
	ClientIdleTimeoutSeconds        int32 `json:"clientIdleTimeoutSeconds,omitempty"`        // 0: never
	IdleInTransactionTimeoutSeconds int32 `json:"idleInTransactionTimeoutSeconds,omitempty"` // 0: never
	QueryTimeoutSeconds             int32 `json:"queryTimeoutSeconds,omitempty"`             // 0: never
	TransactionTimeoutSeconds       int32 `json:"transactionTimeoutSeconds,omitempty"`       // 0: never
}

// ServerTLS is TLS towards a destination.
type ServerTLS struct {
	Mode              string `json:"mode,omitempty"`
	CASecret          string `json:"caSecret,omitempty"`          // with ca.crt; unset: the system's CAs
	CertificateSecret string `json:"certificateSecret,omitempty"` // with tls.crt and tls.key, shown to the server
}

// PostgreSQL is what only a PostgreSQL destination has.
type PostgreSQL struct {
	PoolMode              string     `json:"poolMode"`
	MaxPreparedStatements *int32     `json:"maxPreparedStatements,omitempty"` // for each server connection; 0: none by name; unset: DefaultMaxPreparedStatements
	TargetSession         string     `json:"targetSession,omitempty"`         // which endpoints will do
	Databases             []Database `json:"databases,omitempty"`             // none: every name, unchanged
	Auth                  Auth       `json:"auth"`
	Console               Console    `json:"console,omitzero"`
}

// Console says who may use the console, a database named weir or pgbouncer. If nobody may, there is none.
type Console struct {
	AdminUsers []string `json:"adminUsers,omitempty"` // may do everything
	StatsUsers []string `json:"statsUsers,omitempty"` // may look
}

// Database is a name that clients may ask for, and what it is called on the server.
type Database struct {
	Name   string `json:"name"`
	Target string `json:"target"`
}

// Auth says who may come in and how server connections log in.
type Auth struct {
	Method           string            `json:"method,omitempty"`
	UsersSecret      string            `json:"usersSecret,omitempty"`      // name -> passwords or verifiers, one a line; required for AuthSCRAM and AuthMD5 without Lookup
	CertificateUsers []CertificateUser `json:"certificateUsers,omitempty"` // for AuthCertificate; none: the common name is the user
	Lookup           *Lookup           `json:"lookup,omitempty"`           // for AuthSCRAM and AuthMD5
	ServerUserSecret string            `json:"serverUserSecret,omitempty"` // username and password for every server connection; unset: the client's own user
}

// Lookup finds the users that are not in the users' Secret with a query on the server.
type Lookup struct {
	UserSecret   string `json:"userSecret"`             // username and password of who asks
	Database     string `json:"database,omitempty"`     // the server's name of it; unset: DefaultLookupDatabase
	Query        string `json:"query,omitempty"`        // see postgres.Lookup; unset: DefaultLookupQuery
	CacheSeconds int32  `json:"cacheSeconds,omitempty"` // how long what was found counts; unset: DefaultLookupCacheSeconds
}

// What an unset field of Lookup means. The query needs a user that may read pg_authid.
const (
	DefaultLookupDatabase     = "postgres"
	DefaultLookupQuery        = "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname = $1 AND rolcanlogin"
	DefaultLookupCacheSeconds = 30
)

// CertificateUser is a user that the holder of a certificate may come in as.
type CertificateUser struct {
	CommonName string `json:"commonName"`
	User       string `json:"user"`
}

// Share is what one pod may use of one destination.
type Share struct {
	MaxOpen        int32 `json:"maxOpen"`
	MaxOpenPerUser int32 `json:"maxOpenPerUser,omitempty"` // 0: only MaxOpen bounds them
	MinIdle        int32 `json:"minIdle,omitempty"`
	MaxIdle        int32 `json:"maxIdle"`
	MaxWaiting     int32 `json:"maxWaiting"` // Unlimited for no bound; 0: a client that cannot be served at once is refused
}

// Applied answers a push.
type Applied struct {
	Generation int64 `json:"generation"`
	Ledger     int64 `json:"ledger"`
}
