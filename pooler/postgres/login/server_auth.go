package login

import (
	"fmt"

	"github.com/weir-dev/weir/pooler/postgres/wire"
)

// authenticate takes an Authentication message. A server asks in one way only, and
// one that has begun SCRAM cannot end it without its signature.
func (s *Server) authenticate(body []byte) Action {
	request, data, err := wire.ParseAuthentication(body)
	if err != nil {
		return s.fail(fmt.Errorf("read Authentication: %w", err))
	}
	switch s.state {
	case serverAsksAuth:
		return s.asked(request, data)
	case serverInSASL:
		if request == wire.AuthSASLContinue {
			return s.prove(data)
		}
	case serverInSASLFinal:
		if request == wire.AuthSASLFinal {
			return s.verify(data)
		}
		if request == wire.AuthOK {
			return s.final("the server ended SCRAM without proving that it knows the password; " +
				"it may not be the server it claims to be")
		}
	case serverChecks, serverProved:
		if request == wire.AuthOK && len(data) == 0 {
			s.state = serverAccepted
			return again
		}
	}
	return s.fail(&Failure{Message: fmt.Sprintf("the server sent authentication request %d out of turn", request)})
}

// asked answers the server's first request.
func (s *Server) asked(request uint32, data []byte) Action {
	if request == wire.AuthOK && len(data) == 0 {
		s.state = serverAccepted
		return again
	}
	if s.config.Password == nil {
		return s.fail(&Failure{final: true, asked: true, Message: fmt.Sprintf(
			"the server asks for a password of user %q and none is known", s.config.User)})
	}
	switch {
	case request == wire.AuthCleartextPassword && len(data) == 0:
		if !s.secure {
			return s.final("the server asks for the password in clear text on an unencrypted connection: " +
				"require TLS for the destination, or use scram-sha-256 in the server's pg_hba.conf")
		}
		return s.answer(s.config.Password.text())
	case request == wire.AuthMD5Password && len(data) == 4:
		return s.answer(s.config.Password.md5(s.config.User, data))
	case request == wire.AuthSASL:
		return s.beginSASL(data)
	}
	return s.final(fmt.Sprintf("the server asks for authentication method %d, which is not supported: "+
		"use scram-sha-256 in its pg_hba.conf", request))
}

func (s *Server) answer(password string, err error) Action {
	if err != nil {
		return s.fail(err)
	}
	s.out = wire.AppendPassword(s.out, password)
	s.state = serverChecks
	return again
}

// beginSASL chooses the mechanism as libpq does: it binds to the TLS connection if
// the server offers to, and says so if it could have.
func (s *Server) beginSASL(data []byte) Action {
	plain, err := wire.ParseSASLMechanisms(data, scramSHA256)
	if err != nil {
		return s.fail(fmt.Errorf("read AuthenticationSASL: %w", err))
	}
	plus, _ := wire.ParseSASLMechanisms(data, scramSHA256Plus)
	mechanism, header := scramSHA256, plainHeader
	switch {
	case plus && !s.secure:
		return s.final("the server offers " + scramSHA256Plus + " on an unencrypted connection: somebody may have taken TLS away")
	case plus && s.binding != nil:
		mechanism, header = scramSHA256Plus, bindHeader
	case !plain:
		return s.final("the server does not offer " + scramSHA256)
	case s.binding != nil && !plus:
		header = ableHeader
	}
	nonce, err := newNonce(s.config.Rand)
	if err != nil {
		return s.fail(err)
	}
	s.scram = &scramClient{password: s.config.Password, nonce: nonce, header: header}
	if header == bindHeader {
		s.scram.binding = s.binding
	}
	s.out = wire.AppendSASLInitialResponse(s.out, mechanism, s.scram.first())
	s.state = serverInSASL
	return again
}

func (s *Server) prove(challenge []byte) Action {
	proof, err := s.scram.final(string(challenge))
	if err != nil {
		return s.fail(err)
	}
	s.out = wire.AppendSASLResponse(s.out, proof)
	s.state = serverInSASLFinal
	return again
}

func (s *Server) verify(outcome []byte) Action {
	if err := s.scram.verify(string(outcome)); err != nil {
		return s.fail(err)
	}
	s.state, s.scram = serverProved, nil
	return again
}
