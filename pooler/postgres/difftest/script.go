package difftest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Modes of a pool.
const (
	transaction = "transaction"
	session     = "session"
	weir        = "weir" // both
)

// Script is one case.
type Script struct {
	Name    string // of its file
	Title   string
	Cases   []int // its numbers in testdata/README.md
	Setup   []string
	Steps   []Step
	Session bool // it runs in session mode
	Servers int  // least number of server connections it needs in transaction mode
	Split   bool // it runs with every byte apart, too
	Keep    int  // statements that a server connection keeps; 0: as many as by default
	Allowed []Difference
}

// Step is one line of a script.
type Step struct {
	Line int    // in the file
	Who  string // the client; or admin, until
	Verb string // what a client does; "" for admin and until
	Args []string
	Rest string // the SQL of admin and until
}

// Difference is one that is allowed in a mode, and why.
type Difference struct {
	Mode   string // transaction, session, or weir: both
	Reason string
	Lines  []string // of the diff: "- a ..." is what PostgreSQL sends, "+ a ..." what Weir sends
}

// Load reads a script.
func Load(path string) (*Script, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a script: %w", err)
	}
	s := &Script{Name: strings.TrimSuffix(filepath.Base(path), ".txt"), Session: true, Servers: 1}
	for i, line := range strings.Split(string(text), "\n") {
		if err := s.line(i+1, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	return s, nil
}

func (s *Script) line(n int, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "":
	case "#":
		if s.Title == "" {
			s.Title = rest
		}
	case "case":
		return s.numbers(rest)
	case "setup":
		s.Setup = append(s.Setup, rest)
	case "split":
		s.Split = true
	case "no-session-mode": // and the reason
		s.Session = false
	case "servers":
		number, reason, _ := strings.Cut(rest, " ")
		var err error
		if s.Servers, err = strconv.Atoi(number); err != nil || reason == "" {
			return fmt.Errorf("servers wants a number and the reason: %q", rest)
		}
	case "config":
		if _, err := fmt.Sscanf(rest, "maxPreparedStatements=%d", &s.Keep); err != nil {
			return fmt.Errorf("config %s: %w", rest, err)
		}
	case "!":
		return s.allow(rest)
	case "admin", "until":
		s.Steps = append(s.Steps, Step{Line: n, Who: word, Rest: rest})
	default:
		words, err := fields(rest)
		if err != nil || len(words) == 0 || len(word) > 1 {
			return fmt.Errorf("not a step: %q %w", line, err)
		}
		s.Steps = append(s.Steps, Step{Line: n, Who: word, Verb: words[0], Args: words[1:]})
	}
	return nil
}

func (s *Script) numbers(rest string) error {
	for _, f := range strings.Fields(rest) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return err
		}
		s.Cases = append(s.Cases, n)
	}
	return nil
}

// allow reads a line of an allowed difference: its mode and reason, or a line of the diff.
func (s *Script) allow(rest string) error {
	if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		if len(s.Allowed) == 0 {
			return fmt.Errorf("a difference begins with its mode and reason")
		}
		last := &s.Allowed[len(s.Allowed)-1]
		last.Lines = append(last.Lines, rest)
		return nil
	}
	mode, reason, _ := strings.Cut(rest, " ")
	if mode != transaction && mode != session && mode != weir || reason == "" {
		return fmt.Errorf("a difference wants transaction, session or weir, and the reason: %q", rest)
	}
	s.Allowed = append(s.Allowed, Difference{Mode: mode, Reason: reason})
	return nil
}

// allowed returns the lines that may differ in a mode.
func (s *Script) allowed(mode string) (lines []string) {
	for _, d := range s.Allowed {
		if d.Mode == mode || d.Mode == weir {
			lines = append(lines, d.Lines...)
		}
	}
	return lines
}

// clients is how many clients the script has.
func (s *Script) clients() int {
	seen := map[string]bool{}
	for _, step := range s.Steps {
		if step.Verb != "" {
			seen[step.Who] = true
		}
	}
	return len(seen)
}

// fields divides a line at spaces. A word is made of bare and quoted parts, as in Go; "text"*N is text N times.
func fields(line string) (words []string, err error) {
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		var word string
		for line != "" && line[0] != ' ' {
			var part string
			if part, line, err = field(line); err != nil {
				return nil, err
			}
			word += part
		}
		words = append(words, word)
	}
	return words, nil
}

// field takes one part of a word.
func field(line string) (part, rest string, err error) {
	if line[0] != '"' && line[0] != '`' {
		if i := strings.IndexAny(line, " \"`"); i >= 0 {
			return line[:i], line[i:], nil
		}
		return line, "", nil
	}
	quoted, err := strconv.QuotedPrefix(line)
	if err != nil {
		return "", "", fmt.Errorf("bad quotes in %s: %w", line, err)
	}
	if part, err = strconv.Unquote(quoted); err != nil {
		return "", "", fmt.Errorf("bad quotes in %s: %w", line, err)
	}
	rest = line[len(quoted):]
	if !strings.HasPrefix(rest, "*") {
		return part, rest, nil
	}
	times, rest, _ := strings.Cut(rest[1:], " ")
	n, err := strconv.Atoi(times)
	if err != nil {
		return "", "", fmt.Errorf("bad number of repetitions in %s: %w", line, err)
	}
	return strings.Repeat(part, n), " " + rest, nil
}
