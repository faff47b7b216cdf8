package pods

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

const (
	// attendWait is how long a pod without news lets a question open: as long as its last State counts as present.
	attendWait = 10 * time.Second
	// attendPause bounds how often a pod can have news.
	attendPause = time.Second
)

// attend keeps a question open at a pod that answers, so that its news are heard at once and its State is never old. It ends
// when the pod is forgotten, or with the first call that fails: the next that is answered begins another.
func (c *Client) attend(ctx context.Context, uid string, pod *contact, seen string) {
	defer c.attending.Done()
	defer c.unattended(pod)
	for {
		begun := time.Now()
		state, err := c.awaitNews(ctx, uid, seen)
		if err != nil {
			return
		}
		pause := attendPause
		switch {
		case state.News != seen:
			seen = state.News
			c.metrics.news.Inc()
			c.options.News(pod.pool)
		case time.Since(begun) < attendWait: // a pod of an older release answers at once
			pause = attendWait - time.Since(begun)
		default:
			pause = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// awaitNews asks a pod for its State when it has other news than those seen, or after attendWait.
func (c *Client) awaitNews(ctx context.Context, uid, seen string) (podapi.State, error) {
	ctx, cancel := context.WithTimeout(ctx, attendWait+c.options.Timeout)
	defer cancel()
	query := url.Values{
		podapi.ParamWait: {strconv.Itoa(int(attendWait / time.Second))},
		podapi.ParamSeen: {seen},
	}
	var state podapi.State
	if err := c.roundTrip(ctx, uid, http.MethodGet, podapi.PathState+"?"+query.Encode(), nil, &state); err != nil {
		return podapi.State{}, err
	}
	return state, c.note(uid, &state)
}

// note remembers what a pod answered, if it makes sense, and attends to the pod from then on.
func (c *Client) note(uid string, state *podapi.State) error {
	if state.Version != podapi.Version {
		return fmt.Errorf("it speaks version %d of the state, this operator speaks %d", state.Version, podapi.Version)
	}
	if state.PodUID != uid {
		return fmt.Errorf("pod %q answers in place of %q", state.PodUID, uid)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.pods[uid]
	if known == nil {
		return nil
	}
	known.last, known.lastAt = state, c.options.Now()
	if c.options.News != nil && known.leave == nil && c.ctx.Err() == nil {
		ctx, cancel := context.WithCancel(c.ctx)
		known.leave = cancel
		c.attending.Add(1)
		go c.attend(ctx, uid, known, state.News)
	}
	return nil
}

// unattended notes that nobody attends to the pod any more.
func (c *Client) unattended(pod *contact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pod.leave()
	pod.leave = nil
}

// heard says whether what a pod answered last is young enough, and nothing it said calls for a closer look.
func (c *Client) heard(uid string, age time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.pods[uid]
	return known != nil && known.leave != nil && known.last != nil && known.last.News == "" && c.options.Now().Sub(known.lastAt) <= age
}
