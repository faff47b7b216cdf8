package controlca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"
)

const (
	authorityLife  = 10 * 365 * 24 * time.Hour
	authoritySpare = 365 * 24 * time.Hour // less than this left: issue anew
	clientLife     = 24 * time.Hour
	clientSpare    = clientLife / 3 // less than this left: renew
	// clockSkew is how far the clocks of pods may lag behind the operator's.
	clockSkew = time.Hour

	authorityName = "weir control CA"
	clientName    = "weir-operator"
)

// Authority is the control CA. It is safe for concurrent use.
type Authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	now         func() time.Time

	mu     sync.Mutex
	client *tls.Certificate
}

// PEM is the CA's certificate, as pods need it.
func (a *Authority) PEM() string { return string(encodeCertificate(a.certificate.Raw)) }

// ClientCertificate is the certificate that the operator shows to pods. It is renewed before it expires.
func (a *Authority) ClientCertificate() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.client != nil && a.client.Leaf.NotAfter.Sub(now) > clientSpare {
		return a.client, nil
	}
	issued, err := a.issueClient(now)
	if err != nil {
		return nil, err
	}
	a.client = issued
	return issued, nil
}

func (a *Authority) issueClient(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the operator's key: %w", err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: clientName},
		NotBefore:   now.Add(-clockSkew),
		NotAfter:    now.Add(clientLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := sign(template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue the operator's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the operator's certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// newAuthority makes a CA with a new key.
func newAuthority(now func() time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the control CA's key: %w", err)
	}
	return certify(key, now)
}

// certify issues a CA certificate for the key, valid from now.
func certify(key *ecdsa.PrivateKey, now func() time.Time) (*Authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: authorityName},
		NotBefore:             now().Add(-clockSkew),
		NotAfter:              now().Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
	der, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("issue the control CA: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the control CA: %w", err)
	}
	return &Authority{key: key, certificate: certificate, now: now}, nil
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, template, parent, public, key)
}

// parse reads what encode wrote.
func parse(certificatePEM, keyPEM []byte, now func() time.Time) (*Authority, error) {
	pair, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("its key is not an ECDSA key")
	}
	if !pair.Leaf.IsCA {
		return nil, errors.New("its certificate is not one of a CA")
	}
	return &Authority{key: key, certificate: pair.Leaf, now: now}, nil
}

// encode writes certificate and key as PEM.
func (a *Authority) encode() (certificatePEM, keyPEM []byte, err error) {
	der, err := x509.MarshalECPrivateKey(a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the control CA's key: %w", err)
	}
	return encodeCertificate(a.certificate.Raw), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// expiresSoon says that the CA should be issued anew.
func (a *Authority) expiresSoon() bool { return a.certificate.NotAfter.Sub(a.now()) < authoritySpare }
