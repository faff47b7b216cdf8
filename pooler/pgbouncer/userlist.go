package pgbouncer

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// User is a line of auth_file.
type User struct {
	Name     string
	Password string // clear, md5... or SCRAM-SHA-256$...; empty: none
}

// maxLine bounds one line, in bytes.
const maxLine = 64 << 10

// ParseUserlist reads an auth_file: "name" "password", quoted with doubled quotes inside; the rest of a line does not count.
func ParseUserlist(r io.Reader) ([]User, error) {
	var users []User
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == ';' || line[0] == '#' {
			continue
		}
		name, rest, ok := inQuotes(line)
		if !ok {
			return nil, fmt.Errorf("line %d: must begin with the name of a user in double quotes", n)
		}
		password, _, ok := inQuotes(strings.TrimSpace(rest))
		if !ok {
			return nil, fmt.Errorf("line %d: the password of user %q must be in double quotes", n, name)
		}
		users = append(users, User{Name: name, Password: password})
	}
	return users, lines.Err()
}

// inQuotes reads a text in double quotes, in which they are doubled.
func inQuotes(s string) (text, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", s, false
	}
	var b strings.Builder
	for s = s[1:]; ; {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			return "", "", false
		}
		b.WriteString(s[:i])
		if s = s[i+1:]; !strings.HasPrefix(s, `"`) {
			return b.String(), s, true
		}
		b.WriteByte('"')
		s = s[1:]
	}
}
