package controllers

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-dev/weir/api/v1alpha1"
	"github.com/weir-dev/weir/controllers/plan"
)

// memory is what the operator remembers of each pool between two passes. Nothing in it is needed for safety: an operator
// that starts has none.
type memory struct {
	mu    sync.Mutex
	pools map[types.NamespacedName]*remembered
}

// remembered belongs to one pool. Passes over a pool never overlap, so that a pass may use it without a lock.
type remembered struct {
	pool types.UID

	// document is what the ConfigMap held when this operator last wrote it, at version; zero before the first write.
	document plan.Document
	version  string
	// reread says that the cache was found to lag behind the ConfigMap: the next pass reads past it.
	reread bool

	applied     map[string]applied // what children were when they were last as they should be, by kind
	came        bool               // it was seen at rest, or an earlier operator has seen to it; guarded by memory.mu
	tookOver    time.Time          // when, from an earlier operator; zero: the pool is new since
	statusWrite time.Time          // when the status was last written
	trusts      time.Duration      // how old what pods said may be before they are asked again: nothing moves
	refusedPush map[string]string  // pod UID -> why it last did not take a push, so that the log says it once
}

func newMemory() *memory {
	return &memory{pools: map[types.NamespacedName]*remembered{}}
}

// of is what is remembered of the pool. A pool that was deleted and made again is another one. Of one that has a status an
// earlier operator has written it.
func (m *memory) of(pool *v1alpha1.ConnectionPool, now time.Time) *remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := client.ObjectKeyFromObject(pool)
	known := m.pools[name]
	if known == nil || known.pool != pool.UID {
		known = &remembered{pool: pool.UID, applied: map[string]applied{}, refusedPush: map[string]string{}}
		if !fresh(pool) {
			known.came, known.tookOver, known.statusWrite = true, now, pool.Status.Observation.Time.Time
		}
		m.pools[name] = known
	}
	return known
}

// settled notes that a pool has come.
func (m *memory) settled(known *remembered) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known.came = true
}

// comes says whether a pool was looked at, and whether it is new.
func (m *memory) comes(name types.NamespacedName) (known, comes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.pools[name]
	return r != nil, r != nil && !r.came
}

// forget drops a pool.
func (m *memory) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pools, name)
}

// latest is the later of what was read and what this operator wrote. When there is no ConfigMap any more its ledger is recalled. On
// an error it is the zero Document: as if there were none.
func (r *remembered) latest(live *corev1.ConfigMap) (plan.Document, error) {
	if live == nil {
		recalled := r.document
		recalled.Ledger = recalled.Ledger.Recalled()
		return recalled, nil
	}
	if r.remembers(live) {
		return r.document, nil
	}
	return plan.ParseDocument(live.Data)
}

// remembers says whether what this operator wrote is not older than what was read.
func (r *remembered) remembers(live *corev1.ConfigMap) bool {
	return r.version != "" && !newer(live.ResourceVersion, r.version)
}

// newer says whether a version of an object comes after another. What cannot be compared counts as newer.
func newer(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || order > 0
}

// wrote remembers what was written.
func (r *remembered) wrote(document plan.Document, version string) {
	r.document, r.version = document, version
}
