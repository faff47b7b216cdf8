package wire

import "encoding/binary"

// AppendQuery appends a simple Query.
func AppendQuery[T Text](dst []byte, sql T) []byte {
	dst, at := Begin(dst, TypeQuery)
	return Finish(appendText(dst, sql), at)
}

// AppendParse appends a Parse. The oids are those of a ParseMessage: four bytes
// each, nil for none.
func AppendParse[N, Q Text](dst []byte, name N, sql Q, oids []byte) []byte {
	dst, at := Begin(dst, TypeParse)
	dst = appendText(appendText(dst, name), sql)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(oids)/4))
	return Finish(append(dst, oids...), at)
}

// AppendParseBody appends a Parse whose body is known from behind the name on.
func AppendParseBody[N, B Text](dst []byte, name N, body B) []byte {
	dst, at := Begin(dst, TypeParse)
	return Finish(append(appendText(dst, name), body...), at)
}

// AppendBindStart appends the beginning of a Bind: its header, which tells that rest
// bytes follow, and its names.
func AppendBindStart[P, N Text](dst []byte, portal P, statement N, rest int) []byte {
	dst, at := Begin(dst, TypeBind)
	dst = appendText(appendText(dst, portal), statement)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at+rest))
	return dst
}

// AppendParseStart appends the beginning of a Parse: its header, which tells that
// rest bytes follow, and its name.
func AppendParseStart[N Text](dst []byte, name N, rest int) []byte {
	dst, at := Begin(dst, TypeParse)
	dst = appendText(dst, name)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at+rest))
	return dst
}

// AppendClose appends a Close of a TargetStatement or TargetPortal.
func AppendClose[N Text](dst []byte, target byte, name N) []byte {
	dst, at := Begin(dst, TypeClose)
	return Finish(appendText(append(dst, target), name), at)
}

// AppendDescribe appends a Describe of a TargetStatement or TargetPortal.
func AppendDescribe[N Text](dst []byte, target byte, name N) []byte {
	dst, at := Begin(dst, TypeDescribe)
	return Finish(appendText(append(dst, target), name), at)
}

// AppendSync appends a Sync.
func AppendSync(dst []byte) []byte { return append(dst, TypeSync, 0, 0, 0, 4) }

// AppendFlush appends a Flush.
func AppendFlush(dst []byte) []byte { return append(dst, TypeFlush, 0, 0, 0, 4) }

// AppendTerminate appends a Terminate.
func AppendTerminate(dst []byte) []byte { return append(dst, TypeTerminate, 0, 0, 0, 4) }

// AppendPassword appends a PasswordMessage.
func AppendPassword[T Text](dst []byte, password T) []byte {
	dst, at := Begin(dst, TypePassword)
	return Finish(appendText(dst, password), at)
}

// AppendSASLInitialResponse appends the choice of a mechanism and the first
// message of its exchange.
func AppendSASLInitialResponse[T Text](dst []byte, mechanism string, data T) []byte {
	dst, at := Begin(dst, TypePassword)
	dst = appendText(dst, mechanism)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(data)))
	return Finish(append(dst, data...), at)
}

// AppendSASLResponse appends a further message of a SASL exchange.
func AppendSASLResponse[T Text](dst []byte, data T) []byte {
	dst, at := Begin(dst, TypePassword)
	return Finish(append(dst, data...), at)
}

// AppendBindText appends a Bind of parameters in text format, for results in text
// format.
func AppendBindText(dst []byte, portal, statement string, params ...string) []byte {
	dst, at := Begin(dst, TypeBind)
	dst = appendText(appendText(dst, portal), statement)
	dst = binary.BigEndian.AppendUint16(dst, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(params)))
	for _, p := range params {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(p)))
		dst = append(dst, p...)
	}
	return Finish(binary.BigEndian.AppendUint16(dst, 0), at)
}

// AppendExecute appends an Execute; maxRows is 0 for all.
func AppendExecute(dst []byte, portal string, maxRows uint32) []byte {
	dst, at := Begin(dst, TypeExecute)
	return Finish(binary.BigEndian.AppendUint32(appendText(dst, portal), maxRows), at)
}
