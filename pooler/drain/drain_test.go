package drain

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// course notes when each step began.
type course struct {
	start time.Time
	steps []string
	at    []time.Duration
}

func (c *course) step(name string, time_ time.Duration, do func(context.Context) error) Step {
	return Step{Name: name, Time: time_, Do: func(ctx context.Context) error {
		c.steps = append(c.steps, name)
		c.at = append(c.at, time.Since(c.start))
		return do(ctx)
	}}
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestStepsAreDoneInOrderEachInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &course{start: time.Now()}
		err := Run(silent(), nil, []Step{
			c.step("announce", 5*time.Second, Wait),
			c.step("stop", time.Second, func(context.Context) error { return nil }),
			c.step("let go", time.Minute, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
			c.step("close", time.Second, func(context.Context) error { return nil }),
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error of a step is returned, got %v", err)
		}
		if !slices.Equal(c.steps, []string{"announce", "stop", "let go", "close"}) {
			t.Errorf("order %v", c.steps)
		}
		if want := []time.Duration{0, 5 * time.Second, 5 * time.Second, 65 * time.Second}; !slices.Equal(c.at, want) {
			t.Errorf("times %v, want %v", c.at, want)
		}
	})
}

func TestToBeHastenedEndsTheTimeOfAllStepsButSkipsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hasten := make(chan struct{})
		time.AfterFunc(8*time.Second, func() { close(hasten) })
		c := &course{start: time.Now()}
		err := Run(silent(), hasten, []Step{
			c.step("announce", 5*time.Second, Wait),
			c.step("let go", time.Minute, Wait),
			c.step("close", time.Second, func(ctx context.Context) error {
				if ctx.Err() == nil {
					t.Error("a later step has time left although it was hastened")
				}
				return nil
			}),
			c.step("farewell", 3*time.Second, Wait),
		})
		if err != nil {
			t.Error(err)
		}
		if want := []time.Duration{0, 5 * time.Second, 8 * time.Second, 8 * time.Second}; !slices.Equal(c.at, want) {
			t.Errorf("times %v, want %v", c.at, want)
		}
	})
}
