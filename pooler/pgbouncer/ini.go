package pgbouncer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of what is read.
const (
	maxFile     = 4 << 20 // bytes of one file
	maxIncludes = 10      // files within files, as in PgBouncer
)

// Entry is one key of a section, with where it stands.
type Entry struct {
	Section, Key, Value string
	File                string
	Line                int
}

// At is where the entry stands.
func (e Entry) At() string { return fmt.Sprintf("%s:%d", e.File, e.Line) }

// Config is a pgbouncer.ini with what it includes.
type Config struct {
	Path     string
	Entries  []Entry // in their order
	Users    []User  // of auth_file
	AuthFile string  // as it is called in the file; empty: there is none, or it cannot be read
	Trouble  []string
}

// Load reads a pgbouncer.ini, the files that it includes and its auth_file. An auth_file that cannot be read is no error, but
// Trouble.
func Load(path string) (*Config, error) {
	c := &Config{Path: path}
	section := ""
	if err := c.include(path, &section, 0); err != nil {
		return nil, err
	}
	if e, set := c.setting("auth_file"); set && e.Value != "" {
		c.AuthFile = e.Value
		if err := c.readUsers(); err != nil {
			c.Trouble = append(c.Trouble, fmt.Sprintf("%s: auth_file: %v", e.At(), err))
		}
	}
	return c, nil
}

func (c *Config) readUsers() error {
	file, err := open(c.AuthFile, c.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	c.Users, err = ParseUserlist(io.LimitReader(file, maxFile))
	return err
}

// open opens a file that another one names: relative to where the process runs, as PgBouncer does, or else beside the other.
func open(name, from string) (*os.File, error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(name) {
		file, err = os.Open(filepath.Join(filepath.Dir(from), name))
	}
	return file, err
}

func (c *Config) include(path string, section *string, depth int) error {
	if depth > maxIncludes {
		return fmt.Errorf("%s: more than %d files include each other", path, maxIncludes)
	}
	file, err := open(path, c.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return err
	}
	if len(content) > maxFile {
		return fmt.Errorf("%s: is larger than %d bytes", path, maxFile)
	}
	for i, line := range strings.Split(string(content), "\n") {
		if err := c.line(strings.TrimSpace(line), path, i+1, section, depth); err != nil {
			return err
		}
	}
	return nil
}

// line reads one line. Comments are lines of their own, and a value goes to the end of its line.
func (c *Config) line(line, path string, number int, section *string, depth int) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s:%d: "+format, append([]any{path, number}, args...)...)
	}
	switch {
	case line == "" || line[0] == ';' || line[0] == '#':
		return nil
	case line[0] == '[':
		name, rest, closed := strings.Cut(line[1:], "]")
		if !closed || strings.TrimSpace(rest) != "" {
			return wrong("a section must be [name], and stand alone")
		}
		*section = strings.TrimSpace(name)
		return nil
	case line[0] == '%':
		name, ok := strings.CutPrefix(line, "%include")
		if trimmed := strings.TrimSpace(name); !ok || trimmed == "" || name[0] != ' ' && name[0] != '\t' {
			return wrong("only %%include FILE may begin with %%")
		}
		inner := *section
		if err := c.include(strings.TrimSpace(name), &inner, depth+1); err != nil {
			return wrong("%w", err)
		}
		return nil
	case *section == "":
		return wrong("stands before the first [section]")
	}
	key, value, err := keyValue(line)
	if err != nil {
		return wrong("%v", err)
	}
	c.Entries = append(c.Entries, Entry{Section: *section, Key: key, Value: value, File: path, Line: number})
	return nil
}

// keyValue divides a line. A key in double quotes is a name as in SQL.
func keyValue(line string) (key, value string, err error) {
	var rest string
	if line[0] == '"' {
		var ok bool
		if key, rest, ok = inQuotes(line); !ok {
			return "", "", errors.New("a quoted name does not end")
		}
		if rest = strings.TrimSpace(rest); !strings.HasPrefix(rest, "=") {
			return "", "", errors.New("must be: name = value")
		}
		return key, strings.TrimSpace(rest[1:]), nil
	}
	key, rest, ok := strings.Cut(line, "=")
	if key = strings.TrimSpace(key); !ok || key == "" {
		return "", "", errors.New("must be: name = value")
	}
	return key, strings.TrimSpace(rest), nil
}

// setting is the last entry of that name in [pgbouncer], which is the one that counts.
func (c *Config) setting(name string) (Entry, bool) {
	for i := len(c.Entries) - 1; i >= 0; i-- {
		if e := c.Entries[i]; e.Section == "pgbouncer" && strings.EqualFold(e.Key, name) {
			return e, true
		}
	}
	return Entry{}, false
}

// section are the entries of a section, of equal keys the last one.
func (c *Config) section(name string) (all []Entry) {
	at := map[string]int{}
	for _, e := range c.Entries {
		if e.Section != name {
			continue
		}
		if i, twice := at[e.Key]; twice {
			all[i] = e
			continue
		}
		at[e.Key] = len(all)
		all = append(all, e)
	}
	return all
}

// Param is one part of a connect string.
type Param struct{ Key, Value string }

// ParseParams reads a connect string: key=value, apart by space, values quoted with ' if need be, which is doubled inside.
func ParseParams(text string) ([]Param, error) {
	var params []Param
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		key, rest, ok := strings.Cut(text, "=")
		if key = strings.TrimSpace(key); !ok || key == "" || strings.ContainsAny(key, " \t'") {
			return nil, errors.New("must be key=value pairs") // what it is may hold a password
		}
		rest = strings.TrimLeft(rest, " \t")
		value := ""
		if strings.HasPrefix(rest, "'") {
			if value, rest, ok = quoted(rest); !ok {
				return nil, fmt.Errorf("the value of %s has no closing quote", key)
			}
		} else if end := strings.IndexAny(rest, " \t"); end >= 0 {
			value, rest = rest[:end], rest[end:]
		} else {
			value, rest = rest, ""
		}
		params = append(params, Param{strings.ToLower(key), value})
		text = rest
	}
	return params, nil
}

func quoted(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for s = s[1:]; ; {
		i := strings.IndexByte(s, '\'')
		if i < 0 {
			return "", "", false
		}
		b.WriteString(s[:i])
		if s = s[i+1:]; !strings.HasPrefix(s, "'") {
			return b.String(), s, true
		}
		b.WriteByte('\'')
		s = s[1:]
	}
}

// clip keeps a message short however long the text is.
func clip(s string) string {
	const longest = 60
	if len(s) > longest {
		return s[:longest] + "..."
	}
	return s
}
