package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/weir-dev/weir/controllers/budget"
	"github.com/weir-dev/weir/controllers/sizing"
	"github.com/weir-dev/weir/pooler/podapi"
)

// LedgerKey is the key of the ledger in the pool's ConfigMap. Pods do not mount it.
const LedgerKey = "ledger.json"

// SizesKey is the key, in the same place, of where limits are that move by themselves. It is there only if some do.
const SizesKey = "sizes.json"

// MaxDocumentBytes is what a ConfigMap holds, less room for its metadata.
const MaxDocumentBytes = podapi.MaxConfigBytes - 16<<10

// ErrTooLarge says that the document does not fit into a ConfigMap.
var ErrTooLarge = errors.New("the pool's configuration does not fit into a ConfigMap: give it fewer destinations, databases or pods")

// Document is what the pool's ConfigMap holds.
type Document struct {
	Config podapi.Config
	Ledger budget.Ledger
	Sizes  map[string]sizing.State // by destination; nil: none
}

// ParseDocument reads the data of a pool's ConfigMap. On an error it returns the zero Document: it is as if there were none.
func ParseDocument(data map[string]string) (Document, error) {
	var d Document
	if err := json.Unmarshal([]byte(data[podapi.ConfigKey]), &d.Config); err != nil {
		return Document{}, fmt.Errorf("read %s: %w", podapi.ConfigKey, err)
	}
	if err := json.Unmarshal([]byte(data[LedgerKey]), &d.Ledger); err != nil {
		return Document{}, fmt.Errorf("read %s: %w", LedgerKey, err)
	}
	if d.Config.Ledger != d.Ledger.Version {
		return Document{}, fmt.Errorf("%s is of version %d and %s of %d: they were not written together",
			podapi.ConfigKey, d.Config.Ledger, LedgerKey, d.Ledger.Version)
	}
	if text := data[SizesKey]; text != "" && json.Unmarshal([]byte(text), &d.Sizes) != nil {
		d.Sizes = nil // sizing begins anew
	}
	return d, nil
}

// Data is what goes into the ConfigMap. The value of podapi.ConfigKey is also what is pushed, byte by byte.
func (d Document) Data() (map[string]string, error) {
	config, err := json.Marshal(d.Config)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", podapi.ConfigKey, err)
	}
	ledger, err := json.Marshal(d.Ledger)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", LedgerKey, err)
	}
	data := map[string]string{podapi.ConfigKey: string(config), LedgerKey: string(ledger)}
	if len(d.Sizes) > 0 {
		sizes, err := json.Marshal(d.Sizes)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", SizesKey, err)
		}
		data[SizesKey] = string(sizes)
	}
	if len(config)+len(ledger)+len(data[SizesKey]) > MaxDocumentBytes {
		return nil, ErrTooLarge
	}
	return data, nil
}

// sameConfig says whether two configs differ in nothing but their version.
func sameConfig(a, b podapi.Config) (bool, error) {
	a.Ledger, b.Ledger = 0, 0
	left, err := json.Marshal(a)
	if err != nil {
		return false, fmt.Errorf("compare configurations: %w", err)
	}
	right, err := json.Marshal(b)
	if err != nil {
		return false, fmt.Errorf("compare configurations: %w", err)
	}
	return bytes.Equal(left, right), nil
}
