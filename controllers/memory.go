package controllers

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

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
	statusWrite time.Time          // when the status was last written
	trusts      time.Duration      // how old what pods said may be before they are asked again: nothing moves
	refusedPush map[string]string  // pod UID -> why it last did not take a push, so that the log says it once
}

func newMemory() *memory {
	return &memory{pools: map[types.NamespacedName]*remembered{}}
}

// of is what is remembered of the pool. A pool that was deleted and made again is another one.
func (m *memory) of(name types.NamespacedName, pool types.UID) *remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.pools[name]
	if known == nil || known.pool != pool {
		known = &remembered{pool: pool, applied: map[string]applied{}, refusedPush: map[string]string{}}
		m.pools[name] = known
	}
	return known
}

// forget drops a pool.
func (m *memory) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pools, name)
}

// latest is the later of what was read and what this operator wrote. A ConfigMap that was deleted counts as what was written:
// its ledger must not start over. On an error it is the zero Document: as if there were none.
func (r *remembered) latest(live *corev1.ConfigMap) (plan.Document, error) {
	if live == nil || r.remembers(live) {
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
