package console

import (
	"strings"
	"unicode"
)

// MaxStatement bounds the text of one statement, in bytes.
const MaxStatement = 4096

// Statement is what a client asks for: a verb in capitals, and words as they are, without quotes.
type Statement struct {
	Verb string
	Args []string
}

// Parse reads a statement. It returns false for what cannot be one: several statements, or a quote without an end. A
// statement without words has no Verb.
func Parse(text string) (st Statement, ok bool) {
	words, ok := split(text)
	if !ok || len(words) == 0 {
		return Statement{}, ok
	}
	return Statement{Verb: strings.ToUpper(words[0]), Args: words[1:]}, true
}

// split reads words that are apart by space or '=', quoted as names or as values are in SQL.
func split(text string) (words []string, ok bool) {
	rest := strings.TrimSpace(text)
	rest = strings.TrimSpace(strings.TrimSuffix(rest, ";"))
	for rest != "" {
		var word string
		switch quote := rest[0]; quote {
		case '\'', '"':
			if word, rest, ok = quoted(rest[1:], quote); !ok {
				return nil, false
			}
		case ';':
			return nil, false
		default:
			end := strings.IndexFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`='";`, r) })
			if end < 0 {
				end = len(rest)
			}
			word, rest = rest[:end], rest[end:]
		}
		words = append(words, word)
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "=") {
			rest = strings.TrimSpace(rest[1:])
		}
	}
	return words, true
}

// quoted reads up to the quote; a doubled one is part of the word.
func quoted(text string, quote byte) (word, rest string, ok bool) {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, quote)
		if i < 0 {
			return "", "", false
		}
		b.WriteString(text[:i])
		if text = text[i+1:]; !strings.HasPrefix(text, string(quote)) {
			return b.String(), text, true
		}
		b.WriteByte(quote)
		text = text[1:]
	}
}
