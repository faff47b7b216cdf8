package control

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/weir-dev/weir/pooler/agent"
	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/listen"
	"github.com/weir-dev/weir/pooler/podapi"
)

// DefaultAddress is where pods listen for the operator.
const DefaultAddress = ":9902"

// Bounds of what a client may take.
const (
	maxConnections = 64
	maxHeader      = 16 << 10
	headerTime     = 5 * time.Second // the TLS handshake too
	requestTime    = 10 * time.Second
	idleTime       = 2 * time.Minute // longer than the operator's slowest poll
)

// Pod is what the port drives.
type Pod interface {
	Push(document []byte) (podapi.Applied, error)
	State() podapi.State
	News() string            // State().News
	Trusted() *x509.CertPool // whose certificates are let in
}

// Server is the control port.
type Server struct {
	pod  Pod
	log  *slog.Logger
	http *http.Server

	closing chan struct{} // closed by Shutdown: nobody waits for news any more
}

// New makes a Server. Its certificate is kept in a directory that outlives the process: the operator knows the pod by it.
func New(pod Pod, stateDir string, log *slog.Logger) (*Server, error) {
	certificate, err := keptCertificate(stateDir)
	if err != nil {
		return nil, err
	}
	s := &Server{pod: pod, log: log, closing: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+podapi.PathConfig, s.putConfig)
	mux.HandleFunc("GET "+podapi.PathState, s.getState)
	s.http = &http.Server{
		Handler: s.trusted(mux),
		TLSConfig: &tls.Config{
			MinVersion:             tls.VersionTLS13,
			Certificates:           []tls.Certificate{certificate},
			ClientAuth:             tls.RequireAnyClientCert,
			VerifyConnection:       s.verify,
			NextProtos:             []string{"http/1.1"},
			SessionTicketsDisabled: true,
		},
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){},
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime,
		IdleTimeout:       idleTime,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // strangers must not fill the log
	}
	s.http.RegisterOnShutdown(sync.OnceFunc(func() { close(s.closing) }))
	return s, nil
}

// Serve answers on a listener until Shutdown, which is no error.
func (s *Server) Serve(listener net.Listener) error {
	err := s.http.ServeTLS(listen.Bounded(listener, maxConnections), "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown closes the port once what is being answered is answered, or when ctx is done.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// verify tells whether the client may come in.
func (s *Server) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("no client certificate")
	}
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots:         s.pod.Trusted(),
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

// trusted lets requests through whose client is still to be let in.
func (s *Server) trusted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || s.verify(*r.TLS) != nil {
			w.Header().Set("Connection", "close")
			http.Error(w, "the client certificate is not trusted any more", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) putConfig(w http.ResponseWriter, r *http.Request) {
	document, err := io.ReadAll(http.MaxBytesReader(w, r.Body, podapi.MaxConfigBytes))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		s.refuse(w, http.StatusRequestEntityTooLarge, tooLarge)
		return
	}
	if err != nil {
		s.refuse(w, http.StatusBadRequest, err)
		return
	}
	applied, err := s.pod.Push(document)
	if err != nil {
		s.refuse(w, statusOf(err), err)
		return
	}
	s.answer(w, applied)
}

// statusOf is the status code of a push that was refused.
func statusOf(err error) int {
	if _, ok := errors.AsType[*config.Invalid](err); ok {
		return http.StatusUnprocessableEntity
	}
	switch {
	case errors.Is(err, agent.ErrStale):
		return http.StatusConflict
	case errors.Is(err, agent.ErrForeign):
		return http.StatusUnprocessableEntity
	}
	return http.StatusServiceUnavailable
}

func (s *Server) getState(w http.ResponseWriter, r *http.Request) {
	if s.awaitNews(w, r) {
		s.answer(w, s.pod.State())
	}
}

func (s *Server) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Debug("the operator did not take its answer", "error", err)
	}
}

func (s *Server) refuse(w http.ResponseWriter, status int, err error) {
	s.log.Warn("a push is refused", "status", status, "error", err)
	http.Error(w, err.Error(), status)
}
