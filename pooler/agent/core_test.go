package agent

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/pooler/podapi"
)

// granted is a Config with a ledger that grants this pod a limit.
func granted(ledger int64, limit int32) podapi.Config {
	return podapi.Config{
		Version: podapi.Version, Pool: "shop/orders", Generation: ledger * 10, Ledger: ledger,
		Destinations: []podapi.Destination{{Name: "main"}},
		Shares:       map[string]map[string]podapi.Share{"uid": {"main": {MaxOpen: limit, MinIdle: 2}}},
	}
}

func push(t *testing.T, c Core, config podapi.Config) Core {
	t.Helper()
	next, changed, err := c.Push(config)
	if err != nil || !changed {
		t.Fatalf("ledger %d: changed %v, error %v", config.Ledger, changed, err)
	}
	return next
}

func TestTheMountedConfigBringsNoShares(t *testing.T) {
	c, runs := NewCore("uid").Mounted(granted(5, 10))
	if !runs || c.Config().Generation != 50 {
		t.Fatal("it should run")
	}
	if c.Ledger() != 0 || c.Share("main").MaxOpen != 0 {
		t.Fatalf("ledger %d, limit %d: only a push brings shares", c.Ledger(), c.Share("main").MaxOpen)
	}
	if c = push(t, c, granted(5, 10)); c.Share("main").MaxOpen != 10 || c.Ledger() != 5 {
		t.Fatal("the push of what is mounted brings them")
	}
}

func TestAfterARestartSharesAreThoseOfTheLastPushAndTheRestIsTheNewest(t *testing.T) {
	for name, test := range map[string]struct {
		kept, mounted int64
		generation    int64
	}{
		"the mounted one is newer": {4, 6, 60},
		"the mounted one lags":     {6, 4, 60},
		"both are the same":        {6, 6, 60},
	} {
		t.Run(name, func(t *testing.T) {
			c := NewCore("uid").Kept(granted(test.kept, 7))
			c, _ = c.Mounted(granted(test.mounted, 99))
			if c.Config().Generation != test.generation || c.Ledger() != test.kept || c.Share("main").MaxOpen != 7 {
				t.Fatalf("generation %d, ledger %d, limit %d", c.Config().Generation, c.Ledger(), c.Share("main").MaxOpen)
			}
		})
	}
}

func TestWhatIsOlderOrOfAnotherPoolIsRefused(t *testing.T) {
	c := push(t, NewCore("uid"), granted(5, 10))
	if _, _, err := c.Push(granted(4, 20)); !errors.Is(err, ErrStale) {
		t.Errorf("older: %v", err)
	}
	same, changed, err := c.Push(granted(5, 20))
	if changed || err != nil || same.Share("main").MaxOpen != 10 {
		t.Errorf("equal: changed %v, error %v", changed, err)
	}
	other := granted(6, 20)
	other.Pool = "shop/invoices"
	if _, _, err := c.Push(other); !errors.Is(err, ErrForeign) {
		t.Errorf("another pool: %v", err)
	}
	if after, runs := c.Mounted(other); runs || after.Config().Pool != "shop/orders" {
		t.Error("another pool's mounted Config runs")
	}
}

func TestAPodThatIsNotNamedHasNoLimitAndItsClientsWait(t *testing.T) {
	c := push(t, NewCore("somebody else"), granted(5, 10))
	if s := c.Share("main"); s.MaxOpen != 0 || s.MaxWaiting != podapi.Unlimited {
		t.Fatalf("%+v", s)
	}
	c = push(t, push(t, NewCore("uid"), granted(5, 10)), podapi.Config{Pool: "shop/orders", Ledger: 6})
	if s := c.Share("main"); s.MaxOpen != 0 {
		t.Fatalf("a pod that is not named any more: %+v", s)
	}
}

func TestALeavingPodsLimitsOnlyFall(t *testing.T) {
	c := push(t, NewCore("uid"), granted(1, 10)).Drain()
	for ledger, step := range []struct{ granted, want int32 }{{20, 10}, {4, 4}, {8, 4}, {0, 0}, {9, 0}} {
		c = push(t, c, granted(int64(ledger)+2, step.granted)).Drain()
		if got := c.Share("main"); got.MaxOpen != step.want || got.MinIdle > step.want {
			t.Errorf("granted %d: %+v, want %d", step.granted, got, step.want)
		}
	}
	if c.Share("new").MaxOpen != 0 {
		t.Error("a destination that is new to a leaving pod has a limit")
	}
}

// The rules that the operator's ledger builds on, for any history.
func TestCoreKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewCore("uid")
		limits := map[int64]int32{0: 0} // granted by each ledger; one ledger never grants two things
		grant := func() podapi.Config {
			ledger := rapid.Int64Range(1, 12).Draw(t, "ledger")
			if _, ok := limits[ledger]; !ok {
				limits[ledger] = rapid.Int32Range(0, 20).Draw(t, "limit")
			}
			return granted(ledger, limits[ledger])
		}
		var kept *podapi.Config // what a restart would find
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			before, draining := c, c.Draining()
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				config := grant()
				next, changed, err := c.Push(config)
				if (err == nil) != (config.Ledger >= c.Ledger()) || changed != (config.Ledger > c.Ledger()) {
					t.Fatalf("push %d on %d: changed %v, error %v", config.Ledger, c.Ledger(), changed, err)
				}
				if changed {
					kept = &config
				}
				c = next
			case 1:
				c, _ = c.Mounted(grant())
			case 2: // the container restarts
				c = NewCore("uid")
				if kept != nil {
					c = c.Kept(*kept)
				}
				draining = false
			case 3:
				c = c.Drain()
			}
			limit := c.Share("main").MaxOpen
			if c.Ledger() < before.Ledger() {
				t.Fatalf("the ledger fell from %d to %d", before.Ledger(), c.Ledger())
			}
			if !c.Draining() && limit != limits[c.Ledger()] {
				t.Fatalf("limit %d, but ledger %d grants %d", limit, c.Ledger(), limits[c.Ledger()])
			}
			if limit > limits[c.Ledger()] || draining && limit > before.Share("main").MaxOpen {
				t.Fatalf("limit %d rose while the pod leaves", limit)
			}
		}
	})
}
