package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/weir-dev/weir/pooler/postgres/login"
)

// clientTLS is the policy's part in what a handshake with a client demands.
func clientTLS(t ClientTLS) *tls.Config {
	if t.Policy == TLSDisabled || t.Config == nil {
		return nil
	}
	return demand(t.Config, t.Policy)
}

func demand(base *tls.Config, policy ClientTLSPolicy) *tls.Config {
	cfg := base.Clone()
	cfg.NextProtos = []string{login.ALPN}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.SessionTicketsDisabled = true // as in PostgreSQL: each handshake shows and verifies the certificates of its time
	cfg.GetCertificate, cfg.Certificates = noting(base), nil
	cfg.DynamicRecordSizingDisabled = true // a reply is written at once
	if policy == TLSMutual {
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if choose := base.GetConfigForClient; choose != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			other, err := choose(hello)
			if other == nil || err != nil {
				return nil, err
			}
			return demand(other, policy), nil
		}
	}
	return cfg
}

// shownCertificate is the certificate that a handshake has shown.
type shownCertificate struct{ *tls.Certificate }

type shownKey struct{}

// watchCertificate returns a context for a handshake that notes the certificate it shows: crypto/tls does not tell.
func watchCertificate(ctx context.Context) (*shownCertificate, context.Context) {
	shown := &shownCertificate{}
	return shown, context.WithValue(ctx, shownKey{}, shown)
}

// noting chooses the certificate as base does, and notes it.
func noting(base *tls.Config) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := chosen(base, hello)
		if shown, ok := hello.Context().Value(shownKey{}).(*shownCertificate); ok {
			shown.Certificate = cert
		}
		return cert, err
	}
}

func chosen(base *tls.Config, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if base.GetCertificate != nil {
		if cert, err := base.GetCertificate(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range base.Certificates {
		if hello.SupportsCertificate(&base.Certificates[i]) == nil {
			return &base.Certificates[i], nil
		}
	}
	if len(base.Certificates) > 0 {
		return &base.Certificates[0], nil
	}
	return nil, errors.New("there is no certificate")
}

// binding is what SCRAM-SHA-256-PLUS binds to; nil: nothing.
func (s *shownCertificate) binding() []byte {
	if s.Certificate == nil {
		return nil
	}
	leaf := s.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(s.Certificate.Certificate[0]); err != nil {
			return nil
		}
	}
	return login.EndPointBinding(leaf)
}

// serverTLS is what a handshake with a server demands; like libpq, only VerifyFull looks at the host's name.
func serverTLS(t ServerTLS, host string) *tls.Config {
	cfg := &tls.Config{}
	if t.Config != nil {
		cfg = t.Config.Clone()
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.NextProtos = []string{login.ALPN}
	cfg.ServerName = host
	switch t.Mode {
	case VerifyFull:
		cfg.InsecureSkipVerify = false
	case VerifyCA:
		cfg.InsecureSkipVerify = true // of the name; the chain is verified here
		cfg.VerifyConnection = verifyChain(cfg.RootCAs)
	default:
		cfg.InsecureSkipVerify = true
	}
	return cfg
}

func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(opts)
		return err
	}
}

// loginTLS is the machine's view of a mode.
func (m TLSMode) loginTLS() login.ServerTLS {
	switch m {
	case Disable:
		return login.ServerTLSDisable
	case Prefer:
		return login.ServerTLSPrefer
	}
	return login.ServerTLSRequire
}

func (p ClientTLSPolicy) loginTLS() login.TLSPolicy {
	switch p {
	case TLSOptional:
		return login.TLSOptional
	case TLSRequired:
		return login.TLSRequired
	case TLSMutual:
		return login.TLSMutual
	}
	return login.TLSDisabled
}
