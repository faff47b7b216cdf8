package pool_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/pooler/pool"
)

func TestAConfigThatMakesNoSenseIsRefusedByTheNameOfItsField(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*pool.Config)
		want   string
	}{
		{"a negative Max", func(c *pool.Config) { c.Max = -1 }, "pool: Config.Max is -1: must not be negative"},
		{"an absurd Max", func(c *pool.Config) { c.Max = 2_000_000 }, "pool: Config.Max is 2000000: must not be above 1000000"},
		{"a negative Min", func(c *pool.Config) { c.Min = -2 }, "pool: Config.Min is -2: must not be negative"},
		{"a negative MinIdle", func(c *pool.Config) { c.MinIdle = -2 }, "pool: Config.MinIdle is -2: must not be negative"},
		{"a negative Reserve", func(c *pool.Config) { c.Reserve = -1 }, "pool: Config.Reserve is -1: must not be negative"},
		{"a Reserve that leaves nothing", func(c *pool.Config) { c.Reserve = 16 }, "pool: Config.Reserve is 16 but Max 16: it must be less"},
		{"a negative TenantMax", func(c *pool.Config) { c.TenantMax = -1 }, "pool: Config.TenantMax is -1: must not be negative"},
		{"a tenant without a name", func(c *pool.Config) { c.TenantMax = 8 }, "pool: Config.TenantMax is 8 but no Tenant is named"},
		{"a negative MaxDials", func(c *pool.Config) { c.MaxDials = -2 }, "pool: Config.MaxDials is -2: must not be negative"},
		{"a class that would starve", func(c *pool.Config) { c.Queue.Weights = [4]int{1, 0, 1, 1} },
			"pool: Config.Queue.Weights[1] is 0: must be 1 to 1000"},
		{"a negative DialTimeout", func(c *pool.Config) { c.DialTimeout = -time.Second }, "pool: Config.DialTimeout is -1s: must not be negative"},
		{"Min that MaxIdle would close", func(c *pool.Config) { c.Min, c.MaxIdle = 2, 0 },
			"pool: Config.Min is 2 but MaxIdle 0: connections would be closed and dialed again without end"},
		{"MinIdle that MaxIdle would close", func(c *pool.Config) { c.MinIdle, c.MaxIdle = 3, 2 },
			"pool: Config.MinIdle is 3 but MaxIdle 2: connections would be closed and dialed again without end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := pool.DefaultConfig()
			c.change(&cfg)
			if _, err := pool.New(cfg, new(world).hooks()); err == nil || err.Error() != c.want {
				t.Errorf("New: %v\nwant %s", err, c.want)
			}
			p, err := pool.New(pool.DefaultConfig(), new(world).hooks())
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close(context.Background())
			before := p.Config()
			if err := p.Configure(cfg); err == nil || err.Error() != c.want || p.Config() != before {
				t.Errorf("Configure: %v, or it changed something", err)
			}
		})
	}
}

func TestRequiredHooksAreAskedFor(t *testing.T) {
	h := new(world).hooks()
	if _, err := pool.New(pool.DefaultConfig(), pool.Hooks[*conn]{Close: h.Close}); err == nil || err.Error() != "pool: Hooks.Dial is required" {
		t.Errorf("got %v", err)
	}
	if _, err := pool.New(pool.DefaultConfig(), pool.Hooks[*conn]{Dial: h.Dial}); err == nil || err.Error() != "pool: Hooks.Close is required" {
		t.Errorf("got %v", err)
	}
}

func TestTheZeroConfigMeansWhatItsFieldsSay(t *testing.T) {
	p, err := pool.New(pool.Config{}, new(world).hooks())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	if c := p.Config(); c.CheckAfter != time.Second || c.DialTimeout != 10*time.Second || c.MaxDials != 32 {
		t.Errorf("%+v", c)
	}
	if _, err := p.Acquire(context.Background()); !errors.Is(err, pool.ErrQueueFull) {
		t.Errorf("with Max 0 and MaxWaiting 0 got %v, want ErrQueueFull", err)
	}
}

// FuzzConfig: New and Configure give an error that names the field, or a pool that works.
func FuzzConfig(f *testing.F) {
	f.Add(16, 0, 0, 16, int64(0), int64(0), int64(0), int64(0), 0, 0)
	f.Add(16, 2, 1, 16, int64(9e9), int64(9e9), int64(1), int64(9e9), 8, 9)
	f.Add(0, 0, 0, 0, int64(-1), int64(-1), int64(-1), int64(1), 1, -1)
	f.Add(1, 1, 1, 1, int64(1), int64(1), int64(1), int64(time.Hour), 1, 1)
	f.Add(-1, 5, 9, -7, int64(1)<<62, int64(1)<<62, int64(1)<<62, int64(1)<<62, 1<<40, 1<<62)
	f.Fuzz(func(t *testing.T, most, least, minIdle, maxIdle int, idleTime, lifetime, checkAfter, dialTimeout int64, maxDials, maxWaiting int) {
		cfg := pool.Config{
			Max: most, Min: least, MinIdle: minIdle, MaxIdle: maxIdle,
			IdleTime: time.Duration(idleTime), Lifetime: time.Duration(lifetime), CheckAfter: time.Duration(checkAfter),
			DialTimeout: time.Duration(dialTimeout), MaxDials: maxDials, MaxWaiting: maxWaiting,
			Ready: time.Duration(lifetime), Keepalive: time.Duration(checkAfter), LeakAfter: time.Duration(idleTime),
			Eager: maxDials%2 == 0, Queue: pool.Queue{Adaptive: minIdle%2 == 0},
			Reserve: maxDials % 4, Tenant: "app", TenantMax: maxWaiting % 4,
		}
		if max(least, minIdle) > 100 && most > 100 {
			t.Skip("would dial that many")
		}
		hooks := pool.Hooks[*conn]{
			Dial:  func(context.Context) (*conn, error) { return new(conn), nil },
			Check: func(context.Context, *conn) error { return nil },
			Close: func(*conn) {},
		}
		p, err := pool.New(cfg, hooks)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "pool: Config.") {
				t.Fatalf("the error names no field: %v", err)
			}
			if p, err = pool.New(pool.DefaultConfig(), hooks); err != nil {
				t.Fatal(err)
			}
			if p.Configure(cfg) == nil {
				t.Fatal("New refused what Configure takes")
			}
			cfg = p.Config()
		}
		defer p.Close(context.Background())
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if cfg.Max == 0 {
			if _, ok := p.TryAcquire(); ok {
				t.Fatal("lent with Max 0")
			}
			return
		}
		for range 2 {
			l, err := p.Acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			l.Release()
		}
		if s := p.Stats(); s.Open > cfg.Max {
			t.Fatalf("%d open, Max %d", s.Open, cfg.Max)
		}
	})
}
