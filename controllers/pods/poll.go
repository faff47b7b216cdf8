package pods

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// Result is what a pod answered, or why it did not.
type Result struct {
	Pod   Pod
	State podapi.State // zero when Err is set
	Err   error        // the pod could not be asked, or its answer makes no sense
	At    time.Time    // when the pod was asked
}

// Poll asks each pod for its state, all at once, and returns an answer or an error for each, in their order. It takes no
// longer than the client's timeout plus the wait for a free call.
func (c *Client) Poll(ctx context.Context, pods []Pod) []Result {
	return c.each(pods, func(pod Pod) Result {
		at := c.options.Now()
		state, err := c.State(ctx, pod.UID)
		return Result{Pod: pod, State: state, Err: err, At: at}
	})
}

// PushAll sends the config to each pod, all at once, and asks each for the state that it then has. A pod that refuses the
// config still shows its state: what it runs counts, whatever it thinks of the push. The returned map holds the
// refusals and failures of pushes by UID, in words for the log.
func (c *Client) PushAll(ctx context.Context, pods []Pod, config []byte) ([]Result, map[string]error) {
	var mu sync.Mutex
	failed := map[string]error{}
	results := c.each(pods, func(pod Pod) Result {
		at := c.options.Now()
		if _, err := c.Push(ctx, pod.UID, config); err != nil {
			mu.Lock()
			failed[pod.UID] = err
			mu.Unlock()
			var refusal *Refusal
			if !errors.As(err, &refusal) {
				return Result{Pod: pod, Err: fmt.Errorf("push: %w", err), At: at}
			}
		}
		state, err := c.State(ctx, pod.UID)
		return Result{Pod: pod, State: state, Err: err, At: at}
	})
	return results, failed
}

// each calls ask for every pod at the same time and waits for all. The calls themselves are bounded by the client.
func (c *Client) each(pods []Pod, ask func(Pod) Result) []Result {
	results := make([]Result, len(pods))
	var wg sync.WaitGroup
	for i, pod := range pods {
		wg.Go(func() { results[i] = ask(pod) })
	}
	wg.Wait()
	return results
}
