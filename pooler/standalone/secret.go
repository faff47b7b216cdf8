package standalone

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weir-dev/weir/pooler/pgbouncer"
	"github.com/weir-dev/weir/pooler/secrets"
)

// readSecret reads the keys of a Secret from a directory with a file for each, from a PgBouncer userlist (.txt) or from a
// YAML file.
func readSecret(path string) (map[string][]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return secrets.ReadDirectory(path)
	}
	content, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(filepath.Ext(path), ".txt") {
		return userlist(path, content)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return keysOf(path, &root)
}

func userlist(path string, content []byte) (map[string][]byte, error) {
	users, err := pgbouncer.ParseUserlist(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	keys := make(map[string][]byte, len(users))
	for _, u := range users {
		if u.Password != "" { // who has none cannot log in
			keys[u.Name] = []byte(u.Password)
		}
	}
	return keys, nil
}

// keysOf reads a mapping of texts.
func keysOf(path string, root *yaml.Node) (map[string][]byte, error) {
	d := &decoder{lines: map[string]int{}}
	keys := map[string][]byte{}
	if len(root.Content) == 1 {
		d.mapping(root.Content[0], "", func(key string, _, value *yaml.Node, at string) {
			if text, ok := d.text(value, at); ok {
				keys[key] = []byte(text)
			}
		})
	}
	if len(d.faults) > 0 {
		return nil, &Invalid{File: path, Faults: d.faults}
	}
	return keys, nil
}
