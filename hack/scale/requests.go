package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"
)

// requests are what the operator has written to the API server, by verb and object, as the API server counts it.
type requests map[string]float64

var (
	requestSample = regexp.MustCompile(`^apiserver_request_total\{(.*)\} (\S+)$`)
	requestLabel  = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// countRequests reads them. What this program writes is left out: it applies nothing, and writes no events and no status of pools.
func countRequests(ctx context.Context, api rest.Interface) (requests, error) {
	text, err := api.Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	counted := requests{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		sample := requestSample.FindStringSubmatch(lines.Text())
		if sample == nil {
			continue
		}
		label := map[string]string{}
		for _, pair := range requestLabel.FindAllStringSubmatch(sample[1], -1) {
			label[pair[1]] = pair[2]
		}
		object := strings.TrimSuffix(label["resource"]+"/"+label["subresource"], "/")
		reads := slices.Contains([]string{"GET", "LIST", "WATCH"}, label["verb"])
		if reads || label["verb"] != "APPLY" && object != "connectionpools/status" && object != "events" {
			continue
		}
		value, err := strconv.ParseFloat(sample[2], 64)
		if err != nil {
			return nil, err
		}
		counted[label["verb"]+" "+object] += value
	}
	return counted, lines.Err()
}

// since is what was added, as text.
func (r requests) since(before requests) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if added := r[name] - before[name]; added > 0 {
			parts = append(parts, fmt.Sprintf("%.0f %s", added, name))
		}
	}
	return strings.Join(parts, ", ")
}
