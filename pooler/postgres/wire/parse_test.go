package wire

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// body strips the header of a message.
func body(message []byte) []byte { return message[HeaderSize:] }

func TestParsersReadWhatBuildersWrite(t *testing.T) {
	parse, err := ParseParse(body(AppendParse(nil, "s", "select $1", []byte{0, 0, 0, 23})))
	if err != nil || string(parse.Name) != "s" || string(parse.Query) != "select $1" || string(parse.OIDs) != "\x00\x00\x00\x17" {
		t.Errorf("Parse: %q, %v", parse, err)
	}
	portal, statement, rest, err := ParseBind(body(bind("p", "s", 3)))
	if err != nil || string(portal) != "p" || string(statement) != "s" || len(rest) != 4+4+3+2 {
		t.Errorf("Bind: %q %q %d, %v", portal, statement, len(rest), err)
	}
	target, name, err := ParseTarget(body(AppendClose(nil, TargetPortal, "p")))
	if err != nil || target != TargetPortal || string(name) != "p" {
		t.Errorf("Close: %c %q, %v", target, name, err)
	}
	portal, rows, err := ParseExecute([]byte("p\x00\x00\x00\x01\x00"))
	if err != nil || string(portal) != "p" || rows != 256 {
		t.Errorf("Execute: %q %d, %v", portal, rows, err)
	}
	tag, err := ParseCommandComplete(body(AppendCommandComplete(nil, "INSERT 0 1")))
	if err != nil || string(tag) != "INSERT 0 1" {
		t.Errorf("CommandComplete: %q, %v", tag, err)
	}
	sql, err := ParseQuery(body(AppendQuery(nil, "")))
	if err != nil || len(sql) != 0 {
		t.Errorf("Query: %q, %v", sql, err)
	}
	param, value, err := ParseParameterStatus(body(AppendParameterStatus(nil, "a", "")))
	if err != nil || string(param) != "a" || len(value) != 0 {
		t.Errorf("ParameterStatus: %q %q, %v", param, value, err)
	}
	pid, key, err := ParseBackendKeyData(body(AppendBackendKeyData(nil, 7, []byte("0123"))))
	if err != nil || pid != 7 || string(key) != "0123" {
		t.Errorf("BackendKeyData: %d %q, %v", pid, key, err)
	}
	version, unknown, err := ParseNegotiateProtocolVersion(body(AppendNegotiateProtocolVersion(nil, Version32, []string{"_pq_.a", "_pq_.b"})))
	if err != nil || version != Version32 || !reflect.DeepEqual(unknown, []string{"_pq_.a", "_pq_.b"}) {
		t.Errorf("NegotiateProtocolVersion: %x %q, %v", version, unknown, err)
	}
	report := Report{SeverityError, CodeDuplicateStatement, "m", "d", "h"}
	if got, err := ParseReport(body(AppendErrorResponse(nil, report))); err != nil || got != report {
		t.Errorf("ErrorResponse: %+v, %v", got, err)
	}
}

func TestMalformedBodiesAreErrors(t *testing.T) {
	for name, parse := range map[string]func() error{
		"a Parse without an end of its text": func() error { _, err := ParseParse([]byte("s\x00q")); return err },
		"a Parse without a count":            func() error { _, err := ParseParse([]byte("s\x00q\x00")); return err },
		"a Parse that claims too many types": func() error { _, err := ParseParse([]byte("s\x00q\x00\xff\xff\x00\x00\x00\x01")); return err },
		"a Parse with a tail":                func() error { _, err := ParseParse([]byte("s\x00q\x00\x00\x00x")); return err },
		"a Bind without an end of its names": func() error { _, _, _, err := ParseBind([]byte("p\x00s")); return err },
		"an empty Close":                     func() error { _, _, err := ParseTarget(nil); return err },
		"a Close with a tail":                func() error { _, _, err := ParseTarget([]byte("Sx\x00y")); return err },
		"an Execute without a row count":     func() error { _, _, err := ParseExecute([]byte("p\x00")); return err },
		"a Query that does not end":          func() error { _, err := ParseQuery([]byte("select 1")); return err },
		"a Query with a tail":                func() error { _, err := ParseQuery([]byte("select 1\x00x")); return err },
		"a ReadyForQuery of no known state":  func() error { _, err := ParseReadyForQuery([]byte("X")); return err },
		"an empty ReadyForQuery":             func() error { _, err := ParseReadyForQuery(nil); return err },
		"a ParameterStatus without a value":  func() error { _, _, err := ParseParameterStatus([]byte("a\x00")); return err },
		"a cancel key of 3 bytes":            func() error { _, _, err := ParseBackendKeyData(make([]byte, 7)); return err },
		"a cancel key of 257 bytes":          func() error { _, _, err := ParseBackendKeyData(make([]byte, 4+257)); return err },
		"an Authentication of 3 bytes":       func() error { _, _, err := ParseAuthentication(make([]byte, 3)); return err },
		"SASL mechanisms that do not end":    func() error { _, err := ParseSASLMechanisms([]byte("A\x00"), "A"); return err },
		"a SASL response shorter than it says": func() error {
			_, _, err := ParseSASLInitialResponse([]byte("A\x00\x00\x00\x00\x05x"))
			return err
		},
		"a SASL response with a negative length": func() error {
			_, _, err := ParseSASLInitialResponse([]byte("A\x00\xff\xff\xff\xfex"))
			return err
		},
		"a negotiation that claims 2^32-1 names": func() error {
			_, _, err := ParseNegotiateProtocolVersion([]byte("\x00\x03\x00\x00\xff\xff\xff\xff"))
			return err
		},
		"an error that does not end":      func() error { _, err := ParseReport([]byte("SERROR\x00")); return err },
		"an error whose field has no end": func() error { _, err := ParseReport([]byte("SERROR")); return err },
		"an error with a tail":            func() error { _, err := ParseReport([]byte("SERROR\x00\x00x")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if _, ok := errors.AsType[*ProtocolError](parse()); !ok {
				t.Errorf("error %v, want a ProtocolError", parse())
			}
		})
	}
}

func TestASASLResponseMayCarryNoMessage(t *testing.T) {
	mechanism, data, err := ParseSASLInitialResponse([]byte("SCRAM-SHA-256\x00\xff\xff\xff\xff"))
	if err != nil || string(mechanism) != "SCRAM-SHA-256" || data != nil {
		t.Fatalf("%q %q, %v", mechanism, data, err)
	}
	if _, data, err = ParseSASLInitialResponse([]byte("A\x00\x00\x00\x00\x00")); err != nil || data == nil {
		t.Fatalf("an empty message is a message: %q, %v", data, err)
	}
}

func TestAnErrorWithoutACodeIsReadAndIsNotFinal(t *testing.T) {
	report, err := ParseReport([]byte("SFATAL\x00Mout of luck\x00Fpostmaster.c\x00\x00"))
	if err != nil || report != (Report{Severity: "FATAL", Message: "out of luck"}) {
		t.Fatalf("%+v, %v", report, err)
	}
	e := &ServerError{report}
	if e.Final() || e.Error() != "FATAL: out of luck" {
		t.Errorf("%v, final %v", e, e.Final())
	}
}

func TestTheUntranslatedSeverityWins(t *testing.T) {
	for _, body := range []string{"SFEHLER\x00VERROR\x00\x00", "VERROR\x00SFEHLER\x00\x00"} {
		if report, err := ParseReport([]byte(body)); err != nil || report.Severity != SeverityError {
			t.Errorf("%q: %+v, %v", body, report, err)
		}
	}
}

func TestFinalErrorsAreThoseThatTimeDoesNotHeal(t *testing.T) {
	for code, final := range map[string]bool{
		CodeInvalidPassword: true, CodeInvalidAuthorization: true, CodeUndefinedDatabase: true,
		CodeUndefinedObject: true, CodeInvalidParameterValue: true, CodeFeatureNotSupported: true,
		CodeInsufficientPrivilege: true, CodeSyntaxError: true, CodeProtocolViolation: true,
		CodeNotInPrerequisiteState: true,
		CodeTooManyConnections:     false, CodeCannotConnectNow: false, CodeAdminShutdown: false,
		CodeCrashShutdown: false, CodeInsufficientResources: false, CodeInternalError: false,
		CodeIdleSessionTimeout: false, "": false, "2": false,
	} {
		if e := (&ServerError{Report{Code: code}}); e.Final() != final {
			t.Errorf("%q: final %v, want %v", code, e.Final(), final)
		}
	}
}

func TestTheSizeOfAStartupPacketIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		size int
		err  bool
	}{
		"three bytes do not tell":               {in: "\x00\x00\x00"},
		"the smallest has 8 bytes":              {in: "\x00\x00\x00\x08", size: 8},
		"7 bytes are too few":                   {in: "\x00\x00\x00\x07", err: true},
		"10,000 bytes behind the length fit":    {in: "\x00\x00\x27\x14", size: 10_004},
		"10,001 bytes behind the length do not": {in: "\x00\x00\x27\x15", err: true},
		"a negative length":                     {in: "\xff\xff\xff\xff", err: true},
		"the start of a TLS handshake":          {in: "\x16\x03\x01\x02", err: true},
		"the start of an HTTP request":          {in: "GET ", err: true},
	} {
		t.Run(name, func(t *testing.T) {
			size, err := StartupSize([]byte(c.in))
			if size != c.size || (err != nil) != c.err {
				t.Errorf("%d, %v", size, err)
			}
		})
	}
}

func TestStartupParametersKeepTheirOrderAndDuplicates(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want []Param
		err  bool
	}{
		"in order":                        {body: "b\x001\x00a\x002\x00b\x003\x00\x00", want: []Param{{"b", "1"}, {"a", "2"}, {"b", "3"}}},
		"none":                            {body: "\x00"},
		"an empty value is a value":       {body: "application_name\x00\x00\x00", want: []Param{{"application_name", ""}}},
		"any bytes but zero":              {body: "a\x00\xff\xfe é\x00\x00", want: []Param{{"a", "\xff\xfe é"}}},
		"no terminator":                   {body: "a\x001\x00", err: true},
		"nothing at all":                  {body: "", err: true},
		"a name without a value":          {body: "a\x00", err: true},
		"a value without an end":          {body: "a\x001", err: true},
		"bytes behind the terminator":     {body: "a\x001\x00\x00junk", err: true},
		"a terminator behind an odd name": {body: "a\x00\x00", err: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseStartup([]byte("\x00\x00\x00\x00\x00\x03\x00\x00" + c.body))
			if !reflect.DeepEqual(got, c.want) || (err != nil) != c.err {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestACancelKeyHas4To256Bytes(t *testing.T) {
	for size, ok := range map[int]bool{0: false, 3: false, 4: true, 32: true, 256: true, 257: false} {
		key := strings.Repeat("k", size)
		pid, got, err := ParseCancelRequest(AppendCancelRequest(nil, 42, []byte(key)))
		if ok != (err == nil) || ok && (pid != 42 || string(got) != key) {
			t.Errorf("%d bytes: %d %q, %v", size, pid, got, err)
		}
	}
}

func FuzzStartup(f *testing.F) {
	f.Add(AppendStartup(nil, Version30, "u", "d", []Param{{"options", "-c a=b"}}))
	f.Add(AppendCancelRequest(nil, 1, make([]byte, 32)))
	f.Add(AppendSSLRequest(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		size, err := StartupSize(in)
		if err != nil || size == 0 || size > len(in) {
			return
		}
		packet := in[:size]
		if params, err := ParseStartup(packet); err == nil {
			for _, p := range params {
				if p.Name == "" || strings.ContainsRune(p.Name+p.Value, 0) {
					t.Fatalf("parameter %q", p)
				}
			}
		}
		if _, key, err := ParseCancelRequest(packet); err == nil && (len(key) < MinCancelKey || len(key) > MaxCancelKey) {
			t.Fatalf("key of %d bytes", len(key))
		}
	})
}

func FuzzParsers(f *testing.F) {
	f.Add(body(AppendErrorResponse(nil, Report{SeverityError, CodeDuplicateStatement, "m", "d", "h"})))
	f.Add(body(AppendParse(nil, "s", "q", []byte{0, 0, 0, 23})))
	f.Add(body(AppendNegotiateProtocolVersion(nil, Version32, []string{"_pq_.a"})))
	f.Add(body(AppendSASLInitialResponse(nil, "SCRAM-SHA-256", "n,,")))
	f.Fuzz(func(t *testing.T, in []byte) {
		if p, err := ParseParse(in); err == nil {
			if again := body(AppendParse(nil, p.Name, p.Query, p.OIDs)); string(again) != string(in) {
				t.Fatalf("Parse %q written again as %q", in, again)
			}
		}
		if r, err := ParseReport(in); err == nil {
			if got, err := ParseReport(body(AppendErrorResponse(nil, r))); err != nil || got != r {
				t.Fatalf("report %+v read again as %+v, %v", r, got, err)
			}
		}
		if v, names, err := ParseNegotiateProtocolVersion(in); err == nil {
			if again := body(AppendNegotiateProtocolVersion(nil, v, names)); string(again) != string(in) {
				t.Fatalf("negotiation %q written again as %q", in, again)
			}
		}
		if target, name, err := ParseTarget(in); err == nil {
			if again := body(AppendClose(nil, target, name)); string(again) != string(in) {
				t.Fatalf("Close %q written again as %q", in, again)
			}
		}
		ParseBind(in)
		ParseExecute(in)
		ParseSASLInitialResponse(in)
		ParseSASLMechanisms(in, "SCRAM-SHA-256")
	})
}
