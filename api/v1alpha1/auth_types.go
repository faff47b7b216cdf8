package v1alpha1

// Auth says who may come in and how server connections log in.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.usersSecretRef) || has(self.lookup) || (has(self.method) && self.method in ['Certificate', 'Trust'])",message="usersSecretRef or lookup is required unless method is Certificate or Trust"
// +kubebuilder:validation:XValidation:rule="!has(self.lookup) || !has(self.method) || self.method in ['SCRAM', 'MD5']",message="lookup has an effect only when method is SCRAM or MD5"
// +kubebuilder:validation:XValidation:rule="!has(self.certificateUsers) || (has(self.method) && self.method == 'Certificate')",message="certificateUsers have an effect only when method is Certificate"
type Auth struct {
	// method is what clients prove who they are with: SCRAM, a password by SCRAM-SHA-256; MD5, a password by
	// SCRAM-SHA-256 if a verifier is stored for the user, otherwise by md5, which old drivers need and which protects
	// little; Certificate, the common name of their certificate, which needs listener.tls.mode Mutual; or Trust, nothing
	// at all: who can reach the pool may come in as anybody. Unset means SCRAM.
	// +optional
	Method AuthMethod `json:"method,omitempty"`

	// usersSecretRef names a Secret with the users that may come in: either a kubernetes.io/basic-auth Secret with
	// username and password, or one in which each key is a user. A value is a password, or a verifier as PostgreSQL
	// stores it (SCRAM-SHA-256$...); several lines are several passwords that are valid, up to 4, the newest first.
	// Pods follow its changes without a restart.
	// +optional
	UsersSecretRef SecretReference `json:"usersSecretRef,omitempty,omitzero"`

	// lookup finds the users that are not in the users' Secret with a query on the database. Unset means that there are
	// no others.
	// +optional
	Lookup Lookup `json:"lookup,omitempty,omitzero"`

	// certificateUsers are the users that the holders of certificates may come in as. Unset means that the common name
	// of the certificate is the user.
	// +optional
	// +listType=map
	// +listMapKey=commonName
	// +listMapKey=user
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	CertificateUsers []CertificateUser `json:"certificateUsers,omitempty"`

	// serverUserSecretRef names a kubernetes.io/basic-auth Secret whose user every server connection logs in as; several
	// lines in its password are tried in turn. Without a password the certificate of tls.certificateSecretRef must be
	// enough for the database. Unset means that each client's server connection logs in as the client's own user: with
	// the user's password, or, where only the database's own verifier is known, with what the client's login has proved.
	// +optional
	ServerUserSecretRef SecretReference `json:"serverUserSecretRef,omitempty,omitzero"`
}

// AuthMethod is what clients prove who they are with.
// +kubebuilder:validation:Enum=SCRAM;MD5;Certificate;Trust
type AuthMethod string

// Methods of authentication.
const (
	AuthSCRAM       AuthMethod = "SCRAM"
	AuthMD5         AuthMethod = "MD5"
	AuthCertificate AuthMethod = "Certificate"
	AuthTrust       AuthMethod = "Trust"
)

// Lookup finds users with a query on the database.
// +kubebuilder:validation:XValidation:rule="!has(self.query) || self.query.contains('$1')",message="query must have the user's name as its parameter $1"
type Lookup struct {
	// userSecretRef names a kubernetes.io/basic-auth Secret with the user who asks.
	// +required
	UserSecretRef SecretReference `json:"userSecretRef,omitempty,omitzero"`

	// database is where the query runs, as the server calls it. Unset means postgres.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Database string `json:"database,omitempty"`

	// query has the user's name as its parameter $1, and yields no row, or the user's name and the password as it is
	// stored, or that alone. It runs with the search path pg_catalog, pg_temp. Unset means a query on pg_authid, which
	// only superusers may read; others may be given a function that reads it for them.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:Pattern=`^[^\x00]+$`
	Query string `json:"query,omitempty"`

	// cacheSeconds is how long a pod uses what it has found, users who do not exist included. After a wrong password it
	// asks again earlier, but not more often than once a second. Unset means 30.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	CacheSeconds int32 `json:"cacheSeconds,omitempty"`
}

// CertificateUser is a user that the holder of a certificate may come in as.
type CertificateUser struct {
	// commonName is the certificate's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	CommonName string `json:"commonName,omitempty"`

	// user is the user in the database.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	User string `json:"user,omitempty"`
}
