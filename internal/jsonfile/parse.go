package jsonfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// node is a value of the document.
type node struct {
	kind    kind
	at, end int      // data[at:end] is the value as it stands
	text    string   // of a string
	members []member // of an object
	elems   []*node  // of a list
}

type member struct {
	key   string
	at    int
	value *node
}

type kind string

// The kinds of a value, in the words of a message.
const (
	isObject kind = "an object {…}"
	isList   kind = "a list […]"
	isString kind = "a string"
	isNumber kind = "a number"
	isBool   kind = "true or false"
	isNull   kind = "null"
)

// parser turns a document into nodes. After a syntax error it returns what it has, so that the faults before are reported too.
type parser struct {
	data   []byte
	pos    int
	depth  int
	faults faults
	syntax *Fault
}

func (p *parser) document() *node {
	if bytes.HasPrefix(p.data, []byte("\xFF\xFE")) || bytes.HasPrefix(p.data, []byte("\xFE\xFF")) {
		p.fail(nil, "the file is not UTF-8 but UTF-16: save it as UTF-8")
		return nil
	}
	if p.space(); p.pos == len(p.data) {
		p.fail(nil, "the file is empty: expected an object {…}")
		return nil
	}
	n := p.value(nil)
	if p.space(); p.syntax == nil && p.pos < len(p.data) {
		p.fail(nil, "unexpected data after the end of the document")
	}
	return n
}

// fail records a syntax error at pos. Only the first counts.
func (p *parser) fail(at *path, what string) {
	if p.syntax == nil {
		p.syntax = &Fault{Path: at.String(), Message: p.where(p.pos) + ": " + what}
	}
}

// fault records a fault that does not keep the rest from being read.
func (p *parser) fault(at *path, pos int, what string) {
	if p.faults.full() {
		p.faults.more = true // without counting lines for it
		return
	}
	p.faults.add(Fault{at.String(), p.where(pos) + ": " + what}, pos)
}

// where returns the line and column of a byte, both counted from 1, columns in characters.
func (p *parser) where(at int) string {
	line := bytes.Count(p.data[:at], []byte("\n"))
	start := bytes.LastIndexByte(p.data[:at], '\n') + 1
	return fmt.Sprintf("line %d:%d", line+1, utf8.RuneCount(p.data[start:at])+1)
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// peek returns the next byte behind white space, 0 at the end.
func (p *parser) peek() byte {
	if p.space(); p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *parser) value(at *path) *node {
	n := &node{}
	c := p.peek()
	n.at = p.pos
	switch {
	case p.depth == maxDepth && (c == '{' || c == '['):
		p.fail(at.top(), fmt.Sprintf("nested more than %d deep", maxDepth))
		return nil
	case c == '{':
		n.kind = isObject
		p.nest(func() { p.object(n, at) })
	case c == '[':
		n.kind = isList
		p.nest(func() { p.list(n, at) })
	case c == '"':
		n.kind = isString
		n.text = p.str(at)
	case c == '-' || '0' <= c && c <= '9':
		n.kind = isNumber
		p.number(at)
	case p.word("true"), p.word("false"):
		n.kind = isBool
	case p.word("null"):
		n.kind = isNull
	default:
		p.unexpected(at, "a value")
	}
	n.end = p.pos
	if p.syntax != nil && n.kind != isObject && n.kind != isList {
		return nil // not whole
	}
	return n
}

func (p *parser) nest(walk func()) {
	p.depth++
	p.pos++
	walk()
	p.depth--
}

func (p *parser) object(n *node, at *path) {
	seen := map[string]bool{}
	for first := true; ; first = false {
		c := p.peek()
		if c == '}' && first {
			p.pos++
			return
		}
		if c != '"' {
			p.unexpected(at, "a key in double quotes")
			return
		}
		m := member{at: p.pos}
		m.key = p.str(at)
		below := &path{up: at, key: m.key, isKey: true}
		if p.syntax == nil && p.peek() != ':' {
			p.unexpected(below, "a colon after the key")
		}
		if p.syntax != nil {
			return
		}
		if seen[m.key] {
			p.fault(below, m.at, "is given twice")
		}
		seen[m.key] = true
		p.pos++
		if m.value = p.value(below); m.value != nil {
			n.members = append(n.members, m)
		}
		if p.syntax != nil || !p.another('}', at) {
			return
		}
	}
}

func (p *parser) list(n *node, at *path) {
	if p.peek() == ']' {
		p.pos++
		return
	}
	for {
		if e := p.value(&path{up: at, index: len(n.elems)}); e != nil {
			n.elems = append(n.elems, e)
		}
		if p.syntax != nil || !p.another(']', at) {
			return
		}
	}
}

// another reports whether a comma and a further member follow; false at the end, which it takes.
func (p *parser) another(end byte, at *path) bool {
	switch p.peek() {
	case end:
		p.pos++
		return false
	case ',':
		comma := p.pos
		p.pos++
		if p.peek() == end {
			p.pos = comma
			p.fail(at, fmt.Sprintf("a comma before %c: remove it", end))
			return false
		}
		return true
	}
	p.unexpected(at, fmt.Sprintf("a comma or %c", end))
	return false
}

// unexpected fails with what should stand at pos, and a word on the usual mistakes.
func (p *parser) unexpected(at *path, expected string) {
	switch c := p.peek(); {
	case p.pos == len(p.data):
		p.fail(at, "the file ends here: expected "+expected)
	case c == '/' || c == '#':
		p.fail(at, "JSON has no comments: expected "+expected)
	case c == '\'':
		p.fail(at, "JSON has double quotes only: expected "+expected)
	default:
		p.fail(at, "expected "+expected)
	}
}

func (p *parser) word(w string) bool {
	if !bytes.HasPrefix(p.data[p.pos:], []byte(w)) {
		return false
	}
	if end := p.pos + len(w); end < len(p.data) && isWord(p.data[end]) {
		return false
	}
	p.pos += len(w)
	return true
}

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '.' || c == '+' || c == '-'
}

func (p *parser) number(at *path) {
	start := p.pos
	for p.pos < len(p.data) && isWord(p.data[p.pos]) {
		p.pos++
	}
	if !json.Valid(p.data[start:p.pos]) {
		p.pos = start
		p.fail(at, "is not a number as JSON writes it")
	}
}

// str takes the string at pos and returns its meaning.
func (p *parser) str(at *path) string {
	start := p.pos
	for p.pos++; p.pos < len(p.data); p.pos++ {
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			return p.unquote(start, at)
		case c == '\\':
			p.pos++
		case c == '\n' || c == '\r':
			p.fail(at, "a line break inside a string: close the string before it, or write \\n")
			return ""
		case c < ' ':
			p.fail(at, "a control character inside a string: write it as \\u00…")
			return ""
		}
	}
	p.pos = len(p.data)
	p.fail(at, fmt.Sprintf("the file ends inside the string that begins at %s", p.where(start)))
	return ""
}

// unquote returns the meaning of the string data[start:pos].
func (p *parser) unquote(start int, at *path) string {
	raw := p.data[start:p.pos]
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		end := p.pos
		p.pos = start + badEscape(raw)
		p.fail(at, "is no escape of JSON: a backslash itself is written \\\\")
		p.pos = end
		return ""
	}
	if !utf8.Valid(raw) {
		p.fault(at, start, "holds bytes that are not UTF-8")
	} else if loneSurrogate(raw) {
		p.fault(at, start, "holds one half of a \\u surrogate pair")
	}
	return s
}

// badEscape returns where the first escape stands that JSON does not have.
func badEscape(raw []byte) int {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		size := 2
		if i+1 < len(raw) && raw[i+1] == 'u' {
			size = 6
		}
		if i+size > len(raw) || !json.Valid(append(append([]byte{'"'}, raw[i:i+size]...), '"')) {
			return i
		}
		i += size - 1
	}
	return 0
}

// loneSurrogate reports whether a valid JSON string holds half of a pair, which stands for no character.
func loneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if i++; raw[i] != 'u' {
			continue
		}
		half := raw[i+1 : i+5]
		i += 4
		switch {
		case isHalf(half, "89abAB"):
			if i+6 >= len(raw) || raw[i+1] != '\\' || raw[i+2] != 'u' || !isHalf(raw[i+3:i+7], "cdefCDEF") {
				return true
			}
			i += 6
		case isHalf(half, "cdefCDEF"):
			return true
		}
	}
	return false
}

func isHalf(hex []byte, second string) bool {
	return (hex[0] == 'd' || hex[0] == 'D') && bytes.IndexByte([]byte(second), hex[1]) >= 0
}
