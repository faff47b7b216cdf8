package postgres

import (
	"crypto/tls"
	"fmt"

	"github.com/weir-dev/weir/pooler/postgres/login"
	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// checkPassword begins the exchange of the client's user. A name without an account gets one, too.
func (en *entry) checkPassword(may bool, out []byte) ([]byte, login.Action) {
	user := en.login.Startup().User
	if en.account == nil && en.settings.Auth.Lookup != nil {
		if !may {
			return out, login.LookUpUser
		}
		account, err := en.lookUpAccount()
		if err != nil {
			return en.refuseLookup(err, out)
		}
		en.account = account
	}
	if en.account == nil {
		return en.login.SetUser(false, login.Credential{}, out)
	}
	if !may && !en.account.derived.Load() {
		return out, login.LookUpUser
	}
	credential, err := en.account.credential()
	if err != nil {
		en.engine.log.Warn("a user's password cannot be used", "user", user, "error", err)
		return en.login.SetUser(false, login.Credential{}, out)
	}
	return en.login.SetUser(true, credential, out)
}

// checkCertificate lets the client in as the user that its certificate says.
func (en *entry) checkCertificate(out []byte) ([]byte, login.Action) {
	user := en.login.Startup().User
	commonName := ""
	if secure, ok := en.net.(*tls.Conn); ok {
		if chains := secure.ConnectionState().VerifiedChains; len(chains) > 0 {
			commonName = chains[0][0].Subject.CommonName
		}
	}
	if en.settings.Auth.certifies(commonName, user) {
		return en.login.Accept(out)
	}
	return en.login.Refuse(login.Refusal{
		Report: wire.Fatal(wire.CodeInvalidAuthorization, fmt.Sprintf("certificate authentication failed for user \"%s\"", user)),
		Reason: fmt.Sprintf("the certificate's common name is %q", commonName),
	}, out)
}

// certifies says that the holder of a certificate may come in as user.
func (a Auth) certifies(commonName, user string) bool {
	if commonName == "" {
		return false
	}
	for _, c := range a.CertificateUsers {
		if c.CommonName == commonName && c.User == user {
			return true
		}
	}
	return a.CertificateUsers == nil && commonName == user
}

// canLogIn says that there is something to log in to the server with as the client's user. What the client has just proved
// is: it is remembered with the user's account.
func (en *entry) canLogIn() bool {
	if proven := en.login.Proven(); proven != nil && en.account != nil {
		en.account.logins.prove(proven)
	}
	return en.settings.certifies() || en.account != nil && len(en.account.logins.list()) > 0
}
