package wire

import (
	"bytes"
	"testing"
)

// The first text and the NegotiateProtocolVersion are what PostgreSQL 15 sent, but
// for the file, line and routine of the error.
func TestBuildersWritePostgreSQLsBytes(t *testing.T) {
	for name, c := range map[string]struct{ got, want []byte }{
		"ErrorResponse with a hint": {
			AppendErrorResponse(nil, Report{SeverityFatal, CodeInvalidParameterValue,
				`invalid value for parameter "replication": "maybe"`, "", `Valid values are: "false", 0, "true", 1, "database".`}),
			[]byte("E\x00\x00\x00\x84SFATAL\x00VFATAL\x00C22023\x00Minvalid value for parameter \"replication\": \"maybe\"\x00" +
				"HValid values are: \"false\", 0, \"true\", 1, \"database\".\x00\x00")},
		"NoticeResponse with a detail": {
			AppendNoticeResponse(nil, Report{SeverityNotice, "00000", "m", "d", ""}),
			[]byte("N\x00\x00\x00\x22SNOTICE\x00VNOTICE\x00C00000\x00Mm\x00Dd\x00\x00")},
		"ReadyForQuery":              {AppendReadyForQuery(nil, StatusFailed), []byte("Z\x00\x00\x00\x05E")},
		"ParseComplete":              {AppendParseComplete(nil), []byte("1\x00\x00\x00\x04")},
		"CloseComplete":              {AppendCloseComplete(nil), []byte("3\x00\x00\x00\x04")},
		"CommandComplete":            {AppendCommandComplete(nil, "SELECT 1"), []byte("C\x00\x00\x00\x0dSELECT 1\x00")},
		"ParameterStatus":            {AppendParameterStatus(nil, "is_superuser", "on"), []byte("S\x00\x00\x00\x14is_superuser\x00on\x00")},
		"BackendKeyData":             {AppendBackendKeyData(nil, 258, []byte{1, 2, 3, 4}), []byte("K\x00\x00\x00\x0c\x00\x00\x01\x02\x01\x02\x03\x04")},
		"BackendKeyData, long key":   {AppendBackendKeyData(nil, 1, make([]byte, 32))[:5], []byte("K\x00\x00\x00\x28")},
		"AuthenticationOk":           {AppendAuthenticationOK(nil), []byte("R\x00\x00\x00\x08\x00\x00\x00\x00")},
		"AuthenticationCleartext":    {AppendAuthenticationCleartextPassword(nil), []byte("R\x00\x00\x00\x08\x00\x00\x00\x03")},
		"AuthenticationMD5Password":  {AppendAuthenticationMD5Password(nil, [4]byte{1, 2, 3, 4}), []byte("R\x00\x00\x00\x0c\x00\x00\x00\x05\x01\x02\x03\x04")},
		"AuthenticationSASL":         {AppendAuthenticationSASL(nil, "SCRAM-SHA-256"), []byte("R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00")},
		"AuthenticationSASLContinue": {AppendAuthenticationSASLContinue(nil, nil), []byte("R\x00\x00\x00\x08\x00\x00\x00\x0b")},
		"AuthenticationSASLFinal":    {AppendAuthenticationSASLFinal(nil, []byte("v=x")), []byte("R\x00\x00\x00\x0b\x00\x00\x00\x0cv=x")},
		"NegotiateProtocolVersion": {
			AppendNegotiateProtocolVersion(nil, Version30, []string{"_pq_.test_protocol_negotiation"}),
			[]byte("v\x00\x00\x00\x2b\x00\x03\x00\x00\x00\x00\x00\x01_pq_.test_protocol_negotiation\x00")},
		"StartupMessage": {
			AppendStartup(nil, Version30, "u", "d", []Param{{"options", "-c a=b"}}),
			[]byte("\x00\x00\x00\x2a\x00\x03\x00\x00user\x00u\x00database\x00d\x00options\x00-c a=b\x00\x00")},
		"SSLRequest":          {AppendSSLRequest(nil), []byte("\x00\x00\x00\x08\x04\xd2\x16\x2f")},
		"GSSENCRequest":       {AppendGSSENCRequest(nil), []byte("\x00\x00\x00\x08\x04\xd2\x16\x30")},
		"CancelRequest":       {AppendCancelRequest(nil, 258, []byte{1, 2, 3, 4}), []byte("\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x01\x02\x01\x02\x03\x04")},
		"PasswordMessage":     {AppendPassword(nil, "pencil"), []byte("p\x00\x00\x00\x0bpencil\x00")},
		"SASLInitialResponse": {AppendSASLInitialResponse(nil, "M", "n,,"), []byte("p\x00\x00\x00\x0dM\x00\x00\x00\x00\x03n,,")},
		"SASLResponse":        {AppendSASLResponse(nil, "c=biws"), []byte("p\x00\x00\x00\x0ac=biws")},
		"Query":               {AppendQuery(nil, "select 1"), []byte("Q\x00\x00\x00\x0dselect 1\x00")},
		"Parse":               {AppendParse(nil, "s", []byte("q"), []byte{0, 0, 0, 23}), []byte("P\x00\x00\x00\x0es\x00q\x00\x00\x01\x00\x00\x00\x17")},
		"Close":               {AppendClose(nil, TargetStatement, "s"), []byte("C\x00\x00\x00\x07Ss\x00")},
		"Describe":            {AppendDescribe(nil, TargetPortal, "p"), []byte("D\x00\x00\x00\x07Pp\x00")},
		"Sync":                {AppendSync(nil), []byte("S\x00\x00\x00\x04")},
		"Flush":               {AppendFlush(nil), []byte("H\x00\x00\x00\x04")},
		"Terminate":           {AppendTerminate(nil), []byte("X\x00\x00\x00\x04")},
	} {
		t.Run(name, func(t *testing.T) {
			if !bytes.Equal(c.got, c.want) {
				t.Errorf("got  %q\nwant %q", c.got, c.want)
			}
		})
	}
}

func TestBuildersLeaveWhatIsAlreadyThere(t *testing.T) {
	dst := AppendQuery([]byte("before"), "x")
	dst = AppendStartup(dst, Version30, "u", "d", nil)
	if want := "beforeQ\x00\x00\x00\x06x\x00\x00\x00\x00\x1b\x00\x03\x00\x00user\x00u\x00database\x00d\x00\x00"; string(dst) != want {
		t.Errorf("got  %q\nwant %q", dst, want)
	}
}

func TestBuildersDoNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 4096)
	report := Report{SeverityError, CodeQueryCanceled, "canceling statement due to user request", "d", "h"}
	params := []Param{{"application_name", "psql"}}
	name, key := []byte("name"), make([]byte, 32)
	unknown := []string{"_pq_.x"}
	allocs := testing.AllocsPerRun(100, func() {
		b := AppendErrorResponse(dst, report)
		b = AppendNoticeResponse(b, report)
		b = AppendReadyForQuery(b, StatusIdle)
		b = AppendCloseComplete(AppendParseComplete(b))
		b = AppendCommandComplete(b, "SHOW")
		b = AppendParameterStatus(b, name, "value")
		b = AppendBackendKeyData(b, 1, key)
		b = AppendNegotiateProtocolVersion(b, Version32, unknown)
		b = AppendAuthenticationOK(b)
		b = AppendAuthenticationCleartextPassword(b)
		b = AppendAuthenticationMD5Password(b, [4]byte{1})
		b = AppendAuthenticationSASL(b, "SCRAM-SHA-256")
		b = AppendAuthenticationSASLContinue(b, key)
		b = AppendAuthenticationSASLFinal(b, key)
		b = AppendStartup(b, Version30, "u", "d", params)
		b = AppendCancelRequest(AppendGSSENCRequest(AppendSSLRequest(b)), 1, key)
		b = AppendPassword(b, "secret")
		b = AppendSASLInitialResponse(b, "SCRAM-SHA-256", "n,,")
		b = AppendSASLResponse(b, name)
		b = AppendQuery(b, "select 1")
		b = AppendParse(b, name, "select 1", key)
		b = AppendDescribe(AppendClose(b, TargetPortal, name), TargetStatement, "x")
		b = AppendTerminate(AppendFlush(AppendSync(b)))
		if len(b) > cap(dst) {
			t.Fatal("the buffer is too small for this test")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
