package standalone

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weir-dev/weir/pooler/config"
	"github.com/weir-dev/weir/pooler/secrets"
)

// Fault is one thing that is wrong with a file.
type Fault struct {
	Line    int    // 0: of no line
	Path    string // of the field; empty: the whole file
	Message string // what is wrong, and what to do
}

// Invalid is the error of a file that makes no sense.
type Invalid struct {
	File   string
	Faults []Fault
}

// Error tells one fault to a line, as compilers do.
func (e *Invalid) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		at := e.File
		if f.Line > 0 {
			at = fmt.Sprintf("%s:%d", at, f.Line)
		}
		if f.Path != "" {
			at += ": " + f.Path
		}
		lines[i] = at + ": " + f.Message
	}
	return strings.Join(lines, "\n")
}

// Read reads a file. The error is an *Invalid, or that of the system.
func Read(path string) (*File, error) {
	document, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return parse(path, document)
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, MaxBytes+1))
	if err == nil && len(content) > MaxBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, MaxBytes)
	}
	return content, err
}

// parse makes a File of a document, which is called path.
func parse(path string, document []byte) (*File, error) {
	f := &File{directory: filepath.Dir(path)}
	d := &decoder{lines: map[string]int{}}
	if err := d.document(document, f); err != nil {
		d.faults = append(d.faults, Fault{Message: strings.TrimPrefix(err.Error(), "yaml: ")})
	}
	if len(d.faults) == 0 {
		f.fill()
		d.check(f)
	}
	if len(d.faults) > 0 {
		slices.SortStableFunc(d.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
		return nil, &Invalid{File: path, Faults: d.faults}
	}
	return f, nil
}

// document decodes the only document that there may be.
func (d *decoder) document(document []byte, f *File) error {
	all := yaml.NewDecoder(bytes.NewReader(document))
	var root, more yaml.Node
	switch err := all.Decode(&root); {
	case errors.Is(err, io.EOF) || err == nil && len(root.Content) == 0:
		return errors.New("it is empty: at least destinations must be named")
	case err != nil:
		return err
	}
	if err := all.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.New("it must be a single document, without ---")
	}
	d.decode(root.Content[0], reflect.ValueOf(f).Elem(), "")
	return nil
}

// check notes what makes no sense about a file whose fields are known.
func (d *decoder) check(f *File) {
	for i, dest := range f.Destinations {
		l, at := dest.Limits, fmt.Sprintf("destinations[%d].limits", i)
		d.expect(*l.MaxOpen >= 1, at+".maxOpen", "must be at least 1")
		d.expect(l.MaxOpenPerUser <= *l.MaxOpen, at+".maxOpenPerUser", "must not be above maxOpen, which is %d", *l.MaxOpen)
		d.expect(l.MinIdle <= *l.MaxOpen, at+".minIdle", "must not be above maxOpen, which is %d", *l.MaxOpen)
		d.expect(*l.MaxIdle <= *l.MaxOpen, at+".maxIdle", "must not be above maxOpen, which is %d", *l.MaxOpen)
		d.expect(l.MinIdle <= *l.MaxIdle, at+".minIdle", "must not be above maxIdle, which is %d", *l.MaxIdle)
	}
	if f.ListenHost() != "" {
		d.expect(net.ParseIP(f.Listen) != nil, "listen", `must be an IP address, or "*" for all, is %q`, clip(f.Listen))
	}
	_, _, err := net.SplitHostPort(f.Health)
	d.expect(err == nil, "health", "must be an address with a port, is %q", clip(f.Health))
	c := f.Config(1)
	invalid := new(config.Invalid)
	if errors.As(config.Validate(c), &invalid) {
		for _, fault := range invalid.Faults {
			path, message, _ := strings.Cut(fault, ": ")
			path = f.pathOf(path)
			d.faults = append(d.faults, Fault{Line: d.line(path), Path: path, Message: message})
		}
		return
	}
	d.checkSecrets(f)
}

func (d *decoder) expect(ok bool, path, format string, args ...any) {
	if !ok {
		d.faults = append(d.faults, Fault{Line: d.line(path), Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

// checkSecrets reads what destinations need of Secrets.
func (d *decoder) checkSecrets(f *File) {
	c := f.Config(1)
	renderer := config.NewRenderer(secrets.NewStoreOf(f.Secret))
	for i, dest := range c.Destinations {
		_, _, problems := renderer.Render(c, dest, c.Shares[pod][dest.Name])
		for _, p := range problems {
			at := fmt.Sprintf("destinations[%d]", i)
			for name := range f.Secrets {
				if strings.Contains(p.Message, fmt.Sprintf("Secret %q", name)) {
					at = join("secrets", name)
				}
			}
			fault := Fault{Line: d.line(at), Path: at, Message: p.Message}
			if !slices.Contains(d.faults, fault) {
				d.faults = append(d.faults, fault)
			}
		}
	}
}

// line is where a field is, or what holds it.
func (d *decoder) line(path string) int {
	for path != "" {
		if line := d.lines[path]; line > 0 {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// pathOf is where the file says what a Config says in a path: shares are limits here.
func (f *File) pathOf(path string) string {
	rest, isShare := strings.CutPrefix(path, fmt.Sprintf("shares[%q][", pod))
	if !isShare {
		return path
	}
	quoted, field, _ := strings.Cut(rest, "].")
	for i, d := range f.Destinations {
		if fmt.Sprintf("%q", d.Name) == quoted {
			return fmt.Sprintf("destinations[%d].limits.%s", i, field)
		}
	}
	return path
}
