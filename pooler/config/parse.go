package config

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/weir-dev/weir/pooler/podapi"
)

// DefaultPath is where a pod's ConfigMap is mounted.
const DefaultPath = "/etc/weir/config/" + podapi.ConfigKey

// Invalid is the error of a Config that makes no sense: what is wrong with which field.
type Invalid struct{ Faults []string }

// maxFaults bounds how many faults of one document are told.
const maxFaults = 10

func (e *Invalid) Error() string {
	shown, more := e.Faults, ""
	if len(shown) > maxFaults {
		more = fmt.Sprintf("; and %d more", len(shown)-maxFaults)
		shown = shown[:maxFaults]
	}
	return "invalid configuration: " + strings.Join(shown, "; ") + more
}

// Parse reads a Config and checks it. The error is an *Invalid.
func Parse(document []byte) (podapi.Config, error) {
	if len(document) > podapi.MaxConfigBytes {
		return podapi.Config{}, invalid("it has %d bytes: at most %d are allowed", len(document), podapi.MaxConfigBytes)
	}
	// The version decides what the rest means, so it is looked at first and alone.
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(document, &head); err != nil {
		return podapi.Config{}, invalid("it is not a JSON document of this format: %v", err)
	}
	switch {
	case head.Version == nil:
		return podapi.Config{}, invalid("version: is missing; this pooler speaks version %d", podapi.Version)
	case *head.Version != podapi.Version:
		return podapi.Config{}, invalid("version: is %d, but this pooler speaks version %d: use an operator and a pooler of neighbouring releases",
			*head.Version, podapi.Version)
	}
	var c podapi.Config
	if err := json.Unmarshal(document, &c); err != nil {
		return podapi.Config{}, invalid("it is not a JSON document of this format: %v", err)
	}
	if err := Validate(c); err != nil {
		return podapi.Config{}, err
	}
	return c, nil
}

func invalid(format string, args ...any) *Invalid {
	return &Invalid{Faults: []string{fmt.Sprintf(format, args...)}}
}
