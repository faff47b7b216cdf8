package pods_test

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/controllers/pods"
)

// attended is a client that hears of news.
func (g *ground) attended() (*pods.Client, <-chan string) {
	news := make(chan string, 10)
	client := pods.New(pods.Options{
		Certificate: g.authority.ClientCertificate, Dial: g.network.Dial, Now: g.clock, Timeout: 5 * time.Second,
		News: func(pool string) { news <- pool },
	})
	g.Cleanup(client.Close)
	return client, news
}

func TestNewsOfAPodAreHeardAndAreThenNoNews(t *testing.T) {
	g := newGround(t)
	running, pod := g.pod("a", "10.0.0.1")
	client, news := g.attended()
	client.Meet(pool, []pods.Pod{pod})
	if _, err := client.Push(t.Context(), "a", config(t, 7, map[string]int32{"a": 5})); err != nil {
		t.Fatal(err)
	}
	if _, err := client.State(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	running.SetWanted("orders", 9)
	if got := <-news; got != pool {
		t.Errorf("news of %q", got)
	}
	running.SetWanted("orders", 10) // short as before
	running.SetWanted("orders", 1)
	if got := <-news; got != pool {
		t.Errorf("news of %q", got)
	}
	if len(news) > 0 {
		t.Error("the same is news again")
	}
}

func TestAPoolInCalmIsNotPolled(t *testing.T) {
	g := newGround(t)
	running, pod := g.pod("a", "10.0.0.1")
	other, neighbour := g.pod("b", "10.0.0.2")
	client, _ := g.attended()
	all := []pods.Pod{pod, neighbour}
	client.Meet(pool, all)
	polls := func(age time.Duration) int {
		before := running.Polls() + other.Polls()
		for _, result := range client.Poll(t.Context(), all, age) {
			if result.Err != nil || result.State == nil {
				t.Errorf("%+v", result)
			}
		}
		return running.Polls() + other.Polls() - before
	}
	if got := polls(time.Minute); got != 2 {
		t.Errorf("pods of which nothing is known are asked %d times", got)
	}
	if got := polls(time.Minute); got != 0 {
		t.Errorf("in calm they are asked %d times", got)
	}
	if got := polls(0); got != 2 {
		t.Errorf("while something moves they are asked %d times", got)
	}
	g.advance(time.Hour)
	if got := polls(time.Minute); got != 2 {
		t.Errorf("pods that were not heard of for long are asked %d times", got)
	}
}
