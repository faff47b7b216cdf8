package control

import (
	"net/http"
	"strconv"
	"time"

	"github.com/weir-dev/weir/pooler/podapi"
)

// lookEvery is how soon news are noticed.
const lookEvery = 200 * time.Millisecond

// awaitNews returns when there are other news than the request has seen, or when it has waited for as long as it wants. It
// reports false if the answer is of no use any more.
func (s *Server) awaitNews(w http.ResponseWriter, r *http.Request) bool {
	query := r.URL.Query()
	seconds, err := strconv.Atoi(query.Get(podapi.ParamWait))
	if err != nil || seconds <= 0 || !query.Has(podapi.ParamSeen) {
		return true
	}
	wait := time.Duration(min(seconds, podapi.MaxWaitSeconds)) * time.Second
	control := http.NewResponseController(w)
	last := time.Now().Add(wait + requestTime)
	if control.SetReadDeadline(last) != nil || control.SetWriteDeadline(last) != nil {
		return false
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for s.pod.News() == query.Get(podapi.ParamSeen) {
		select {
		case <-look.C:
		case <-over.C:
			return true
		case <-s.closing:
			return true
		case <-r.Context().Done():
			return false
		}
	}
	return true
}
