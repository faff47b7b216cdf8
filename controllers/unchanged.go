package controllers

import (
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// applied is what a child was when it was last as it should be.
type applied struct {
	uid     types.UID
	hash    string // of what it should be
	version string // its resourceVersion
}

// nothingToDo says whether a child is what it should be: as this operator left it, or, if somebody has written to it since or
// this operator never did, as the hash on it and what is in it say.
func (r *remembered) nothingToDo(desired *unstructured.Unstructured, live client.Object) (bool, error) {
	hash, kind := hashIn(desired), desired.GetKind()
	last, known := r.applied[kind]
	if known && last.uid == live.GetUID() && !newer(live.GetResourceVersion(), last.version) {
		return last.hash == hash, nil
	}
	if hashIn(live) != hash {
		return false, nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return false, fmt.Errorf("compare %T: %w", live, err)
	}
	for part, value := range desired.Object {
		if part != "apiVersion" && part != "kind" && !holds(content[part], value) { // those two are not in the cache
			return false, nil
		}
	}
	r.applied[kind] = applied{live.GetUID(), hash, live.GetResourceVersion()}
	return true, nil
}

// whole are the fields that an apply replaces as a whole, so that nobody can add to them.
var whole = map[string]bool{"selector": true, "matchLabels": true, "nodeSelector": true, "tolerations": true}

// holds says whether an apply of desired would change nothing in live: each field is there and the same. Fields that only
// live has are the API server's defaults, or somebody else's.
func holds(live, desired any) bool {
	switch desired := desired.(type) {
	case map[string]any:
		fields, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for name, value := range desired {
			if !holds(fields[name], value) || whole[name] && !reflect.DeepEqual(fields[name], value) {
				return false
			}
		}
		return true
	case []any:
		items, ok := live.([]any)
		if !ok || len(items) != len(desired) {
			return false
		}
		for i := range desired {
			if !holds(items[i], desired[i]) {
				return false
			}
		}
		return true
	default:
		return live == desired
	}
}
