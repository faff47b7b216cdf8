package standalone

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds how much of a document is looked at: aliases can make a small one large.
const maxNodes = 200_000

// decoder fills values from a document, and notes what is wrong with it and where things are.
type decoder struct {
	faults []Fault
	lines  map[string]int // by path
	nodes  int
}

func (d *decoder) wrong(node *yaml.Node, path, format string, args ...any) {
	d.faults = append(d.faults, Fault{Line: node.Line, Path: path, Message: fmt.Sprintf(format, args...)})
}

// decode fills v with what node says.
func (d *decoder) decode(node *yaml.Node, v reflect.Value, path string) {
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.wrong(node, path, "the document is too large")
		}
		return
	}
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	d.lines[path] = cmp.Or(d.lines[path], node.Line)
	switch v.Interface().(type) {
	case Secret:
		d.secret(node, v, path)
		return
	case Value:
		d.value(node, v, path)
		return
	}
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return // as if it were not written
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(node, v.Elem(), path)
	case reflect.Struct:
		d.mapping(node, path, func(key string, keyNode, value *yaml.Node, path string) {
			field, known := fieldOf(v, key)
			if !known {
				d.wrong(keyNode, path, "is not known%s", meant(key, fieldsOf(v.Type())))
				return
			}
			d.decode(value, field, path)
		})
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		d.mapping(node, path, func(key string, _, value *yaml.Node, path string) {
			one := reflect.New(v.Type().Elem()).Elem()
			d.decode(value, one, path)
			v.SetMapIndex(reflect.ValueOf(key), one)
		})
	case reflect.Slice:
		if node.Kind != yaml.SequenceNode {
			d.wrong(node, path, "must be a list: begin its items with a dash")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(node.Content), len(node.Content)))
		for i, item := range node.Content {
			d.decode(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		d.scalar(node, v, path)
	}
}

// mapping calls each for the keys of a mapping.
func (d *decoder) mapping(node *yaml.Node, path string, each func(key string, keyNode, value *yaml.Node, path string)) {
	if node.Kind != yaml.MappingNode {
		d.wrong(node, path, "must have fields, is %s", kindOf(node))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		at := join(path, key.Value)
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			d.wrong(key, path, "has a key that is no text")
			continue
		}
		if seen[key.Value] {
			d.wrong(key, at, "is written twice")
			continue
		}
		seen[key.Value] = true
		d.lines[at] = key.Line
		each(key.Value, key, value, at)
	}
}

func (d *decoder) scalar(node *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		if text, ok := d.text(node, path); ok {
			v.SetString(text)
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(node.Value, 10, v.Type().Bits())
		if node.Kind != yaml.ScalarNode || node.Tag != "!!int" || err != nil {
			d.wrong(node, path, "must be a whole number, is %s", kindOf(node))
			return
		}
		v.SetInt(n)
	case reflect.Bool:
		if node.Kind != yaml.ScalarNode || node.Tag != "!!bool" {
			d.wrong(node, path, "must be true or false, is %s", kindOf(node))
			return
		}
		v.SetBool(strings.EqualFold(node.Value, "true"))
	default:
		d.wrong(node, path, "cannot be set in a file")
	}
}

// text takes numbers as they are written, too: 0123 is a password.
func (d *decoder) text(node *yaml.Node, path string) (string, bool) {
	if node.Kind != yaml.ScalarNode || node.Tag != "!!str" && node.Tag != "!!int" && node.Tag != "!!float" {
		d.wrong(node, path, "must be a text: put it in quotes")
		return "", false
	}
	return node.Value, true
}

// secret is a path, or keys.
func (d *decoder) secret(node *yaml.Node, v reflect.Value, path string) {
	var s Secret
	if node.Kind == yaml.ScalarNode {
		s.Path, _ = d.text(node, path)
	} else {
		s.Keys = map[string]Value{}
		d.mapping(node, path, func(key string, _, value *yaml.Node, path string) {
			one := reflect.New(reflect.TypeFor[Value]()).Elem()
			d.decode(value, one, path)
			s.Keys[key] = one.Interface().(Value)
		})
	}
	v.Set(reflect.ValueOf(s))
}

// value is a text, or {file: path} or {env: name}.
func (d *decoder) value(node *yaml.Node, v reflect.Value, path string) {
	if node.Kind != yaml.MappingNode {
		text, _ := d.text(node, path)
		v.Set(reflect.ValueOf(Value{Text: text}))
		return
	}
	var from struct {
		File string `json:"file"`
		Env  string `json:"env"`
	}
	d.decode(node, reflect.ValueOf(&from).Elem(), path)
	if (from.File == "") == (from.Env == "") {
		d.wrong(node, path, "must be a text, or have the field file or the field env")
	}
	v.Set(reflect.ValueOf(Value{File: from.File, Env: from.Env}))
}

// fieldOf is the field of that name, of v or of what is embedded in it; the outer one counts.
func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if name != "" && jsonName(v.Type().Field(i)) == name {
			return v.Field(i), true
		}
	}
	for i := range v.NumField() {
		if v.Type().Field(i).Anonymous {
			if field, known := fieldOf(v.Field(i), name); known {
				return field, true
			}
		}
	}
	return reflect.Value{}, false
}

func fieldsOf(t reflect.Type) []string {
	names := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for _, name := range fieldsOf(f.Type) {
				names[name] = true
			}
		} else if name := jsonName(f); name != "" {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// jsonName is what a field is called in the file; empty: it is not in it.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	if strings.ContainsAny(key, ".[] ") {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	return path + "." + key
}

func kindOf(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return strconv.Quote(clip(node.Value))
	}
	return "something else"
}

// clip keeps a message short however long the field is.
func clip(s string) string {
	const longest = 80
	if len(s) > longest {
		return s[:longest] + "..."
	}
	return s
}

// meant suggests what may have been meant.
func meant(key string, known []string) string {
	best, least := "", 3
	for _, name := range known {
		if n := distance(strings.ToLower(key), strings.ToLower(name)); n < least {
			best, least = name, n
		}
	}
	if best != "" {
		return fmt.Sprintf(": did you mean %s?", best)
	}
	return "; known are " + strings.Join(known, ", ")
}

// distance is how many letters must be changed, added or taken away to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
