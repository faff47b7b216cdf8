package pool

import (
	"fmt"
	"math"
	"time"
)

// Unlimited is the Config.MaxWaiting that lets any number of clients wait.
const Unlimited = -1

const (
	defaultCheckAfter  = time.Second
	defaultDialTimeout = 10 * time.Second
	defaultMaxDials    = 32
	largest            = 1_000_000 // no server takes more; larger numbers are mistakes
)

// Config says how a Pool keeps its connections. It can be changed while the pool runs, see Pool.Configure.
// Start from DefaultConfig and change what differs; each field tells what zero means.
//
// IdleTime, Lifetime, CheckAfter, Keepalive and LeakAfter are kept to a quarter of a second.
type Config struct {
	Max     int // connections open at once, dials included; 0: nothing is dialed or lent, clients wait
	Min     int // kept open, lent or not, as far as Max (and a Set's budget) allows; 0: none
	MinIdle int // kept idle, as far as Max allows; 0: none
	MaxIdle int // more than this are closed when released; <= 0 keeps none. Not less than Min or MinIdle

	// Reserve is how many of Max are lent only to clients of class 3 (see Class): those of other classes have no more than
	// Max - Reserve at one time, though one at least. 0: none; less than Max.
	Reserve int

	// TenantMax is how many connections the pools of a Set that name the same Tenant have open together, beside what each may
	// have; it is divided between them as the budget is. They should agree: the last to be configured decides. 0: no limit.
	// Tenant is for the life of the pool, and appears in a WaitError: "user app", say. Empty: none.
	TenantMax int
	Tenant    string

	IdleTime time.Duration // above Min and MinIdle, an idle connection is closed after this; <= 0: never
	Lifetime time.Duration // a connection is closed after a time drawn once from [0.9, 1)·Lifetime; <= 0: never. If it will be missed and Max allows, another is dialed first

	// Ready is how long a peak of demand is remembered. For R leases at one time lately, R + 2·√R connections are kept open as
	// far as Max and MaxIdle allow: one at a time is dialed when fewer are, and of what is above and idle for longer than
	// IdleTime a tenth is closed each second. <= 0: connections are dialed only for clients, Min and MinIdle. DefaultConfig: 2 min
	Ready time.Duration

	// Eager dials for each waiting client at once. Otherwise the connections that others will release before a dial would
	// be through count as coming, by the rate of releases; who has waited for as long as a dial takes gets one dialed.
	Eager bool

	CheckAfter  time.Duration // a connection idle for longer is checked before it is lent; 0: 1 s, < 0: never
	Keepalive   time.Duration // an idle connection is checked this often, spread out, and is not lent meanwhile; <= 0: never
	DialTimeout time.Duration // for one dial with its handshake, one check, one reset; 0: 10 s
	MaxDials    int           // parallel dials at most, fewer after a failure; 0: 32

	// A lease held for longer than LeakAfter is reported once, as the Event Leaked that tells where it was acquired. <= 0: never.
	// Otherwise each Acquire notes its callers, which costs about a microsecond and an allocation.
	LeakAfter time.Duration

	// MaxWaiting is how many clients may wait for connections that others hold; more get ErrQueueFull. Clients for whom
	// the pool still has a place (Max minus lent) do not count, as a connection can be opened for them: so 0 refuses at once
	// when all connections are lent, and not while the pool warms up. Unlimited (< 0): any number.
	MaxWaiting int

	Queue Queue // the order of waiting clients; the zero Queue serves first who came first in each class
}

// Queue is the order in which clients that wait are served.
type Queue struct {
	// Weights are the turns that the classes 0 to 3 get while clients of each wait (see Class). All 0: 1, 2, 4, 8.
	// Otherwise each is 1 to 1000, so that no class starves.
	Weights [classes]int

	// Adaptive sheds load when the queue stands, that is, does not empty any more: the newest clients, who may still be in
	// time, are then served first, and those who wait for much longer than leases are held get ErrShed. See Patient.
	Adaptive bool
}

// DefaultConfig is a pool of at most 16 connections which all stay for ten idle minutes and live for an hour; 10,000 clients may wait.
func DefaultConfig() Config {
	return Config{
		Max:         16,
		MaxIdle:     math.MaxInt,
		IdleTime:    10 * time.Minute,
		Lifetime:    time.Hour,
		Ready:       forgetsIn,
		CheckAfter:  defaultCheckAfter,
		DialTimeout: defaultDialTimeout,
		MaxDials:    defaultMaxDials,
		MaxWaiting:  10_000,
	}
}

// Validate reports the first field that makes no sense, by name. New and Configure call it.
func (c Config) Validate() error {
	for _, f := range []struct {
		name        string
		value, most int
	}{
		{"Max", c.Max, largest}, {"Min", c.Min, c.MaxIdle}, {"MinIdle", c.MinIdle, c.MaxIdle}, {"MaxDials", c.MaxDials, largest},
		{"Reserve", c.Reserve, largest}, {"TenantMax", c.TenantMax, largest},
	} {
		switch {
		case f.value < 0:
			return fmt.Errorf("pool: Config.%s is %d: must not be negative", f.name, f.value)
		case f.value > largest:
			return fmt.Errorf("pool: Config.%s is %d: must not be above %d", f.name, f.value, largest)
		case f.value > max(f.most, 0):
			return fmt.Errorf("pool: Config.%s is %d but MaxIdle %d: connections would be closed and dialed again without end", f.name, f.value, c.MaxIdle)
		}
	}
	if c.Reserve > 0 && c.Reserve >= c.Max {
		return fmt.Errorf("pool: Config.Reserve is %d but Max %d: it must be less", c.Reserve, c.Max)
	}
	if c.TenantMax > 0 && c.Tenant == "" {
		return fmt.Errorf("pool: Config.TenantMax is %d but no Tenant is named", c.TenantMax)
	}
	if c.Queue.Weights != [classes]int{} {
		for class, weight := range c.Queue.Weights {
			if weight < 1 || weight > 1000 {
				return fmt.Errorf("pool: Config.Queue.Weights[%d] is %d: must be 1 to 1000", class, weight)
			}
		}
	}
	if c.DialTimeout < 0 {
		return fmt.Errorf("pool: Config.DialTimeout is %v: must not be negative", c.DialTimeout)
	}
	return nil
}

// replaces reports what keeps c from replacing the Config of a pool.
func (c Config) replaces(old *Config) error {
	if c.Tenant != old.Tenant {
		return fmt.Errorf("pool: Config.Tenant is %q but was %q: a pool keeps its tenant", c.Tenant, old.Tenant)
	}
	return c.Validate()
}

// withDefaults replaces the zeros that stand for a default.
func (c Config) withDefaults() Config {
	if c.CheckAfter == 0 {
		c.CheckAfter = defaultCheckAfter
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = defaultDialTimeout
	}
	if c.MaxDials == 0 {
		c.MaxDials = defaultMaxDials
	}
	if c.Queue.Weights == [classes]int{} {
		c.Queue.Weights = defaultWeights
	}
	return c
}
