package controllers

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/budget"
	"github.com/weir-dev/weir/controllers/plan"
	"github.com/weir-dev/weir/pooler/podapi"
)

func documentOf(version int64) plan.Document {
	return plan.Document{Config: podapi.Config{Version: podapi.Version, Ledger: version}, Ledger: budget.Ledger{Version: version}}
}

func configMapOf(t *testing.T, resourceVersion string, document plan.Document) *corev1.ConfigMap {
	t.Helper()
	data, err := document.Data()
	if err != nil {
		t.Fatal(err)
	}
	configMap := &corev1.ConfigMap{Data: data}
	configMap.ResourceVersion = resourceVersion
	return configMap
}

func TestTheLatestDocument(t *testing.T) {
	written := &remembered{}
	written.wrote(documentOf(5), "100")
	tests := map[string]struct {
		known *remembered
		live  *corev1.ConfigMap
		want  int64
	}{
		"is what the cache has when this operator wrote nothing":      {known: &remembered{}, live: configMapOf(t, "99", documentOf(4)), want: 4},
		"is none when there is none":                                  {known: &remembered{}, want: 0},
		"is what was written when the cache lags":                     {known: written, live: configMapOf(t, "99", documentOf(4)), want: 5},
		"is what was written when the cache has just that":            {known: written, live: configMapOf(t, "100", documentOf(5)), want: 5},
		"is what the cache has when somebody wrote later":             {known: written, live: configMapOf(t, "101", documentOf(6)), want: 6},
		"is what the cache has when a longer number is a later one":   {known: written, live: configMapOf(t, "1000", documentOf(6)), want: 6},
		"is what was written when somebody has deleted the ConfigMap": {known: written, want: 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			document, err := test.known.latest(test.live)
			if err != nil || document.Ledger.Version != test.want {
				t.Errorf("got version %d, %v; want %d", document.Ledger.Version, err, test.want)
			}
		})
	}
}

func TestADocumentThatCannotBeReadIsNone(t *testing.T) {
	broken := &corev1.ConfigMap{Data: map[string]string{podapi.ConfigKey: "{", plan.LedgerKey: "{"}}
	document, err := (&remembered{}).latest(broken)
	if err == nil || document.Ledger.Version != 0 {
		t.Errorf("got %+v, %v", document, err)
	}
}

func TestAPoolThatWasMadeAgainIsAnotherOne(t *testing.T) {
	m := newMemory()
	pool := &v1alpha1.ConnectionPool{}
	pool.Name, pool.UID = "orders-db", "first"
	m.of(pool, time.Now()).wrote(documentOf(5), "100")
	if m.of(pool, time.Now()).version != "100" {
		t.Error("the pool was forgotten")
	}
	pool.UID = "second"
	if m.of(pool, time.Now()).version != "" {
		t.Error("the second pool has the document of the first")
	}
}

func TestWhenToLookAgain(t *testing.T) {
	other := errors.New("the API server is away")
	tests := map[string]struct {
		err     error
		requeue time.Duration // of the plan
		pushed  bool
		want    reconcile.Result
		wantErr bool
	}{
		"in calm after pools in which something moves": {requeue: plan.Slow, want: again(plan.Slow, idle)},
		"as the plan says": {requeue: plan.Fast, want: again(plan.Fast, urgent)},
		"soon after a push, to give out what pods let go of": {requeue: plan.Slow, pushed: true, want: again(soon, urgent)},
		"soon after a lost race":                             {err: fmt.Errorf("write: %w", errChanged), want: again(soon, urgent)},
		"in a second while an object is being deleted":       {err: fmt.Errorf("wait: %w", errLeaving), want: again(plan.Fast, urgent)},
		"in a second after both":                             {err: errors.Join(errChanged, errLeaving), want: again(plan.Fast, urgent)},
		"with growing pauses after an error":                 {err: other, want: again(0, urgent), wantErr: true},
		"with growing pauses after an error among others":    {err: errors.Join(errChanged, other), want: again(0, urgent), wantErr: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := &pass{Reconciler: New(Options{}), plan: &plan.Plan{Requeue: test.requeue}, known: &remembered{}, pushed: test.pushed}
			got, err := p.result(test.err)
			if !reflect.DeepEqual(got, test.want) || (err != nil) != test.wantErr {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
