package control

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
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-dev/weir/pooler/durable"
)

// lifetime is longer than any pod lives; who pins a certificate does not look at it.
const lifetime = 10 * 365 * 24 * time.Hour

// certificateFile holds the certificate and its key, as PEM.
const certificateFile = "control.pem"

// keptCertificate is the certificate that a pod shows: what an earlier process of it made and kept in dir, or else a new one,
// which is kept.
func keptCertificate(dir string) (tls.Certificate, error) {
	content, err := os.ReadFile(filepath.Join(dir, certificateFile))
	if err == nil {
		certificate, err := tls.X509KeyPair(content, content)
		if err == nil {
			return certificate, nil
		}
		return tls.Certificate{}, fmt.Errorf("read %s, the certificate by which the operator knows this pod (delete the pod): %w", certificateFile, err)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, err
	}
	content, err = selfMade()
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := durable.Write(dir, certificateFile, content); err != nil {
		return tls.Certificate{}, fmt.Errorf("keep the certificate: %w", err)
	}
	return tls.X509KeyPair(content, content)
}

// selfMade makes a certificate with its key, as PEM.
func selfMade() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	const name = "weir-pooler"
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    now.Add(-time.Hour), // clocks differ
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(content, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...), nil
}
