package postgres

import (
	"crypto/tls"
	"time"
)

// PoolMode says for how long a client keeps a server connection.
type PoolMode int

// Pool modes.
const (
	Transaction PoolMode = iota // until ReadyForQuery says idle
	Session                     // until the client leaves
	Statement                   // as Transaction, and no transaction is longer than a message, or the messages up to a Sync
)

// Config says how one PostgreSQL destination is served. It can be replaced while the Engine runs, see Engine.Apply.
type Config struct {
	Name      string     // of the destination, for metrics and logs
	Endpoints []Endpoint // tried in order

	TargetSession TargetSession
	ServerTLS     ServerTLS
	ClientTLS     ClientTLS

	PoolMode PoolMode
	// MaxPreparedStatements is how many prepared statements are kept on a server connection in transaction mode. 0 refuses
	// statements with names.
	MaxPreparedStatements int
	Databases             map[string]string // client's name -> server's name; nil: every name, unchanged

	Auth       Auth
	Users      map[string]Passwords // who may come in
	Console    Console
	ServerUser *Login // every server connection logs in as this user; nil: as the client's user
	Salt       []byte // makes the salts that names without an account are shown; the same in all pods; nil: drawn

	Limits     Limits
	Timeouts   Timeouts
	StopPolicy StopPolicy

	Peers []Peer // the pods that serve the destination; this one may be among them
}

// Console says who may ask and command the console, which is reached as a database named weir or pgbouncer. If nobody may,
// these names are those of databases.
type Console struct {
	Admins []string // may do everything
	Stats  []string // may SHOW
}

// Endpoint is an address of the server.
type Endpoint struct {
	Host string
	Port int
}

// Limits bound one destination in this process.
type Limits struct {
	MaxOpen        int           // 0: nothing is opened, clients wait
	MaxOpenPerUser int           // of one user of the server, whatever the database; 0: only MaxOpen bounds them
	MinIdle        int           // kept idle for the login that Engine.Probe uses
	MaxIdle        int           // 0: keep none
	MaxWaiting     int           // 0: refuse at once; < 0: no limit
	MaxClients     int           // clients connected, logins included
	IdleTimeout    time.Duration // 0: never
	MaxLifetime    time.Duration // 0: never
	AcquireTimeout time.Duration // how long a client waits for a server connection
}

// Timeouts bound how long something may take. They are kept to within a quarter of their length, and two seconds.
type Timeouts struct {
	Connect time.Duration // to open a server connection, its login included; 0: 10 s
	Login   time.Duration // from a client's connection to the proof of its password; 0: 15 s

	ClientIdle        time.Duration // between two transactions of a client; 0: never
	IdleInTransaction time.Duration // between two messages of a client within a transaction; 0: never
	Query             time.Duration // a statement, or a pipeline whose replies the server keeps back until its end; 0: never
	Transaction       time.Duration // a transaction; 0: never
}

// Passwords are what one user may log in with, the newest first: clear passwords, verifiers as PostgreSQL stores them
// (SCRAM-SHA-256$iterations:salt$stored:server), or md5 hashes. At most login.MaxPasswords; verifiers must have the same
// salt and iteration count.
//
// A clear password also logs in to the server. With a verifier the client's own login does, as long as it is the server's
// own verifier; with an md5 hash, where the server asks for md5.
type Passwords []string

// Login is a user of the server. Without passwords the server must not ask for one.
type Login struct {
	User      string
	Passwords Passwords
}

// Auth says how clients prove who they are.
type Auth struct {
	Method           AuthMethod
	CertificateUsers []CertificateUser // for AuthCertificate; nil: the certificate's common name is the user
	Lookup           *Lookup           // finds users that are not in Config.Users; nil: there are no others
}

// Lookup asks the server for the passwords of users.
type Lookup struct {
	Login    Login  // who asks
	Database string // the server's name of it
	// Query has the user's name as its parameter $1 and yields no row, or the name and the password as it is stored, or the
	// password alone.
	Query string
	Age   time.Duration // how long what was found counts, above zero
}

// AuthMethod is what a client has to prove.
type AuthMethod int

// Methods of authentication, called as in PostgreSQL's pg_hba.conf.
const (
	AuthSCRAM       AuthMethod = iota // a password, by SCRAM-SHA-256; bound to the TLS connection if the client can
	AuthMD5                           // a password, by SCRAM-SHA-256 if a verifier is stored, otherwise by md5
	AuthCertificate                   // its certificate, in its common name; for TLSMutual
	AuthTrust                         // nothing
)

// CertificateUser is a user that the holder of a certificate may come in as.
type CertificateUser struct{ CommonName, User string }

// TLSMode towards the server, as in libpq's sslmode.
type TLSMode int

// Modes of TLS towards the server.
const (
	Disable TLSMode = iota
	Prefer
	Require
	VerifyCA
	VerifyFull
)

// ServerTLS is TLS towards the server.
type ServerTLS struct {
	Mode   TLSMode
	Config *tls.Config // roots and client certificate; the engine sets names and how much is verified from Mode
}

// ClientTLSPolicy says which clients are let in.
type ClientTLSPolicy int

// Policies of TLS towards clients.
const (
	TLSDisabled ClientTLSPolicy = iota // SSLRequest is answered with N
	TLSOptional
	TLSRequired
	TLSMutual // required, with a certificate that Config verifies
)

// ClientTLS is TLS towards clients.
type ClientTLS struct {
	Policy ClientTLSPolicy
	Config *tls.Config // with GetCertificate, so that certificates can change; nil for TLSDisabled
}
