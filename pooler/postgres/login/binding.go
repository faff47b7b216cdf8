package login

import (
	"crypto"
	_ "crypto/sha256" // the hashes of bindings
	_ "crypto/sha512" //
	"crypto/x509"
)

// EndPointBinding returns what binds SCRAM-SHA-256-PLUS to the TLS connection on
// which the server has shown cert: the certificate's hash (tls-server-end-point,
// RFC 5929). It is nil for a certificate whose signature names no hash, such as one
// of Ed25519; PostgreSQL cannot bind to it either.
func EndPointBinding(cert *x509.Certificate) []byte {
	var hash crypto.Hash
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1, // too weak: the RFC says SHA-256
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.DSAWithSHA256, x509.ECDSAWithSHA256:
		hash = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		hash = crypto.SHA512
	default:
		return nil
	}
	h := hash.New()
	h.Write(cert.Raw)
	return h.Sum(nil)
}
