package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestFlagsThatMakeNoSenseAreSaidInOneLine(t *testing.T) {
	good := []string{"--pooler-image=weir:1", "--namespace=weir-system"}
	tests := map[string]struct {
		args []string
		want string
	}{
		"no image":          {[]string{"--namespace=weir-system"}, "set --pooler-image or POOLER_IMAGE"},
		"no namespace":      {[]string{"--pooler-image=weir:1"}, "set --namespace or POD_NAMESPACE"},
		"an unknown flag":   {append(good, "--what"), "-what"},
		"no flag":           {append(good, "what"), `"what" is not a flag`},
		"no concurrency":    {append(good, "--concurrency=0"), "from 1 to 256"},
		"too few writes":    {append(good, "--api-writes-per-second=0"), "at least 5"},
		"too much of it":    {append(good, "--concurrency=1000"), "from 1 to 256"},
		"no namespaces":     {append(good, "--watch-namespaces=shop, billing"), "as shop,billing"},
		"no such log level": {append(good, "--log-level=LOUD"), "LOUD"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("POOLER_IMAGE", "")
			t.Setenv("POD_NAMESPACE", "")
			t.Setenv("WATCH_NAMESPACES", "")
			var stdout, stderr bytes.Buffer
			if code := run(test.args, &stdout, &stderr); code != exitUsage {
				t.Errorf("exit code %d", code)
			}
			if said := stderr.String(); !strings.Contains(said, test.want) || strings.Count(said, "\n") != 1 {
				t.Errorf("said %q, want %q", said, test.want)
			}
		})
	}
}

func TestFlagsHaveDefaultsFromTheEnvironment(t *testing.T) {
	t.Setenv("POOLER_IMAGE", "weir:2")
	t.Setenv("POD_NAMESPACE", "weir-system")
	t.Setenv("WATCH_NAMESPACES", "shop,billing")
	o, err := parse(nil)
	if err != nil || !slices.Equal(o.namespaces(), []string{"shop", "billing"}) || o.poolerImage != "weir:2" || o.namespace != "weir-system" || !o.leaderElection {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestVersionAndHelp(t *testing.T) {
	for flag, want := range map[string]string{"--version": "operator ", "--help": "-pooler-image"} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{flag}, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), want) || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, %q, %q", flag, code, stdout.String(), stderr.String())
		}
	}
}
