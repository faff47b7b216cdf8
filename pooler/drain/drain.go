package drain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Step is one step of leaving.
type Step struct {
	Name string
	Time time.Duration                   // after which the context of Do is done
	Do   func(ctx context.Context) error // returns soon after ctx is done
}

// Run does the steps in order. When hasten is closed, the time of all steps is over. An error of a step is logged and
// returned at the end; it keeps no later step from being done.
func Run(log *slog.Logger, hasten <-chan struct{}, steps []Step) error {
	whole, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-hasten:
			cancel()
		case <-done:
		}
	}()
	defer func() { close(done); <-watched }()

	var errs []error
	for _, step := range steps {
		begun := time.Now()
		ctx, end := context.WithTimeout(whole, step.Time)
		err := step.Do(ctx)
		end()
		log.Info("leaving", "step", step.Name, "took", time.Since(begun).Round(time.Millisecond).String(), "error", err)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Wait is the Do of a step that only takes its time.
func Wait(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
