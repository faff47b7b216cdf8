package validation

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/weir-dev/weir/api/v1alpha1"
)

type change = func(*v1alpha1.ConnectionPool)

// on changes the only destination of the minimal pool.
func on(f func(*v1alpha1.Destination)) change {
	return func(p *v1alpha1.ConnectionPool) { f(&p.Spec.Destinations[0]) }
}

// limits sets the limits of the only destination.
func limits(l v1alpha1.Limits) change {
	return on(func(d *v1alpha1.Destination) { d.Limits = l })
}

func serverTLS(t v1alpha1.ServerTLS) change {
	return on(func(d *v1alpha1.Destination) { d.TLS = t })
}

func listenerTLS(t v1alpha1.ListenerTLS) change {
	return func(p *v1alpha1.ConnectionPool) { p.Spec.Listener.TLS = t }
}

// auth sets the authentication of the only destination.
func auth(a v1alpha1.Auth) change {
	return on(func(d *v1alpha1.Destination) { d.PostgreSQL.Auth = a })
}

// mutual makes clients show certificates, and then f.
func mutual(f change) change {
	return func(p *v1alpha1.ConnectionPool) {
		p.Spec.Listener.TLS = v1alpha1.ListenerTLS{Mode: v1alpha1.ListenerTLSMutual, SecretRef: secret, ClientCASecretRef: secret}
		f(p)
	}
}

func named(name string) change {
	return func(p *v1alpha1.ConnectionPool) { p.GenerateName, p.Name = "", name }
}

func rollout(surge, unavailable intstr.IntOrString) change {
	return func(p *v1alpha1.ConnectionPool) {
		p.Spec.Rollout = v1alpha1.Rollout{MaxSurge: &surge, MaxUnavailable: &unavailable}
	}
}

// second adds a destination that listens on a port.
func second(port int32) change {
	return func(p *v1alpha1.ConnectionPool) {
		d := destination("billing")
		d.ListenPort = port
		p.Spec.Destinations = append(p.Spec.Destinations, d)
	}
}

var (
	secret  = v1alpha1.SecretReference{Name: "some-secret"}
	number  = intstr.FromInt32
	percent = intstr.FromString
)

var _ = DescribeTable("is accepted:", func(ctx SpecContext, f change) {
	pool := minimal()
	f(pool)
	Expect(api.Create(ctx, pool)).To(Succeed())
},
	Entry("the least that makes a pool", func(*v1alpha1.ConnectionPool) {}),
	Entry("no replicas", func(p *v1alpha1.ConnectionPool) { p.Spec.Replicas = new(int32(0)) }),
	Entry("a name of 50 characters", named("n"+strings.Repeat("0", 49))),
	Entry("a second destination on a port of its own", second(5433)),
	Entry("maxIdle 0", limits(v1alpha1.Limits{MaxIdle: new(int32(0))})),
	Entry("maxOpenPerUser of the maxOpen that is meant when it is unset", limits(v1alpha1.Limits{MaxOpenPerUser: 20})),
	Entry("maxWaiting 0", limits(v1alpha1.Limits{MaxWaiting: new(int32(0))})),
	Entry("maxIdle of the maxOpen that is meant when it is unset", limits(v1alpha1.Limits{MaxIdle: new(int32(20))})),
	Entry("maxOpen below replicas, because /scale must never fail for it", limits(v1alpha1.Limits{MaxOpen: 1})),
	Entry("every timeout", limits(v1alpha1.Limits{
		ConnectTimeoutSeconds: 1, LoginTimeoutSeconds: 600, ClientIdleTimeoutSeconds: 604_800,
		IdleInTransactionTimeoutSeconds: 1, QueryTimeoutSeconds: 1, TransactionTimeoutSeconds: 604_800,
	})),
	Entry("a size, also for a destination that is not there", func(p *v1alpha1.ConnectionPool) {
		p.Spec.Sizes = []v1alpha1.Size{{Destination: "gone", MaxOpen: 1}}
	}),
	Entry("a limit that moves by itself", limits(v1alpha1.Limits{MaxOpen: 10, Autoscale: &v1alpha1.Autoscale{MinOpen: 10, TargetUtilizationPercent: 50, StabilizationSeconds: 60}})),
	Entry("a destination on hold", on(func(d *v1alpha1.Destination) { d.StopPolicy = v1alpha1.StopPolicyHoldAndDrain })),
	Entry("an IPv6 endpoint", on(func(d *v1alpha1.Destination) { d.Endpoints[0].Host = "2001:db8::1" })),
	Entry("statement mode", on(func(d *v1alpha1.Destination) { d.PostgreSQL.PoolMode = v1alpha1.PoolModeStatement })),
	Entry("a primary among several endpoints", on(func(d *v1alpha1.Destination) {
		d.Endpoints = append(d.Endpoints, v1alpha1.Endpoint{Host: "other"})
		d.PostgreSQL.TargetSession = v1alpha1.TargetSessionReadWrite
	})),
	Entry("databases by another name", on(func(d *v1alpha1.Destination) {
		d.PostgreSQL.Databases = []v1alpha1.Database{{Name: "Bücher & mehr", Target: "books"}, {Name: "films"}}
	})),
	Entry("a console", on(func(d *v1alpha1.Destination) {
		d.PostgreSQL.Console = v1alpha1.Console{AdminUsers: []string{"dba"}, StatsUsers: []string{"exporter", "datadog"}}
	})),
	Entry("a database named like the console that is not there", on(func(d *v1alpha1.Destination) {
		d.PostgreSQL.Databases = []v1alpha1.Database{{Name: "weir"}}
	})),
	Entry("VerifyFull with a CA and a certificate", serverTLS(v1alpha1.ServerTLS{Mode: v1alpha1.ServerTLSVerifyFull, CASecretRef: secret, CertificateSecretRef: secret})),
	Entry("a certificate for a server that may offer TLS", serverTLS(v1alpha1.ServerTLS{CertificateSecretRef: secret})),
	Entry("Disabled TLS without a Secret", listenerTLS(v1alpha1.ListenerTLS{Mode: v1alpha1.ListenerTLSDisabled})),
	Entry("Mutual TLS with both Secrets", listenerTLS(v1alpha1.ListenerTLS{Mode: v1alpha1.ListenerTLSMutual, SecretRef: secret, ClientCASecretRef: secret})),
	Entry("md5", auth(v1alpha1.Auth{Method: v1alpha1.AuthMD5, UsersSecretRef: secret})),
	Entry("a lookup without a Secret of users", auth(v1alpha1.Auth{Lookup: v1alpha1.Lookup{UserSecretRef: secret}})),
	Entry("a lookup that says everything", auth(v1alpha1.Auth{Method: v1alpha1.AuthMD5, UsersSecretRef: secret, Lookup: v1alpha1.Lookup{
		UserSecretRef: secret, Database: "app", Query: "SELECT * FROM weir.find($1)", CacheSeconds: 5,
	}})),
	Entry("trust without users, where the server's user is known", auth(v1alpha1.Auth{Method: v1alpha1.AuthTrust, ServerUserSecretRef: secret})),
	Entry("certificates of several users for one holder and several holders of one user", mutual(auth(v1alpha1.Auth{
		Method: v1alpha1.AuthCertificate, UsersSecretRef: secret,
		CertificateUsers: []v1alpha1.CertificateUser{{CommonName: "a", User: "x"}, {CommonName: "a", User: "y"}, {CommonName: "b", User: "x"}},
	}))),
	Entry("certificates on both sides and no password at all", mutual(on(func(d *v1alpha1.Destination) {
		d.PostgreSQL.Auth = v1alpha1.Auth{Method: v1alpha1.AuthCertificate}
		d.TLS.CertificateSecretRef = secret
	}))),
	Entry("a rollout in percent", rollout(percent("100%"), percent("0%"))),
	Entry("a rollout in numbers", rollout(number(0), number(1))),
)

// reasons are what the API server says about the rows that are refused, see coverage_test.go.
var reasons []string

func refused(what string, f change, why string) TableEntry {
	reasons = append(reasons, why)
	return Entry(what, f, why)
}

var _ = DescribeTable("is refused, and told why:", func(ctx SpecContext, f change, why string) {
	pool := minimal()
	f(pool)
	Expect(api.Create(ctx, pool)).To(MatchError(ContainSubstring(why)))
},
	refused("a name of 51 characters", named("n"+strings.Repeat("0", 50)), "metadata.name becomes the name of a Service"),
	refused("a name that begins with a digit", named("0rders"), "metadata.name becomes the name of a Service"),
	refused("a name with a dot", named("orders.db"), "metadata.name becomes the name of a Service"),
	refused("replicas below 0", func(p *v1alpha1.ConnectionPool) { p.Spec.Replicas = new(int32(-1)) }, "spec.replicas"),
	refused("replicas above 100", func(p *v1alpha1.ConnectionPool) { p.Spec.Replicas = new(int32(101)) }, "spec.replicas"),
	refused("no destination", func(p *v1alpha1.ConnectionPool) {
		p.Spec = v1alpha1.ConnectionPoolSpec{Replicas: new(int32(1))}
	}, "spec.destinations: Required value"),
	refused("33 destinations", func(p *v1alpha1.ConnectionPool) {
		for i := range 32 {
			d := destination("d" + strings.Repeat("x", i))
			d.ListenPort = 6000 + int32(i)
			p.Spec.Destinations = append(p.Spec.Destinations, d)
		}
	}, "must have at most 32 items"),
	refused("two destinations of one name", func(p *v1alpha1.ConnectionPool) {
		d := destination("orders")
		d.ListenPort = 6000
		p.Spec.Destinations = append(p.Spec.Destinations, d)
	}, "Duplicate value"),
	refused("two destinations on one port", second(5432), "listenPort must be unique among destinations"),
	refused("two destinations on the port that is meant when it is unset", second(0), "listenPort must be unique among destinations"),
	refused("the pods' health port", on(func(d *v1alpha1.Destination) { d.ListenPort = 9901 }), "listenPort must not be 9901 or 9902"),
	refused("the pods' control port", on(func(d *v1alpha1.Destination) { d.ListenPort = 9902 }), "listenPort must not be 9901 or 9902"),
	refused("a port that needs privileges", on(func(d *v1alpha1.Destination) { d.ListenPort = 1023 }), "listenPort"),
	refused("another protocol", on(func(d *v1alpha1.Destination) { d.Protocol = "Oracle" }), "protocol"),
	refused("a PostgreSQL destination without its block", on(func(d *v1alpha1.Destination) { d.PostgreSQL = v1alpha1.PostgreSQL{} }), "postgresql is required when protocol is PostgreSQL"),
	refused("a destination without users", on(func(d *v1alpha1.Destination) {
		d.PostgreSQL = v1alpha1.PostgreSQL{PoolMode: v1alpha1.PoolModeSession}
	}), "postgresql.auth: Required value"),
	refused("a method of authentication that is not there", auth(v1alpha1.Auth{Method: "GSSAPI", UsersSecretRef: secret}), "method"),
	refused("passwords without users", auth(v1alpha1.Auth{Method: v1alpha1.AuthMD5, ServerUserSecretRef: secret}), "usersSecretRef or lookup is required unless method is Certificate or Trust"),
	refused("certificates that clients do not show", auth(v1alpha1.Auth{Method: v1alpha1.AuthCertificate, UsersSecretRef: secret}),
		"auth.method Certificate needs listener.tls.mode Mutual"),
	refused("users of certificates that nobody asks for", mutual(auth(v1alpha1.Auth{
		UsersSecretRef: secret, CertificateUsers: []v1alpha1.CertificateUser{{CommonName: "a", User: "x"}},
	})), "certificateUsers have an effect only when method is Certificate"),
	refused("a lookup where nobody is asked for a password", auth(v1alpha1.Auth{
		Method: v1alpha1.AuthTrust, UsersSecretRef: secret, Lookup: v1alpha1.Lookup{UserSecretRef: secret},
	}), "lookup has an effect only when method is SCRAM or MD5"),
	refused("a lookup by nobody", auth(v1alpha1.Auth{Lookup: v1alpha1.Lookup{Database: "app"}}), "lookup.userSecretRef: Required value"),
	refused("a lookup that does not say whom it looks up", auth(v1alpha1.Auth{
		Lookup: v1alpha1.Lookup{UserSecretRef: secret, Query: "SELECT usename, passwd FROM pg_shadow"},
	}), "query must have the user's name as its parameter $1"),
	refused("a lookup that is remembered for more than an hour", auth(v1alpha1.Auth{
		Lookup: v1alpha1.Lookup{UserSecretRef: secret, CacheSeconds: 3601},
	}), "cacheSeconds"),
	refused("a certificate's user twice", mutual(auth(v1alpha1.Auth{
		Method: v1alpha1.AuthCertificate, UsersSecretRef: secret,
		CertificateUsers: []v1alpha1.CertificateUser{{CommonName: "a", User: "x"}, {CommonName: "a", User: "x"}},
	})), "Duplicate value"),
	refused("nothing that could log in to the database", auth(v1alpha1.Auth{Method: v1alpha1.AuthTrust}), "nothing is known that could log in to the database"),
	refused("a destination without endpoints", on(func(d *v1alpha1.Destination) { d.Endpoints = nil }), "endpoints"),
	refused("a URL as a host", on(func(d *v1alpha1.Destination) { d.Endpoints[0].Host = "postgres://db" }), "endpoints[0].host"),
	refused("port 65536", on(func(d *v1alpha1.Destination) { d.Endpoints[0].Port = 65536 }), "endpoints[0].port"),
	refused("a destination's name that is no DNS label", on(func(d *v1alpha1.Destination) { d.Name = "Orders" }), "destinations[0].name"),
	refused("a Secret's name that is a path", on(func(d *v1alpha1.Destination) { d.PostgreSQL.Auth.UsersSecretRef.Name = "../other" }), "usersSecretRef.name"),
	refused("a size of 0", func(p *v1alpha1.ConnectionPool) { p.Spec.Sizes = []v1alpha1.Size{{Destination: "orders"}} }, "maxOpen"),
	refused("two sizes for one destination", func(p *v1alpha1.ConnectionPool) {
		p.Spec.Sizes = []v1alpha1.Size{{Destination: "orders", MaxOpen: 1}, {Destination: "orders", MaxOpen: 2}}
	}, "Duplicate value"),
	refused("minOpen above maxOpen", limits(v1alpha1.Limits{MaxOpen: 10, Autoscale: &v1alpha1.Autoscale{MinOpen: 11}}), "autoscale.minOpen must not be above maxOpen"),
	refused("minOpen above the maxOpen that is meant when it is unset", limits(v1alpha1.Limits{Autoscale: &v1alpha1.Autoscale{MinOpen: 21}}), "autoscale.minOpen must not be above maxOpen"),
	refused("a target above 100", limits(v1alpha1.Limits{Autoscale: &v1alpha1.Autoscale{TargetUtilizationPercent: 101}}), "targetUtilizationPercent"),
	refused("a stop policy that is not there", on(func(d *v1alpha1.Destination) { d.StopPolicy = "Pause" }), "stopPolicy"),
	refused("a target session that is not there", on(func(d *v1alpha1.Destination) { d.PostgreSQL.TargetSession = "Primary" }), "targetSession"),
	refused("a negative number of prepared statements", on(func(d *v1alpha1.Destination) { d.PostgreSQL.MaxPreparedStatements = new(int32(-1)) }), "maxPreparedStatements"),
	refused("a pool mode that is not there", on(func(d *v1alpha1.Destination) { d.PostgreSQL.PoolMode = "Query" }), "poolMode"),
	refused("a database named like the console", on(func(d *v1alpha1.Destination) {
		d.PostgreSQL.Databases = []v1alpha1.Database{{Name: "pgbouncer"}}
		d.PostgreSQL.Console = v1alpha1.Console{AdminUsers: []string{"dba"}}
	}), "databases must not be named weir or pgbouncer when there is a console"),
	refused("a console for a user without a name", on(func(d *v1alpha1.Destination) {
		d.PostgreSQL.Console = v1alpha1.Console{StatsUsers: []string{""}}
	}), "statsUsers"),
	refused("a console user named twice", on(func(d *v1alpha1.Destination) {
		d.PostgreSQL.Console = v1alpha1.Console{StatsUsers: []string{"a", "a"}}
	}), "Duplicate value"),
	refused("a control character in a database's name", on(func(d *v1alpha1.Destination) {
		d.PostgreSQL.Databases = []v1alpha1.Database{{Name: "a", Target: "b\x00user"}}
	}), "databases[0].target"),
	refused("maxOpen above 100000", limits(v1alpha1.Limits{MaxOpen: 100_001}), "maxOpen"),
	refused("maxOpen below 0", limits(v1alpha1.Limits{MaxOpen: -1}), "maxOpen"),
	refused("maxIdle above maxOpen", limits(v1alpha1.Limits{MaxOpen: 5, MaxIdle: new(int32(6))}), "maxIdle must not be above maxOpen"),
	refused("maxIdle above the maxOpen that is meant when it is unset", limits(v1alpha1.Limits{MaxIdle: new(int32(21))}), "maxIdle must not be above maxOpen"),
	refused("maxOpenPerUser above maxOpen", limits(v1alpha1.Limits{MaxOpen: 5, MaxOpenPerUser: 6}), "maxOpenPerUser must not be above maxOpen"),
	refused("maxOpenPerUser above the maxOpen that is meant when it is unset", limits(v1alpha1.Limits{MaxOpenPerUser: 21}), "maxOpenPerUser must not be above maxOpen"),
	refused("maxOpenPerUser below 0", limits(v1alpha1.Limits{MaxOpenPerUser: -1}), "maxOpenPerUser"),
	refused("minIdle above maxOpen", limits(v1alpha1.Limits{MaxOpen: 5, MinIdle: 6}), "minIdle must not be above maxOpen"),
	refused("minIdle above the maxOpen that is meant when it is unset", limits(v1alpha1.Limits{MinIdle: 21}), "minIdle must not be above maxOpen"),
	refused("minIdle above maxIdle", limits(v1alpha1.Limits{MinIdle: 3, MaxIdle: new(int32(2))}), "minIdle must not be above maxIdle"),
	refused("an acquire timeout above an hour", limits(v1alpha1.Limits{AcquireTimeoutMilliseconds: 3_600_001}), "acquireTimeoutMilliseconds"),
	refused("an idle timeout above a week", limits(v1alpha1.Limits{IdleTimeoutSeconds: 604_801}), "idleTimeoutSeconds"),
	refused("a lifetime above a week", limits(v1alpha1.Limits{MaxLifetimeSeconds: 604_801}), "maxLifetimeSeconds"),
	refused("a connect timeout above ten minutes", limits(v1alpha1.Limits{ConnectTimeoutSeconds: 601}), "connectTimeoutSeconds"),
	refused("a login timeout above ten minutes", limits(v1alpha1.Limits{LoginTimeoutSeconds: 601}), "loginTimeoutSeconds"),
	refused("a client's idle timeout above a week", limits(v1alpha1.Limits{ClientIdleTimeoutSeconds: 604_801}), "clientIdleTimeoutSeconds"),
	refused("an idle-in-transaction timeout below 0", limits(v1alpha1.Limits{IdleInTransactionTimeoutSeconds: -1}), "idleInTransactionTimeoutSeconds"),
	refused("a query timeout above a week", limits(v1alpha1.Limits{QueryTimeoutSeconds: 604_801}), "queryTimeoutSeconds"),
	refused("a transaction timeout above a week", limits(v1alpha1.Limits{TransactionTimeoutSeconds: 604_801}), "transactionTimeoutSeconds"),
	refused("maxWaiting below 0", limits(v1alpha1.Limits{MaxWaiting: new(int32(-1))}), "maxWaiting"),
	refused("maxClients above 100000", limits(v1alpha1.Limits{MaxClients: 100_001}), "maxClients"),
	refused("a CA that nothing is verified with", serverTLS(v1alpha1.ServerTLS{Mode: v1alpha1.ServerTLSRequire, CASecretRef: secret}), "caSecretRef has an effect only when mode is VerifyCA or VerifyFull"),
	refused("a CA without a mode", serverTLS(v1alpha1.ServerTLS{CASecretRef: secret}), "caSecretRef has an effect only when mode is VerifyCA or VerifyFull"),
	refused("a certificate for a server without TLS", serverTLS(v1alpha1.ServerTLS{Mode: v1alpha1.ServerTLSDisable, CertificateSecretRef: secret}), "certificateSecretRef has no effect when mode is Disable"),
	refused("TLS to clients without a certificate", listenerTLS(v1alpha1.ListenerTLS{Mode: v1alpha1.ListenerTLSOptional}), "secretRef is required unless mode is Disabled"),
	refused("TLS to clients without a mode", listenerTLS(v1alpha1.ListenerTLS{SecretRef: secret}), "mode"),
	refused("Mutual TLS without a CA", listenerTLS(v1alpha1.ListenerTLS{Mode: v1alpha1.ListenerTLSMutual, SecretRef: secret}), "clientCASecretRef is required when mode is Mutual"),
	refused("a clients' CA that nothing is verified with", listenerTLS(v1alpha1.ListenerTLS{Mode: v1alpha1.ListenerTLSRequired, SecretRef: secret, ClientCASecretRef: secret}), "clientCASecretRef has an effect only when mode is Mutual"),
	refused("a Service type that has no port to connect to", func(p *v1alpha1.ConnectionPool) { p.Spec.Listener.ServiceType = "ExternalName" }, "serviceType"),
	refused("a rollout that can never move", rollout(number(0), number(0)), "must not both be 0"),
	refused("a rollout that can never move, in percent", rollout(percent("0%"), number(0)), "must not both be 0"),
	refused("a surge above 100 pods", rollout(number(101), number(1)), "maxSurge must be a number from 0 to 100 or a percentage"),
	refused("a surge in words", rollout(percent("some"), number(1)), "maxSurge must be a number from 0 to 100 or a percentage"),
	refused("an unavailability above all", rollout(number(1), percent("101%")), "maxUnavailable must be a number from 0 to 100 or a percentage"),
	refused("an unavailability below none", rollout(number(1), number(-1)), "maxUnavailable must be a number from 0 to 100 or a percentage"),
	refused("a drain of more than an hour", func(p *v1alpha1.ConnectionPool) { p.Spec.Rollout.DrainTimeoutSeconds = 3601 }, "drainTimeoutSeconds"),
)
