package main

import (
	"bytes"
	"net"
	"strings"
	"testing"
)

func TestBadFlagsAreToldInOneLine(t *testing.T) {
	t.Setenv("POD_UID", "")
	for want, args := range map[string][]string{
		"pooler: flag provided but not defined: -nope": {"--nope"},
		`pooler: unexpected argument "serve"`:          {"--pod-uid=a", "serve"},
		"pooler: there is nothing to obey: set --config to a file, or in a pod --pod-uid or $POD_UID to its UID": {},
		"pooler: --drain-lag must not be negative":                                                               {"--pod-uid=a", "--drain-lag=-1s"},
		`pooler: invalid value "soon" for flag -drain-lag: parse error`:                                          {"--drain-lag=soon"},
		`pooler: invalid value "loud" for flag -log-level: slog: level string "loud": unknown name`:              {"--log-level=loud"},
		"pooler: open the control port: listen tcp: address 70000: invalid port":                                 {"--pod-uid=a", "--control-addr=:70000"},
		"pooler: open the health port: listen tcp: lookup tcp/nowhere: unknown port":                             {"--pod-uid=a", "--control-addr=127.0.0.1:0", "--health-addr=:nowhere"},
	} {
		t.Run(want, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(args, &stdout, &stderr)
			if code == 0 || strings.TrimSpace(stderr.String()) != want || stdout.Len() > 0 {
				t.Fatalf("exit code %d, said %q", code, stderr.String())
			}
		})
	}
}

func TestAPortThatIsTakenEndsTheProcessWithASentence(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var stdout, stderr bytes.Buffer
	code := run([]string{"--pod-uid=a", "--control-addr=" + taken.Addr().String()}, &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "pooler: open the control port: ") || strings.Count(stderr.String(), "\n") != 1 {
		t.Fatalf("exit code %d, said %q", code, stderr.String())
	}
}

func TestVersionAndHelp(t *testing.T) {
	for flag, want := range map[string]string{"--version": "pooler ", "--help": "-control-addr"} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{flag}, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String()+stderr.String(), want) {
			t.Errorf("%s: exit code %d, said %q %q", flag, code, stdout.String(), stderr.String())
		}
	}
}
