package pool

import (
	"cmp"
	"math"
	"slices"
)

// party is pools that may have only so many connections open together: all of a group, or those of one tenant (see
// Config.Tenant). Both are divided by the same rules, see divide.go.
type party[C any] struct {
	budget int // the most connections all its pools together may have open
	tally      // of all its pools
	pools  []*Pool[C]
	hungry []*Pool[C] // those with waiting clients
	proof  proof      //nolint:unused // see check
}

// spare is how many connections more may be opened, below zero if there are too many.
func (t *party[C]) spare() int { return t.budget - t.open() }

// over reports whether more is held than may be.
func (t *party[C]) over() bool { return t.held() > t.budget }

// over reports whether the pool, or one of its parties, holds more than it may.
func (p *Pool[C]) over() bool {
	if p.held() > p.limit() {
		return true
	}
	for _, t := range p.parties {
		if t.over() {
			return true
		}
	}
	return false
}

// join makes p, which has nothing open yet, one of the pools of the party.
func (t *party[C]) join(p *Pool[C]) {
	p.parties = append(p.parties, t)
	t.pools = append(t.pools, p)
}

// tenant is the party of those who share Config.TenantMax; nil if the pool has no tenant.
func (p *Pool[C]) tenant() *party[C] {
	if len(p.parties) < 2 {
		return nil
	}
	return p.parties[1]
}

// lodge makes a new pool one of its tenant's, if it has one.
func (p *Pool[C]) lodge() {
	g, name := p.group, p.cfg.Tenant
	if name == "" {
		return
	}
	if g.tenants[name] == nil {
		g.tenants[name] = new(party[C])
	}
	g.tenants[name].join(p)
	p.bound()
}

// bound sets what the tenant may have. The caller shrinks and serves.
func (p *Pool[C]) bound() {
	if t := p.tenant(); t != nil {
		t.budget = cmp.Or(p.cfg.TenantMax, math.MaxInt)
	}
}

// depart takes p, which has nothing open any more, out of its parties.
func (p *Pool[C]) depart() {
	for _, t := range p.parties {
		t.pools = without(t.pools, p)
	}
	if t := p.tenant(); t != nil && len(t.pools) == 0 {
		delete(p.group.tenants, p.cfg.Tenant)
	}
	p.parties = nil
}

func without[T comparable](all []T, gone T) []T {
	if i := slices.Index(all, gone); i >= 0 {
		return slices.Delete(all, i, i+1)
	}
	return all
}

// fullTenants is how many tenants have all that they may while clients of theirs wait.
func (g *group[C]) fullTenants() (n int) {
	for _, t := range g.tenants {
		if t.spare() <= 0 && len(t.hungry) > 0 {
			n++
		}
	}
	return n
}
