package main

import (
	"bytes"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-dev/weir/api/v1alpha1"
)

func TestEveryCommandSaysWhatIsWrongInOneLine(t *testing.T) {
	t.Setenv("PGUSER", "")
	tests := map[string]struct {
		args []string
		want string
	}{
		"an unknown command":      {[]string{"what"}, `unknown command "what"`},
		"an unknown flag":         {[]string{"status", "--what"}, "--what"},
		"no pool to hold":         {[]string{"hold"}, "at least 1 arg"},
		"no pod to drain":         {[]string{"drain"}, "accepts 1 arg"},
		"no kubeconfig":           {[]string{"status", "--kubeconfig=/nonexistent"}, "/nonexistent"},
		"looking too often":       {[]string{"top", "pool", "--interval=10ms"}, "1s at least"},
		"a console for nobody":    {[]string{"console", "pool", "--kubeconfig=testdata/kubeconfig"}, "--user"},
		"a cluster that is away":  {[]string{"explain", "pool", "--kubeconfig=testdata/kubeconfig"}, "127.0.0.1:1"},
		"a context that is not":   {[]string{"status", "--kubeconfig=testdata/kubeconfig", "--context=other"}, `"other"`},
		"a hold that never waits": {[]string{"hold", "pool", "--timeout=soon"}, "soon"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out, errors bytes.Buffer
			code := run(t.Context(), &plugin{In: strings.NewReader(""), Out: &out, ErrOut: &errors}, test.args)
			said := errors.String()
			if code != 1 || !strings.HasPrefix(said, "error: ") || !strings.Contains(said, test.want) || strings.Count(said, "\n") != 1 {
				t.Errorf("exit code %d, said %q, want %q", code, said, test.want)
			}
		})
	}
}

func TestHelpNamesThePluginAsItIsCalled(t *testing.T) {
	var out, errors bytes.Buffer
	if code := run(t.Context(), &plugin{Out: &out, ErrOut: &errors}, []string{"top", "--help"}); code != 0 || !strings.Contains(out.String(), "kubectl weir top POOL") {
		t.Errorf("exit code %d, said %q, %q", code, out.String(), errors.String())
	}
}

func TestStatusHasARowForEachDestination(t *testing.T) {
	n := func(i int32) *int32 { return &i }
	pool := poolWith(nil, nil)
	pool.Status.Destinations[0].Connections = v1alpha1.ConnectionCounts{Limit: n(20), Open: n(5), InUse: n(3), Waiting: n(0)}
	pool.Status.Destinations[0].AcquireWaitP95Milliseconds = n(7)
	unseen := v1alpha1.ConnectionPool{}
	unseen.Name = "new"
	rows := statusRows([]v1alpha1.ConnectionPool{*pool, unseen}, true)
	if got := strings.Join(rows[0], " "); got != "shop/orders-db main 20 5 3 - 0 7ms - Unknown " {
		t.Errorf("got %q", got)
	}
	if len(rows) != 2 || len(rows[0]) != len(strings.Fields(statusHeader)) || len(rows[1]) != len(rows[0]) {
		t.Errorf("got %q", rows)
	}
}

func TestTheConsoleIsThatOfAPodThatIsReady(t *testing.T) {
	pods := []corev1.Pod{podWith("a", "False", nil), podWith("b", "True", nil)}
	if pod, err := choose(pods, ""); err != nil || pod.Name != "b" {
		t.Errorf("got %v, %v", pod, err)
	}
	if pod, err := choose(pods, "a"); err != nil || pod.Name != "a" {
		t.Errorf("the one that was named: got %v, %v", pod, err)
	}
	if _, err := choose(pods[:1], ""); err == nil || !strings.Contains(err.Error(), "kubectl weir explain") {
		t.Errorf("none is ready: got %v", err)
	}
	if _, err := choose(pods, "c"); err == nil {
		t.Error("a pod that is not there was chosen")
	}
}
