package postgres

import (
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
	if policy == TLSMutual {
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if choose := base.GetConfigForClient; choose != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			return demand(chosen, policy), nil
		}
	}
	return cfg
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
