package wire

// Rule says how a Scanner treats one type of message. The zero Rule refuses it.
type Rule struct {
	limit uint32 // the largest length field, which counts itself; 0 refuses the type
	see   uint32 // body bytes that the first piece must hold, if the body has that many
}

// Stream lets bodies of up to limit bytes pass in pieces of any size.
func Stream(limit int) Rule { return Rule{limit: uint32(limit) + 4} }

// Whole hands a message out only once it is complete, and refuses bodies longer
// than limit bytes. It is for what a machine reads to the end.
func Whole(limit int) Rule { return Rule{limit: uint32(limit) + 4, see: uint32(limit)} }

// Prefix hands a message out once see bytes of its body are there (or all, if it
// is shorter); the rest, up to limit bytes in all, passes in pieces. It is for
// messages that begin with names and end with data, such as Bind.
func Prefix(see, limit int) Rule { return Rule{limit: uint32(limit) + 4, see: uint32(see)} }

// Rules holds a Rule for every message type of one direction. A table is shared
// by all scanners of that direction and not changed once they run.
type Rules struct {
	side string // "frontend" or "backend", for error texts
	of   [256]Rule
}

// FrontendRules streams every message a logged-in client may send, with
// PostgreSQL's own limits. The overrides are set on top.
func FrontendRules(overrides map[byte]Rule) *Rules {
	r := &Rules{side: "frontend"}
	for _, t := range []byte{TypeQuery, TypeFunctionCall, TypeBind, TypeParse, TypeCopyData} {
		r.of[t] = Stream(MaxLargeBody)
	}
	for _, t := range []byte{
		TypeTerminate, TypeClose, TypeDescribe, TypeExecute, TypeFlush, TypeSync, TypeCopyDone, TypeCopyFail,
	} {
		r.of[t] = Stream(MaxSmallBody)
	}
	return r.override(overrides)
}

// BackendRules streams every message a server may send after its first
// ReadyForQuery. The overrides are set on top.
func BackendRules(overrides map[byte]Rule) *Rules {
	r := &Rules{side: "backend"}
	for _, t := range []byte{
		TypeCommandComplete, TypeCopyBothResponse, TypeCopyInResponse, TypeCopyOutResponse, TypeDataRow,
		TypeErrorResponse, TypeFunctionCallResponse, TypeNoticeResponse, TypeNotificationResponse,
		TypeParameterDescription, TypeParameterStatus, TypeRowDescription, TypeCopyData,
	} {
		r.of[t] = Stream(MaxLargeBody)
	}
	for _, t := range []byte{
		TypeBindComplete, TypeCloseComplete, TypeEmptyQueryResponse, TypeNoData, TypeParseComplete,
		TypePortalSuspended, TypeCopyDone,
	} {
		r.of[t] = Whole(0)
	}
	r.of[TypeReadyForQuery] = Whole(1)
	return r.override(overrides)
}

// ServerLoginRules accepts only what a server may send before its first
// ReadyForQuery, each message whole.
func ServerLoginRules() *Rules {
	r := &Rules{side: "backend"}
	for t, limit := range map[byte]int{
		TypeAuthentication:           2_000,
		TypeBackendKeyData:           4 + MaxCancelKey,
		TypeErrorResponse:            30_000,
		TypeNegotiateProtocolVersion: 2_000,
		TypeNoticeResponse:           30_000,
		TypeParameterStatus:          MaxSmallBody,
		TypeReadyForQuery:            1,
	} {
		r.of[t] = Whole(limit)
	}
	return r
}

// ClientLoginRules accepts only an answer to an authentication request, whole and
// of at most limit bytes.
func ClientLoginRules(limit int) *Rules {
	r := &Rules{side: "frontend"}
	r.of[TypePassword] = Whole(limit)
	return r
}

func (r *Rules) override(overrides map[byte]Rule) *Rules {
	for t, rule := range overrides {
		r.of[t] = rule
	}
	return r
}
