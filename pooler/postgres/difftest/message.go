package difftest

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// message builds what a client says, from the words of a script. The bytes are made here, and not by Weir's own builders.
func message(name string, args []string) ([]byte, error) {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch name {
	case "Query":
		return frame('Q', text(arg(0))), nil
	case "Parse":
		return parse(args)
	case "Bind":
		return bind(args)
	case "Describe", "Close":
		typ := map[string]byte{"Describe": 'D', "Close": 'C'}[name]
		return frame(typ, append([]byte(arg(0)), text(arg(1))...)), nil
	case "Execute":
		rows, _ := strconv.Atoi(arg(1))
		return frame('E', binary.BigEndian.AppendUint32(text(arg(0)), uint32(rows))), nil
	case "Sync":
		return frame('S', nil), nil
	case "Flush":
		return frame('H', nil), nil
	case "CopyData":
		return frame('d', []byte(arg(0))), nil
	case "CopyDone":
		return frame('c', nil), nil
	case "CopyFail":
		return frame('f', text(arg(0))), nil
	case "FunctionCall":
		return functionCall(args)
	case "Terminate":
		return frame('X', nil), nil
	case "bytes":
		b, err := hex.DecodeString(strings.Join(args, ""))
		if err != nil {
			return nil, fmt.Errorf("bytes wants hexadecimal digits: %w", err)
		}
		return b, nil
	case "text":
		return []byte(arg(0)), nil
	}
	return nil, fmt.Errorf("there is no message %q", name)
}

func frame(typ byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4)), body...)
}

// packet is a message without a type, as at the start of a connection.
func packet(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

func text(s string) []byte { return append([]byte(s), 0) }

// parse: NAME SQL OID...
func parse(args []string) ([]byte, error) {
	if len(args) < 2 {
		return nil, fmt.Errorf("a Parse wants a name and SQL")
	}
	body := append(text(args[0]), text(args[1])...)
	body = binary.BigEndian.AppendUint16(body, uint16(len(args)-2))
	for _, a := range args[2:] {
		oid, err := strconv.ParseUint(a, 10, 32)
		if err != nil {
			return nil, err
		}
		body = binary.BigEndian.AppendUint32(body, uint32(oid))
	}
	return frame('P', body), nil
}

// bind: PORTAL STATEMENT [binary] VALUE..., where NULL is null; binary is the format of the results.
func bind(args []string) ([]byte, error) {
	if len(args) < 2 {
		return nil, fmt.Errorf("a Bind wants a portal and a statement")
	}
	body := append(text(args[0]), text(args[1])...)
	args = args[2:]
	results := []byte{0, 0}
	if len(args) > 0 && args[0] == "binary" {
		results, args = []byte{0, 1, 0, 1}, args[1:]
	}
	body = append(body, 0, 0)
	return frame('B', append(values(body, args), results...)), nil
}

func values(body []byte, args []string) []byte {
	body = binary.BigEndian.AppendUint16(body, uint16(len(args)))
	for _, a := range args {
		if a == "NULL" {
			body = append(body, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(a))), a...)
	}
	return body
}

// functionCall: OID VALUE...
func functionCall(args []string) ([]byte, error) {
	if len(args) < 1 {
		return nil, fmt.Errorf("FunctionCall wants the function's OID")
	}
	oid, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return nil, err
	}
	body := binary.BigEndian.AppendUint32(nil, uint32(oid))
	body = append(body, 0, 0) // arguments as text
	return frame('F', append(values(body, args[1:]), 0, 0)), nil
}

// startup builds a startup packet from "version=3.2" and "name=value" words; the others of these defaults are added: user.
func startup(args []string, user, database string) ([]byte, error) {
	major, minor := uint32(3), uint32(0)
	params := []string{"user", user, "database", database}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		switch {
		case a == "nothing":
			params = nil
		case !ok:
			return nil, fmt.Errorf("startup wants name=value: %q", a)
		case name == "version":
			if _, err := fmt.Sscanf(value, "%d.%d", &major, &minor); err != nil {
				return nil, fmt.Errorf("version=%s: %w", value, err)
			}
		case name == "user" && len(params) > 1 && params[0] == "user":
			params[1] = value
		case name == "database" && len(params) > 3 && params[2] == "database":
			params[3] = value
		default:
			params = append(params, name, value)
		}
	}
	body := binary.BigEndian.AppendUint32(nil, major<<16|minor)
	for _, p := range params {
		body = append(body, text(p)...)
	}
	return packet(append(body, 0)), nil
}
