package pods

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// Result is what came of asking a pod.
type Result struct {
	Pod Pod
	// State is what the pod answered last, now or at an earlier time; nil if it never answered this Client.
	State *podapi.State
	At    time.Time // when it answered with State
	// Err says why State is not of now: the pod could not be asked, or its answer made no sense.
	Err error
}

// Poll asks each pod for its state, all at once, and returns a result for each, in their order. It takes no longer than
// the client's timeout plus the wait for a free call. Pods that are attended to and have no news are not asked if all of them
// have answered within age.
func (c *Client) Poll(ctx context.Context, pods []Pod, age time.Duration) []Result {
	calm := age > 0 && !slices.ContainsFunc(pods, func(pod Pod) bool { return !c.heard(pod.UID, age) })
	return c.each(pods, func(pod Pod) error {
		if calm {
			return nil
		}
		_, err := c.State(ctx, pod.UID)
		return err
	})
}

// PushAll sends the config to each pod, all at once, and asks each for the state that it then has. A pod that refuses the
// config still shows its state: what it runs counts, whatever it thinks of the push. The returned map holds what went
// wrong with the pushes, by UID.
func (c *Client) PushAll(ctx context.Context, pods []Pod, config []byte) ([]Result, map[string]error) {
	var mu sync.Mutex
	failed := map[string]error{}
	results := c.each(pods, func(pod Pod) error {
		if _, err := c.Push(ctx, pod.UID, config); err != nil {
			mu.Lock()
			failed[pod.UID] = err
			mu.Unlock()
			var refusal *Refusal
			if !errors.As(err, &refusal) {
				return fmt.Errorf("push: %w", err)
			}
		}
		_, err := c.State(ctx, pod.UID)
		return err
	})
	return results, failed
}

// each calls ask for every pod at the same time and waits for all. The calls themselves are bounded by the client.
func (c *Client) each(pods []Pod, ask func(Pod) error) []Result {
	results := make([]Result, len(pods))
	var wg sync.WaitGroup
	for i, pod := range pods {
		wg.Go(func() {
			err := ask(pod)
			state, at := c.lastState(pod.UID)
			results[i] = Result{Pod: pod, State: state, At: at, Err: err}
		})
	}
	wg.Wait()
	return results
}
