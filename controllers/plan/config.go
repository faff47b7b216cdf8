package plan

import (
	"cmp"
	"slices"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/budget"
	"github.com/weir-dev/weir/pooler/podapi"
)

// config renders what pods need to know.
func config(o *Observation, ledger budget.Ledger) podapi.Config {
	pool := o.Pool
	c := podapi.Config{
		Version:      podapi.Version,
		Pool:         pool.Namespace + "/" + pool.Name,
		UID:          string(pool.UID),
		Generation:   pool.Generation,
		Ledger:       ledger.Version,
		ClientCA:     o.ClientCA,
		DrainSeconds: pool.Spec.Rollout.DrainSeconds(),
		Listener: podapi.Listener{TLS: podapi.ListenerTLS{
			Mode:           string(pool.Spec.Listener.TLS.EffectiveMode()),
			Secret:         pool.Spec.Listener.TLS.SecretRef.Name,
			ClientCASecret: pool.Spec.Listener.TLS.ClientCASecretRef.Name,
		}},
		Peers:  peers(o, ledger),
		Shares: shares(o, ledger),
	}
	for i := range pool.Spec.Destinations {
		c.Destinations = append(c.Destinations, destination(&pool.Spec.Destinations[i]))
	}
	return c
}

func destination(d *v1alpha1.Destination) podapi.Destination {
	out := podapi.Destination{
		Name:       d.Name,
		Protocol:   string(d.Protocol),
		ListenPort: d.Port(),
		Limits: podapi.Limits{
			IdleTimeoutSeconds:         d.Limits.IdleTimeoutSeconds,
			MaxLifetimeSeconds:         d.Limits.MaxLifetimeSeconds,
			AcquireTimeoutMilliseconds: d.AcquireTimeoutMilliseconds(),
			MaxClients:                 d.MaxClients(),

			ConnectTimeoutSeconds:           d.Limits.ConnectTimeoutSeconds,
			LoginTimeoutSeconds:             d.Limits.LoginTimeoutSeconds,
			ClientIdleTimeoutSeconds:        d.Limits.ClientIdleTimeoutSeconds,
			IdleInTransactionTimeoutSeconds: d.Limits.IdleInTransactionTimeoutSeconds,
			QueryTimeoutSeconds:             d.Limits.QueryTimeoutSeconds,
			TransactionTimeoutSeconds:       d.Limits.TransactionTimeoutSeconds,
		},
		TLS: podapi.ServerTLS{
			Mode:              string(d.TLS.EffectiveMode()),
			CASecret:          d.TLS.CASecretRef.Name,
			CertificateSecret: d.TLS.CertificateSecretRef.Name,
		},
		StopPolicy: string(d.StopPolicy),
		PostgreSQL: postgreSQL(d.PostgreSQL),
	}
	for _, e := range d.Endpoints {
		out.Endpoints = append(out.Endpoints, podapi.Endpoint{Host: e.Host, Port: e.EffectivePort()})
	}
	return out
}

func postgreSQL(p v1alpha1.PostgreSQL) *podapi.PostgreSQL {
	out := &podapi.PostgreSQL{
		PoolMode:              string(p.EffectivePoolMode()),
		MaxPreparedStatements: new(p.PreparedStatements()),
		TargetSession:         string(p.EffectiveTargetSession()),
		Auth:                  auth(p.Auth),
		Console:               podapi.Console{AdminUsers: p.Console.AdminUsers, StatsUsers: p.Console.StatsUsers},
	}
	for _, d := range p.Databases {
		out.Databases = append(out.Databases, podapi.Database{Name: d.Name, Target: d.EffectiveTarget()})
	}
	return out
}

// peers are the pods that have shares, whether they take new clients or not: those that leave still hold sessions. So the
// list changes when shares do, and not with each probe.
func peers(o *Observation, ledger budget.Ledger) []podapi.Peer {
	if !o.PodsKnown {
		return o.Document.Config.Peers
	}
	var all []podapi.Peer
	for _, p := range o.Pods {
		if _, known := ledger.Pods[p.UID]; known {
			all = append(all, podapi.Peer{UID: p.UID, Address: p.Address})
		}
	}
	slices.SortFunc(all, func(a, b podapi.Peer) int { return cmp.Compare(a.UID, b.UID) })
	return all
}

func auth(a v1alpha1.Auth) podapi.Auth {
	out := podapi.Auth{
		Method:           string(a.EffectiveMethod()),
		UsersSecret:      a.UsersSecretRef.Name,
		ServerUserSecret: a.ServerUserSecretRef.Name,
	}
	if l := a.Lookup; l.UserSecretRef.Name != "" {
		out.Lookup = &podapi.Lookup{UserSecret: l.UserSecretRef.Name, Database: l.Database, Query: l.Query, CacheSeconds: l.CacheSeconds}
	}
	for _, u := range a.CertificateUsers {
		out.CertificateUsers = append(out.CertificateUsers, podapi.CertificateUser{CommonName: u.CommonName, User: u.User})
	}
	return out
}

// shares are what each pod may use, by UID and destination.
func shares(o *Observation, ledger budget.Ledger) map[string]map[string]podapi.Share {
	all := map[string]map[string]podapi.Share{}
	for uid, a := range ledger.Pods {
		if a.GoneSince == 0 {
			all[uid] = map[string]podapi.Share{}
		}
	}
	for i := range o.Pool.Spec.Destinations {
		d := &o.Pool.Spec.Destinations[i]
		ranks := ranked(ledger, d.Name)
		var limits []int32
		for uid := range all {
			limits = append(limits, ledger.Pods[uid].Destinations[d.Name].Limit)
		}
		for uid := range all {
			limit := ledger.Pods[uid].Destinations[d.Name].Limit
			s := podapi.Share{MaxOpen: limit, MaxIdle: min(limit, d.MaxIdle()), MaxWaiting: podapi.Unlimited}
			if most := d.Limits.MaxOpenPerUser; most > 0 {
				s.MaxOpenPerUser = perUser(most, limit, limits)
			}
			if d.Limits.MaxWaiting != nil {
				s.MaxWaiting = part(*d.Limits.MaxWaiting, 0, len(all))
			}
			if rank := slices.Index(ranks, uid); rank >= 0 {
				if d.Limits.MaxIdle != nil {
					s.MaxIdle = min(limit, part(*d.Limits.MaxIdle, rank, len(ranks)))
				}
				s.MinIdle = min(s.MaxIdle, part(d.Limits.MinIdle, rank, len(ranks)))
			}
			all[uid][d.Name] = s
		}
	}
	return all
}

// perUser is what a user may have of the limit that a pod holds: one, and a part of what is left that is like the pod's part of
// limits, those of all pods. The parts are no more than most together, unless there are more pods that hold a limit.
func perUser(most, limit int32, limits []int32) int32 {
	var pods, sum int64
	for _, l := range limits {
		if l > 0 {
			pods, sum = pods+1, sum+int64(l)
		}
	}
	if left, others := int64(most)-pods, sum-pods; left > 0 && others > 0 && limit > 0 {
		return min(limit, 1+int32(left*int64(limit-1)/others))
	}
	return 1
}

// ranked are the pods between which idle connections are divided: those that stay and have a limit, the highest first.
func ranked(ledger budget.Ledger, destination string) []string {
	limit := func(uid string) int32 { return ledger.Pods[uid].Destinations[destination].Limit }
	var uids []string
	for uid, a := range ledger.Pods {
		if a.GoneSince == 0 && !a.Leaving && limit(uid) > 0 {
			uids = append(uids, uid)
		}
	}
	slices.SortFunc(uids, func(a, b string) int {
		return cmp.Or(cmp.Compare(limit(b), limit(a)), cmp.Compare(a, b))
	})
	return uids
}

// part is what the one of that rank gets when total is divided by n: what is left over goes to the first ranks.
func part(total int32, rank, n int) int32 {
	return int32((int(total) + n - 1 - rank) / n)
}
