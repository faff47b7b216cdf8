package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What an unset field means.
const (
	DefaultReplicas                   = 2
	DefaultPostgreSQLPort             = 5432
	DefaultMaxPreparedStatements      = 200
	DefaultMaxOpen                    = 20
	DefaultAutoscaleMinOpen           = 1
	DefaultTargetUtilizationPercent   = 80
	DefaultStabilizationSeconds       = 300
	DefaultAcquireTimeoutMilliseconds = 30_000
	DefaultMaxClients                 = 10_000
	DefaultDrainTimeoutSeconds        = 60
	DefaultMaxSurge                   = "25%"
	DefaultMaxUnavailable             = 1
)

// PodLabels are the labels by which the pods of the pool are selected.
func (p *ConnectionPool) PodLabels() map[string]string { return map[string]string{LabelPool: p.Name} }

// Selector is PodLabels in string form.
func (p *ConnectionPool) Selector() string { return labels.Set(p.PodLabels()).String() }

// Replicas is the number of pods.
func (p *ConnectionPool) Replicas() int32 { return valueOr(p.Spec.Replicas, DefaultReplicas) }

// EffectiveServiceType is the type of the Service.
func (l Listener) EffectiveServiceType() corev1.ServiceType {
	return nonZeroOr(l.ServiceType, corev1.ServiceTypeClusterIP)
}

// EffectiveMode is the mode of TLS towards clients.
func (t ListenerTLS) EffectiveMode() ListenerTLSMode { return nonZeroOr(t.Mode, ListenerTLSDisabled) }

// Surge is how many pods a rollout may add.
func (r Rollout) Surge() intstr.IntOrString {
	return valueOr(r.MaxSurge, intstr.FromString(DefaultMaxSurge))
}

// Unavailable is how many pods may be away.
func (r Rollout) Unavailable() intstr.IntOrString {
	return valueOr(r.MaxUnavailable, intstr.FromInt32(DefaultMaxUnavailable))
}

// DrainSeconds is how long a leaving pod waits for its clients.
func (r Rollout) DrainSeconds() int32 {
	return nonZeroOr(r.DrainTimeoutSeconds, DefaultDrainTimeoutSeconds)
}

// Destination is the destination of that name, or nil.
func (s *ConnectionPoolSpec) Destination(name string) *Destination {
	for i := range s.Destinations {
		if s.Destinations[i].Name == name {
			return &s.Destinations[i]
		}
	}
	return nil
}

// MaxOpen is the most connections to a destination that the spec allows: its limit, or the lower size.
func (s *ConnectionPoolSpec) MaxOpen(d *Destination) int32 {
	most := d.MaxOpen()
	for _, size := range s.Sizes {
		if size.Destination == d.Name {
			most = min(most, size.MaxOpen)
		}
	}
	return most
}

// LowestOpen is the lowest limit.
func (a *Autoscale) LowestOpen() int32 { return nonZeroOr(a.MinOpen, DefaultAutoscaleMinOpen) }

// TargetPercent is how much of the limit should be in use at most.
func (a *Autoscale) TargetPercent() int32 {
	return nonZeroOr(a.TargetUtilizationPercent, DefaultTargetUtilizationPercent)
}

// Stabilization is how long less must have been enough, in seconds.
func (a *Autoscale) Stabilization() int32 {
	return nonZeroOr(a.StabilizationSeconds, DefaultStabilizationSeconds)
}

// Port is the port on which clients reach the destination.
func (d *Destination) Port() int32 { return nonZeroOr(d.ListenPort, DefaultPostgreSQLPort) }

// EffectivePort is the port of the endpoint.
func (e Endpoint) EffectivePort() int32 { return nonZeroOr(e.Port, DefaultPostgreSQLPort) }

// MaxOpen is the most connections to the destination that its limits allow; see also ConnectionPoolSpec.MaxOpen.
func (d *Destination) MaxOpen() int32 { return nonZeroOr(d.Limits.MaxOpen, DefaultMaxOpen) }

// MaxIdle is the most connections that are kept idle.
func (d *Destination) MaxIdle() int32 { return valueOr(d.Limits.MaxIdle, d.MaxOpen()) }

// AcquireTimeoutMilliseconds is how long a client waits for a connection.
func (d *Destination) AcquireTimeoutMilliseconds() int32 {
	return nonZeroOr(d.Limits.AcquireTimeoutMilliseconds, DefaultAcquireTimeoutMilliseconds)
}

// MaxClients is the most clients that one pod lets connect.
func (d *Destination) MaxClients() int32 { return nonZeroOr(d.Limits.MaxClients, DefaultMaxClients) }

// Held says whether clients are to be kept from the destination.
func (d *Destination) Held() bool { return d.StopPolicy != "" && d.StopPolicy != StopPolicyNone }

// EffectiveMode is the mode of TLS towards the database.
func (t ServerTLS) EffectiveMode() ServerTLSMode { return nonZeroOr(t.Mode, ServerTLSPrefer) }

// EffectivePoolMode says for how long a client keeps a server connection.
func (p PostgreSQL) EffectivePoolMode() PoolMode { return nonZeroOr(p.PoolMode, PoolModeTransaction) }

// PreparedStatements is how many prepared statements are kept on each server connection.
func (p PostgreSQL) PreparedStatements() int32 {
	return valueOr(p.MaxPreparedStatements, DefaultMaxPreparedStatements)
}

// EffectiveTargetSession says which of the endpoints will do.
func (p PostgreSQL) EffectiveTargetSession() TargetSession {
	return nonZeroOr(p.TargetSession, TargetSessionAny)
}

// EffectiveMethod is what clients prove who they are with.
func (a Auth) EffectiveMethod() AuthMethod { return nonZeroOr(a.Method, AuthSCRAM) }

// EffectiveTarget is what the database is called on the server.
func (d Database) EffectiveTarget() string { return nonZeroOr(d.Target, d.Name) }

func valueOr[T any](p *T, unset T) T {
	if p == nil {
		return unset
	}
	return *p
}

func nonZeroOr[T comparable](v, unset T) T {
	var zero T
	if v == zero {
		return unset
	}
	return v
}
