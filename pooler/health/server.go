package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/weir-dev/weir/pooler/listen"
)

// DefaultAddress is where pods answer about their health.
const DefaultAddress = ":9901"

// Bounds of what a client may take. Metrics are the largest answer, by far.
const (
	maxConnections = 256
	maxHeader      = 16 << 10
	headerTime     = 5 * time.Second
	requestTime    = 15 * time.Second
	idleTime       = 30 * time.Second // no client holds a place for long that another could need
)

// Server answers about a pod's health.
type Server struct{ http *http.Server }

// New makes a Server. Unready tells why the pod should not get clients; nothing: it should.
func New(unready func() []string, metrics http.Handler, log *slog.Logger) *Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if reasons := unready(); len(reasons) > 0 {
			http.Error(w, "not ready:\n- "+strings.Join(reasons, "\n- "), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", metrics)
	return &Server{http: &http.Server{
		Handler:           mux,
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime,
		IdleTimeout:       idleTime,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

// Serve answers on a listener until Shutdown, which is no error.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.http.Serve(listen.Bounded(listener, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown closes the port once what is being answered is answered, or when ctx is done.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}
