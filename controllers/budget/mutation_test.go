//go:build mutation

// Run with: go test -tags mutation -run Guard ./controllers/budget

package budget_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const agentCore = "../../pooler/agent/core.go"

// guards are the rules without which the database could see more than the budget: the place where each one is, and what
// is there without it. The simulation must notice when any is missing; otherwise it would not test it. Compare-and-swap
// is the API server's, which the simulation plays; the last ones are the pod's own.
var guards = []struct{ rule, file, with, without string }{
	{"a charge falls by proof, not by decision", "next.go",
		"Charge: max(e.Charge, limit), Limit", "Charge: max(0*e.Charge, limit), Limit"},
	{"an old state does not lower a charge under a raise in flight", "next.go",
		"p.State.Ledger < e.Since", "false"},
	{"what is open counts, and not only the limit", "next.go",
		"return d.Bound()", "return d.Limit"},
	{"a raise takes only what nobody is charged with", "next.go",
		"free -= int64(a.Destinations[name].Charge)", "free -= int64(a.Destinations[name].Limit)"},
	{"a gone pod holds its charge until servers have noticed", "next.go",
		"a.goneFor(now) >= vanish", "true"},
	{"limits that change get a version of their own", "next.go",
		"version: ledger.Version + 1", "version: ledger.Version"},
	{"a drain of before does not count when a pod leaves", "next.go",
		"e.Since = t.version\n", "\n"},
	{"a pod that drains but does not leave keeps its limit", "next.go",
		"t.Pods[uid].Leaving && bound < e.Limit", "bound < e.Limit"},
	{"a lost ledger proves nothing", "next.go",
		"case t.lost:", "case false:"},
	{"a ledger begins above those that were lost", "next.go",
		"return now.UnixMilli()", "return 1"},
	{"a ledger that began blind proves nothing", "next.go",
		"ledger.Version == 0 || ledger.Blind", "ledger.Version == 0"},
	{"a ledger that an operator recalls proves nothing: another may have changed it since", "ledger.go",
		"l.Blind = true", "l.Blind = false"},
	{"nothing is left beside a pod of which nothing is known, however high the budget rises", "next.go",
		"const everything = 1_000_000", "const everything = 7"},
	{"a pod that ran something newer shows that the ledger is not the latest", "next.go",
		"p.State.Ledger >= t.version", "false"},
	{"only what was written is pushed", "world_test.go",
		"return // a conflict", "for _, p := range seen {\n\t\t\tw.pushes = append(w.pushes, push{uid: p.UID, config: told(next)})\n\t\t}\n\t\treturn"},
	{"the ledger changes by compare-and-swap", "world_test.go",
		"if w.revision != o.revision {", "if false {"},
	{"a pod accepts nothing older than it did", agentCore,
		"case push.Ledger < c.ledger:", "case push.Ledger < 0:"},
	{"also not after its container started again", agentCore,
		"Kept(push podapi.Config) Core {\n\treturn c.accept(push)", "Kept(push podapi.Config) Core {\n\treturn c"},
	{"a new pod has nothing until it is told", agentCore,
		"return podapi.Share{MaxWaiting: podapi.Unlimited}", "return podapi.Share{MaxOpen: 1}"},
}

func TestTheSimulationNoticesEachGuardThatIsMissing(t *testing.T) {
	for _, guard := range guards {
		t.Run(guard.rule, func(t *testing.T) {
			out, err := runWithout(t, guard.file, guard.with, guard.without)
			if err == nil {
				t.Fatalf("without it the simulation passes")
			}
			if !strings.Contains(out, "--- FAIL: Test") {
				t.Fatalf("the simulation did not run: %v\n%s", err, out)
			}
		})
	}
}

// runWithout runs the simulation with a piece of the source replaced.
func runWithout(t *testing.T, file, with, without string) (output string, err error) {
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), with) != 1 {
		t.Fatalf("%s does not hold %q once", file, with)
	}
	dir := t.TempDir()
	original, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	mutant := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(mutant, []byte(strings.Replace(string(source), with, without, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "test", "-overlay", overlayFile, "-run", "Interleaving|Lost|Blind", ".",
		"-rapid.checks=20000", "-rapid.steps=60", "-rapid.nofailfile", "-rapid.shrinktime=1ms")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
