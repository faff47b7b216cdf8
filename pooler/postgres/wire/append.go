package wire

import "encoding/binary"

// Text is what builders take as text. It must not hold a zero byte.
type Text interface{ ~string | ~[]byte }

// Begin appends a header whose length finish fills in.
func Begin(dst []byte, typ byte) (_ []byte, at int) {
	return append(dst, typ, 0, 0, 0, 0), len(dst) + 1
}

// Finish fills in the length of the message that began at, with Begin.
func Finish(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// AppendStart appends the header of a message whose body of so many bytes follows.
func AppendStart(dst []byte, typ byte, body int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, typ), uint32(body+4))
}

func appendText[T Text](dst []byte, text T) []byte {
	return append(append(dst, text...), 0)
}

// AppendErrorResponse appends an ErrorResponse.
func AppendErrorResponse(dst []byte, r Report) []byte {
	return appendReport(dst, TypeErrorResponse, r)
}

// AppendNoticeResponse appends a NoticeResponse.
func AppendNoticeResponse(dst []byte, r Report) []byte {
	return appendReport(dst, TypeNoticeResponse, r)
}

func appendReport(dst []byte, typ byte, r Report) []byte {
	dst, at := Begin(dst, typ)
	dst = appendText(append(dst, 'S'), r.Severity)
	dst = appendText(append(dst, 'V'), r.Severity)
	dst = appendText(append(dst, 'C'), r.Code)
	dst = appendText(append(dst, 'M'), r.Message)
	if r.Detail != "" {
		dst = appendText(append(dst, 'D'), r.Detail)
	}
	if r.Hint != "" {
		dst = appendText(append(dst, 'H'), r.Hint)
	}
	return Finish(append(dst, 0), at)
}

// AppendReadyForQuery appends a ReadyForQuery with a StatusX.
func AppendReadyForQuery(dst []byte, status byte) []byte {
	return append(dst, TypeReadyForQuery, 0, 0, 0, 5, status)
}

// AppendParseComplete appends a ParseComplete.
func AppendParseComplete(dst []byte) []byte { return append(dst, TypeParseComplete, 0, 0, 0, 4) }

// AppendCloseComplete appends a CloseComplete.
func AppendCloseComplete(dst []byte) []byte { return append(dst, TypeCloseComplete, 0, 0, 0, 4) }

// AppendParameterStatus appends a ParameterStatus.
func AppendParameterStatus[N, V Text](dst []byte, name N, value V) []byte {
	dst, at := Begin(dst, TypeParameterStatus)
	return Finish(appendText(appendText(dst, name), value), at)
}

// AppendCommandComplete appends a CommandComplete.
func AppendCommandComplete[T Text](dst []byte, tag T) []byte {
	dst, at := Begin(dst, TypeCommandComplete)
	return Finish(appendText(dst, tag), at)
}

// AppendBackendKeyData appends a BackendKeyData. The key has MinCancelKey bytes in
// protocol 3.0 and up to MaxCancelKey in 3.2.
func AppendBackendKeyData(dst []byte, pid uint32, key []byte) []byte {
	dst, at := Begin(dst, TypeBackendKeyData)
	dst = binary.BigEndian.AppendUint32(dst, pid)
	return Finish(append(dst, key...), at)
}

// AppendNegotiateProtocolVersion appends the version the server goes on with and
// the names of the _pq_. options it does not know.
func AppendNegotiateProtocolVersion(dst []byte, version Version, unknown []string) []byte {
	dst, at := Begin(dst, TypeNegotiateProtocolVersion)
	dst = binary.BigEndian.AppendUint32(dst, uint32(version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(unknown)))
	for _, name := range unknown {
		dst = appendText(dst, name)
	}
	return Finish(dst, at)
}

// AppendAuthenticationOK appends an AuthenticationOk.
func AppendAuthenticationOK(dst []byte) []byte { return appendAuthentication(dst, AuthOK, nil) }

// AppendAuthenticationCleartextPassword asks for a password in clear text.
func AppendAuthenticationCleartextPassword(dst []byte) []byte {
	return appendAuthentication(dst, AuthCleartextPassword, nil)
}

// AppendAuthenticationMD5Password asks for a password hashed with salt.
func AppendAuthenticationMD5Password(dst []byte, salt [4]byte) []byte {
	return appendAuthentication(dst, AuthMD5Password, salt[:])
}

// AppendAuthenticationSASL offers SASL mechanisms, the preferred one first.
func AppendAuthenticationSASL(dst []byte, mechanisms ...string) []byte {
	dst, at := Begin(dst, TypeAuthentication)
	dst = binary.BigEndian.AppendUint32(dst, AuthSASL)
	for _, m := range mechanisms {
		dst = appendText(dst, m)
	}
	return Finish(append(dst, 0), at)
}

// AppendAuthenticationSASLContinue appends a SASL challenge.
func AppendAuthenticationSASLContinue(dst, data []byte) []byte {
	return appendAuthentication(dst, AuthSASLContinue, data)
}

// AppendAuthenticationSASLFinal appends the outcome of a SASL exchange.
func AppendAuthenticationSASLFinal(dst, data []byte) []byte {
	return appendAuthentication(dst, AuthSASLFinal, data)
}

func appendAuthentication(dst []byte, request uint32, data []byte) []byte {
	dst, at := Begin(dst, TypeAuthentication)
	dst = binary.BigEndian.AppendUint32(dst, request)
	return Finish(append(dst, data...), at)
}
