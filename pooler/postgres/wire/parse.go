package wire

import "encoding/binary"

// ParseMessage is the content of a Parse. The slices are parts of its body.
type ParseMessage struct {
	Name  []byte
	Query []byte
	OIDs  []byte // four bytes for each parameter type given
}

// ParseParse reads the whole body of a Parse.
func ParseParse(body []byte) (ParseMessage, error) {
	name, rest, ok := cutText(body)
	query, rest, ok2 := cutText(rest)
	if !ok || !ok2 || len(rest) < 2 || len(rest)-2 != 4*int(binary.BigEndian.Uint16(rest)) {
		return ParseMessage{}, errFormat
	}
	return ParseMessage{Name: name, Query: query, OIDs: rest[2:]}, nil
}

// ParseBind reads the names at the beginning of a Bind and returns what of the
// body is behind them. A prefix of the body is enough if both names end in it.
func ParseBind(body []byte) (portal, statement, rest []byte, err error) {
	portal, rest, ok := cutText(body)
	statement, rest, ok2 := cutText(rest)
	if !ok || !ok2 {
		return nil, nil, nil, errFormat
	}
	return portal, statement, rest, nil
}

// ParseTarget reads the whole body of a Describe or Close.
func ParseTarget(body []byte) (target byte, name []byte, err error) {
	if len(body) < 2 {
		return 0, nil, errFormat
	}
	name, rest, ok := cutText(body[1:])
	if !ok || len(rest) != 0 {
		return 0, nil, errFormat
	}
	return body[0], name, nil
}

// ParseExecute reads the whole body of an Execute; maxRows is 0 for all.
func ParseExecute(body []byte) (portal []byte, maxRows int32, err error) {
	portal, rest, ok := cutText(body)
	if !ok || len(rest) != 4 {
		return nil, 0, errFormat
	}
	return portal, int32(binary.BigEndian.Uint32(rest)), nil
}

// ParseQuery reads the whole body of a Query.
func ParseQuery(body []byte) (sql []byte, err error) { return onlyText(body) }

// ParseCommandComplete reads the whole body of a CommandComplete.
func ParseCommandComplete(body []byte) (tag []byte, err error) { return onlyText(body) }

func onlyText(body []byte) ([]byte, error) {
	text, rest, ok := cutText(body)
	if !ok || len(rest) != 0 {
		return nil, errFormat
	}
	return text, nil
}

// ParseReadyForQuery reads the status of a ReadyForQuery.
func ParseReadyForQuery(body []byte) (status byte, err error) {
	if len(body) != 1 {
		return 0, errFormat
	}
	switch body[0] {
	case StatusIdle, StatusInTransaction, StatusFailed:
		return body[0], nil
	}
	return 0, errFormat
}

// ParseParameterStatus reads the whole body of a ParameterStatus.
func ParseParameterStatus(body []byte) (name, value []byte, err error) {
	name, rest, ok := cutText(body)
	value, rest, ok2 := cutText(rest)
	if !ok || !ok2 || len(rest) != 0 {
		return nil, nil, errFormat
	}
	return name, value, nil
}

// ParseBackendKeyData reads the whole body of a BackendKeyData.
func ParseBackendKeyData(body []byte) (pid uint32, key []byte, err error) {
	if len(body) < 4+MinCancelKey || len(body) > 4+MaxCancelKey {
		return 0, nil, errFormat
	}
	return binary.BigEndian.Uint32(body), body[4:], nil
}

// ParseAuthentication reads what an Authentication message asks for, an AuthX, and
// the data that belongs to it.
func ParseAuthentication(body []byte) (request uint32, data []byte, err error) {
	if len(body) < 4 {
		return 0, nil, errFormat
	}
	return binary.BigEndian.Uint32(body), body[4:], nil
}

// ParseSASLMechanisms reports whether the data of an AuthSASL request, a list of
// names, holds the mechanism.
func ParseSASLMechanisms(data []byte, mechanism string) (offered bool, err error) {
	for {
		name, rest, ok := cutText(data)
		if !ok {
			return false, errFormat
		}
		if len(name) == 0 {
			return offered, nil
		}
		offered = offered || string(name) == mechanism
		data = rest
	}
}

// ParseSASLInitialResponse reads the body of a SASLInitialResponse; data is nil if
// the client sent none.
func ParseSASLInitialResponse(body []byte) (mechanism, data []byte, err error) {
	mechanism, rest, ok := cutText(body)
	if !ok || len(rest) < 4 {
		return nil, nil, errFormat
	}
	size, data := binary.BigEndian.Uint32(rest), rest[4:]
	if size == 1<<32-1 && len(data) == 0 { // -1: no data
		return mechanism, nil, nil
	}
	if uint64(size) != uint64(len(data)) {
		return nil, nil, errFormat
	}
	return mechanism, data, nil
}

// ParseNegotiateProtocolVersion reads a NegotiateProtocolVersion.
func ParseNegotiateProtocolVersion(body []byte) (version Version, unknown []string, err error) {
	if len(body) < 8 {
		return 0, nil, errFormat
	}
	version = Version(binary.BigEndian.Uint32(body))
	rest := body[8:]
	for range binary.BigEndian.Uint32(body[4:]) {
		name, after, ok := cutText(rest)
		if !ok {
			return 0, nil, errFormat
		}
		unknown, rest = append(unknown, string(name)), after
	}
	if len(rest) != 0 {
		return 0, nil, errFormat
	}
	return version, unknown, nil
}

// ParseReport reads the whole body of an ErrorResponse or NoticeResponse. Fields
// that a server leaves out stay empty; those that are not in Report are skipped.
func ParseReport(body []byte) (Report, error) {
	var r Report
	for {
		if len(body) == 0 {
			return Report{}, errFormat
		}
		field := body[0]
		if field == 0 {
			break
		}
		text, rest, ok := cutText(body[1:])
		if !ok {
			return Report{}, errFormat
		}
		r.set(field, string(text))
		body = rest
	}
	if len(body) != 1 {
		return Report{}, errFormat
	}
	return r, nil
}

func (r *Report) set(field byte, text string) {
	switch field {
	case 'V': // never translated; comes behind S and wins
		r.Severity = text
	case 'S':
		if r.Severity == "" {
			r.Severity = text
		}
	case 'C':
		r.Code = text
	case 'M':
		r.Message = text
	case 'D':
		r.Detail = text
	case 'H':
		r.Hint = text
	}
}

// ParsePassword reads the body of a PasswordMessage.
func ParsePassword(body []byte) (password []byte, err error) { return onlyText(body) }
