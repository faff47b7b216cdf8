package podtest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// news is the word for what the operator should look at. mu is held.
func (p *Pod) news() string {
	if p.draining {
		return "leaving"
	}
	for _, d := range p.config.Destinations {
		if p.wanted[d.Name] > p.limit(d.Name) {
			return "short"
		}
	}
	return ""
}

// shake lets those look who wait for news. mu is held.
func (p *Pod) shake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// awaitNews keeps a question open as a real pod does. It reports false if nobody waits for the answer any more.
func (p *Pod) awaitNews(r *http.Request) bool {
	seconds, err := strconv.Atoi(r.URL.Query().Get(podapi.ParamWait))
	if err != nil {
		return true
	}
	over := time.NewTimer(time.Duration(seconds) * time.Second)
	defer over.Stop()
	for {
		p.mu.Lock()
		news, changed := p.news(), p.changed
		p.mu.Unlock()
		if news != r.URL.Query().Get(podapi.ParamSeen) {
			return true
		}
		select {
		case <-changed:
		case <-over.C:
			return true
		case <-p.stopped:
			return false
		case <-r.Context().Done():
			return false
		}
	}
}
