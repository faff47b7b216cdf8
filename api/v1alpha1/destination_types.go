package v1alpha1

// Destination is a database behind the pool.
// +kubebuilder:validation:XValidation:rule="self.protocol == oldSelf.protocol",message="protocol is immutable; add a destination under a new name instead"
// +kubebuilder:validation:XValidation:rule="self.protocol != 'PostgreSQL' || has(self.postgresql)",message="postgresql is required when protocol is PostgreSQL"
// +kubebuilder:validation:XValidation:rule="!has(self.postgresql) || has(self.postgresql.auth.usersSecretRef) || has(self.postgresql.auth.lookup) || has(self.postgresql.auth.serverUserSecretRef) || (has(self.tls) && has(self.tls.certificateSecretRef))",message="nothing is known that could log in to the database: set auth.serverUserSecretRef, auth.usersSecretRef or tls.certificateSecretRef"
type Destination struct {
	// name identifies the destination in the pool; it is also the name of its port in the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// protocol is what clients and the database speak. It is immutable.
	// +required
	Protocol Protocol `json:"protocol,omitempty"`

	// endpoints are the addresses of the database, in order of preference.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Endpoints []Endpoint `json:"endpoints,omitempty"`

	// listenPort is the port on which clients reach the destination, in the pods and in the Service. Unset means 5432.
	// Pods run without privileges: it is at least 1024. They use 9901 and 9902 themselves.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=65535
	// +kubebuilder:validation:XValidation:rule="self != 9901 && self != 9902",message="listenPort must not be 9901 or 9902: the pods use them for health and control"
	ListenPort int32 `json:"listenPort,omitempty"`

	// limits bound what the pool may use of the destination.
	// +optional
	Limits Limits `json:"limits,omitempty,omitzero"`

	// stopPolicy keeps clients from the database for a maintenance: None lends connections, Hold lets transactions that
	// run come to their end and makes clients that begin one wait, and HoldAndDrain closes the connections, too. Their
	// time on hold does not count as a wait, for up to an hour. The condition Held says when nothing runs any more.
	// Unset means None.
	// +optional
	StopPolicy StopPolicy `json:"stopPolicy,omitempty"`

	// tls is TLS towards the database. Unset means mode Prefer.
	// +optional
	TLS ServerTLS `json:"tls,omitempty,omitzero"`

	// postgresql is what only a PostgreSQL destination has.
	// +optional
	PostgreSQL PostgreSQL `json:"postgresql,omitempty,omitzero"`
}

// Protocol is what clients and a database speak.
// +kubebuilder:validation:Enum=PostgreSQL
type Protocol string

// StopPolicy says whether clients are kept from a database.
// +kubebuilder:validation:Enum=None;Hold;HoldAndDrain
type StopPolicy string

// Stop policies.
const (
	StopPolicyNone         StopPolicy = "None"
	StopPolicyHold         StopPolicy = "Hold"
	StopPolicyHoldAndDrain StopPolicy = "HoldAndDrain"
)

// ProtocolPostgreSQL is PostgreSQL's protocol, version 3.
const ProtocolPostgreSQL Protocol = "PostgreSQL"

// Endpoint is an address of a database.
type Endpoint struct {
	// host is a DNS name or an IP address.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.:-]+$`
	Host string `json:"host,omitempty"`

	// port is the TCP port. Unset means 5432.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// Limits bound what the whole pool may use of one destination, summed over its pods, whatever their number.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.maxIdle) || self.maxIdle <= (has(self.maxOpen) ? self.maxOpen : 20)",message="maxIdle must not be above maxOpen, which is 20 when unset"
// +kubebuilder:validation:XValidation:rule="!has(self.minIdle) || self.minIdle <= (has(self.maxOpen) ? self.maxOpen : 20)",message="minIdle must not be above maxOpen, which is 20 when unset"
// +kubebuilder:validation:XValidation:rule="!has(self.minIdle) || !has(self.maxIdle) || self.minIdle <= self.maxIdle",message="minIdle must not be above maxIdle"
// +kubebuilder:validation:XValidation:rule="!has(self.autoscale) || !has(self.autoscale.minOpen) || self.autoscale.minOpen <= (has(self.maxOpen) ? self.maxOpen : 20)",message="autoscale.minOpen must not be above maxOpen, which is 20 when unset"
// +kubebuilder:validation:XValidation:rule="!has(self.maxOpenPerUser) || self.maxOpenPerUser <= (has(self.maxOpen) ? self.maxOpen : 20)",message="maxOpenPerUser must not be above maxOpen, which is 20 when unset"
type Limits struct {
	// maxOpen is the most connections that the pool opens to the destination. Unset means 20. Each pod needs at least
	// one: with fewer than there are pods, some pods cannot serve.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxOpen int32 `json:"maxOpen,omitempty"`

	// maxOpenPerUser is the most connections that are open as one user of the destination, whatever the database. Each pod
	// has its part, and one at least. Unset means that only maxOpen bounds them.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxOpenPerUser int32 `json:"maxOpenPerUser,omitempty"`

	// autoscale moves the limit below maxOpen to what clients use. Unset means that it stays at maxOpen.
	// +optional
	Autoscale *Autoscale `json:"autoscale,omitempty"`

	// minIdle is how many idle connections are kept ready. Unset means none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MinIdle int32 `json:"minIdle,omitempty"`

	// maxIdle is the most connections that are kept idle; 0 keeps none. Unset means maxOpen.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxIdle *int32 `json:"maxIdle,omitempty"`

	// idleTimeoutSeconds closes connections that were idle for longer, down to minIdle. Unset means that connections
	// are not closed for being idle.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	IdleTimeoutSeconds int32 `json:"idleTimeoutSeconds,omitempty"`

	// maxLifetimeSeconds closes connections that are older, between two uses and spread over time. Unset means that
	// connections are not closed for their age.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	MaxLifetimeSeconds int32 `json:"maxLifetimeSeconds,omitempty"`

	// acquireTimeoutMilliseconds is how long a client waits for a connection before it gets an error. Unset means
	// 30000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600000
	AcquireTimeoutMilliseconds int32 `json:"acquireTimeoutMilliseconds,omitempty"`

	// maxWaiting is the most clients that wait for a connection; more get an error at once, and with 0 nobody waits.
	// Each pod lets its part of them wait, rounded up. Unset means that only maxClients bounds them.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MaxWaiting *int32 `json:"maxWaiting,omitempty"`

	// maxClients is the most clients that one pod lets connect to the destination. Unset means 10000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxClients int32 `json:"maxClients,omitempty"`

	// connectTimeoutSeconds is how long opening a connection may take, its login included. Unset means 10.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=600
	ConnectTimeoutSeconds int32 `json:"connectTimeoutSeconds,omitempty"`

	// loginTimeoutSeconds is how long a client may take to prove who it is. Unset means 15.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=600
	LoginTimeoutSeconds int32 `json:"loginTimeoutSeconds,omitempty"`

	// clientIdleTimeoutSeconds closes clients that have said nothing for longer between two transactions. Unset means
	// that clients are not closed for being idle.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	ClientIdleTimeoutSeconds int32 `json:"clientIdleTimeoutSeconds,omitempty"`

	// idleInTransactionTimeoutSeconds closes clients that have said nothing for longer within a transaction, which is
	// rolled back. Unset means no limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	IdleInTransactionTimeoutSeconds int32 `json:"idleInTransactionTimeoutSeconds,omitempty"`

	// queryTimeoutSeconds cancels statements that take longer. Unset means no limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	QueryTimeoutSeconds int32 `json:"queryTimeoutSeconds,omitempty"`

	// transactionTimeoutSeconds closes clients whose transaction takes longer; it is rolled back. Unset means no limit.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	TransactionTimeoutSeconds int32 `json:"transactionTimeoutSeconds,omitempty"`
}

// Autoscale moves the limit of a destination between minOpen and maxOpen. It never changes the spec: the limit that holds is
// maxOpen in the status of the destination, and the condition Autoscaled there says why.
type Autoscale struct {
	// minOpen is the lowest limit. Unset means 1. It is never lower than the number of pods and one more, as each pod needs
	// a connection, also the one that a rollout adds.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MinOpen int32 `json:"minOpen,omitempty"`

	// targetUtilizationPercent is how much of the limit should be in use at most, at peaks. More, or clients that wait while
	// all connections are in use, raises the limit at once. Unset means 80.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=100
	TargetUtilizationPercent int32 `json:"targetUtilizationPercent,omitempty"`

	// stabilizationSeconds is how long less must have been enough before the limit is lowered. Unset means 300.
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=86400
	StabilizationSeconds int32 `json:"stabilizationSeconds,omitempty"`
}

// ServerTLS is TLS towards a database.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.caSecretRef) || (has(self.mode) && self.mode in ['VerifyCA', 'VerifyFull'])",message="caSecretRef has an effect only when mode is VerifyCA or VerifyFull"
// +kubebuilder:validation:XValidation:rule="!has(self.certificateSecretRef) || !has(self.mode) || self.mode != 'Disable'",message="certificateSecretRef has no effect when mode is Disable"
type ServerTLS struct {
	// mode is Disable, Prefer (TLS if the server offers it), Require (always TLS), VerifyCA (and the server's
	// certificate is signed by a known CA) or VerifyFull (and it is made out to the endpoint's host). Only the last
	// two protect against somebody who poses as the database. Unset means Prefer, as PostgreSQL's own clients have it.
	// +optional
	Mode ServerTLSMode `json:"mode,omitempty"`

	// caSecretRef names a Secret whose ca.crt verifies the database. Unset means the CAs of the pooler image.
	// +optional
	CASecretRef SecretReference `json:"caSecretRef,omitempty,omitzero"`

	// certificateSecretRef names a Secret with the tls.crt and tls.key that are shown to the database.
	// +optional
	CertificateSecretRef SecretReference `json:"certificateSecretRef,omitempty,omitzero"`
}

// ServerTLSMode says how much TLS a connection to a database must have.
// +kubebuilder:validation:Enum=Disable;Prefer;Require;VerifyCA;VerifyFull
type ServerTLSMode string

// Modes of TLS towards a database.
const (
	ServerTLSDisable    ServerTLSMode = "Disable"
	ServerTLSPrefer     ServerTLSMode = "Prefer"
	ServerTLSRequire    ServerTLSMode = "Require"
	ServerTLSVerifyCA   ServerTLSMode = "VerifyCA"
	ServerTLSVerifyFull ServerTLSMode = "VerifyFull"
)

// PostgreSQL is what only a PostgreSQL destination has.
// +kubebuilder:validation:XValidation:rule="!has(self.console) || !has(self.databases) || self.databases.all(d, !(d.name in ['weir', 'pgbouncer']))",message="databases must not be named weir or pgbouncer when there is a console, which has these names"
type PostgreSQL struct {
	// poolMode says for how long a client keeps a server connection: Transaction, until its transaction ends; Session,
	// until it leaves; or Statement, as Transaction, but transactions of more than one message are refused.
	// +optional
	// +default="Transaction"
	PoolMode PoolMode `json:"poolMode,omitempty"`

	// maxPreparedStatements is how many prepared statements are kept on each server connection in transaction mode; those
	// that were not used for longest are closed. 0 refuses statements with names. Unset means 200.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	MaxPreparedStatements *int32 `json:"maxPreparedStatements,omitempty"`

	// targetSession says which of the endpoints will do: ReadWrite (a primary), ReadOnly (a standby) or Any. Unset means
	// Any. Endpoints are tried in their order; when a preferred one will do again, connections move back to it.
	// +optional
	TargetSession TargetSession `json:"targetSession,omitempty"`

	// databases are the names of databases that clients may ask for. Unset means every name, unchanged.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Databases []Database `json:"databases,omitempty"`

	// auth says who may come in and how server connections log in.
	// +required
	Auth Auth `json:"auth,omitempty,omitzero"`

	// console lets users ask and command each pod in the dialect of PgBouncer's console, which they reach as a database
	// named weir or pgbouncer. Unset means that nobody may, and that these names are names of databases.
	// +optional
	Console Console `json:"console,omitempty,omitzero"`
}

// Console says who may use the console. The users are those of auth, and log in with their passwords.
// +kubebuilder:validation:MinProperties=1
type Console struct {
	// adminUsers may do everything: look, and pause, reconnect or close what this pod has open.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	AdminUsers []string `json:"adminUsers,omitempty"`

	// statsUsers may look: for monitoring.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	StatsUsers []string `json:"statsUsers,omitempty"`
}

// PoolMode says for how long a client keeps a server connection.
// +kubebuilder:validation:Enum=Transaction;Session;Statement
type PoolMode string

// Pool modes.
const (
	PoolModeTransaction PoolMode = "Transaction"
	PoolModeSession     PoolMode = "Session"
	PoolModeStatement   PoolMode = "Statement"
)

// TargetSession says which of several servers will do.
// +kubebuilder:validation:Enum=Any;ReadWrite;ReadOnly
type TargetSession string

// Target sessions.
const (
	TargetSessionAny       TargetSession = "Any"
	TargetSessionReadWrite TargetSession = "ReadWrite"
	TargetSessionReadOnly  TargetSession = "ReadOnly"
)

// Database is a name that clients may ask for.
type Database struct {
	// name is what clients ask for.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Name string `json:"name,omitempty"`

	// target is what the database is called on the server. Unset means name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Target string `json:"target,omitempty"`
}
