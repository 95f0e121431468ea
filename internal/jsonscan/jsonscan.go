// Package jsonscan reads JSON on demand: the caller walks a document in order, takes the fields it knows and skips the rest.
//
// It exists for hot paths: no reflection, no map, no validity pass over the whole document, no allocation but for the strings
// that are asked for. It is lenient where providers are: a value of another type than asked for reads as "absent". It never
// recurses, so nesting costs nothing, and it never reads past its input.
package jsonscan

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Scanner walks one JSON document. The zero Scanner reads an empty document. Not safe for concurrent use.
//
//	s := jsonscan.New(data)
//	for ok := s.Object(); ok && s.NextKey(); {
//		switch string(s.Key()) {
//		case "id":
//			id = s.String()
//		default:
//			s.Skip()
//		}
//	}
//	if err := s.Err(); err != nil { … }
//
// After every NextKey and NextElem exactly one value must be taken (or skipped, or entered and walked to its end).
type Scanner struct {
	data    []byte
	pos     int
	first   bool // just behind an opening brace or bracket
	key     []byte
	scratch []byte
	err     error
}

// Kind tells what the next value is, by its first byte.
type Kind byte

// The kinds of a JSON value. None stands for the end of the document or a byte that begins no value.
const (
	None   Kind = 0
	Object Kind = '{'
	Array  Kind = '['
	String Kind = '"'
	Number Kind = '0'
	True   Kind = 't'
	False  Kind = 'f'
	Null   Kind = 'n'
)

// ErrTruncated is the error of a document that ends in the middle of a value.
var ErrTruncated = errors.New("json: the document ends in the middle of a value")

// New returns a Scanner over data, which it keeps and never writes to.
func New(data []byte) Scanner { return Scanner{data: data} }

// Reset lets s read data from the start and keeps its scratch space.
func (s *Scanner) Reset(data []byte) {
	*s = Scanner{data: data, scratch: s.scratch[:0]}
}

// Err returns the first syntax error met. Once set, every call answers as if the document had ended.
func (s *Scanner) Err() error { return s.err }

// End returns Err, or an error if anything but white space follows the value.
func (s *Scanner) End() error {
	if s.space(); s.err == nil && s.pos < len(s.data) {
		s.fail("unexpected data after the value")
	}
	return s.err
}

func (s *Scanner) fail(what string) {
	if s.err == nil {
		if s.pos >= len(s.data) {
			s.err = ErrTruncated
		} else {
			s.err = fmt.Errorf("json: %s at byte %d", what, s.pos)
		}
	}
	s.pos = len(s.data)
}

func (s *Scanner) space() {
	for s.pos < len(s.data) {
		if c := s.data[s.pos]; c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return
		}
		s.pos++
	}
}

// Kind looks at the next value without taking it.
func (s *Scanner) Kind() Kind {
	s.space()
	if s.pos >= len(s.data) {
		return None
	}
	switch c := s.data[s.pos]; c {
	case '{', '[', '"', 't', 'f', 'n':
		return Kind(c)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return Number
	}
	return None
}

// Object enters the next value if it is an object and reports whether it was; any other value is skipped.
func (s *Scanner) Object() bool { return s.enter(Object) }

// Array enters the next value if it is an array and reports whether it was; any other value is skipped.
func (s *Scanner) Array() bool { return s.enter(Array) }

func (s *Scanner) enter(k Kind) bool {
	if s.Kind() != k {
		s.Skip()
		return false
	}
	s.pos++
	s.first = true
	return true
}

// NextKey goes to the next member of the entered object; false at its end, which it consumes.
func (s *Scanner) NextKey() bool {
	if !s.next('}') {
		return false
	}
	if s.pos >= len(s.data) || s.data[s.pos] != '"' {
		s.fail("expected a member name")
		return false
	}
	key, ok := s.Bytes()
	if !ok {
		return false
	}
	s.key = key
	s.space()
	if s.pos >= len(s.data) || s.data[s.pos] != ':' {
		s.fail("expected a colon")
		return false
	}
	s.pos++
	return true
}

// Key returns the member name that NextKey found. It is valid until the next call that reads a string.
func (s *Scanner) Key() []byte { return s.key }

// NextElem goes to the next element of the entered array; false at its end, which it consumes.
func (s *Scanner) NextElem() bool { return s.next(']') }

func (s *Scanner) next(end byte) bool {
	s.space()
	if s.pos >= len(s.data) {
		s.fail("")
		return false
	}
	if s.data[s.pos] == end {
		s.pos++
		s.first = false
		return false
	}
	if s.first {
		s.first = false
		return true
	}
	if s.data[s.pos] != ',' {
		s.fail("expected a comma")
		return false
	}
	s.pos++
	s.space()
	return true
}

// Bytes takes the next value if it is a string; false (and the value skipped) otherwise. The bytes are unescaped but their
// UTF-8 is not checked; they are valid until the next call that reads a string, and must not be written to.
func (s *Scanner) Bytes() ([]byte, bool) {
	if s.Kind() != String {
		s.Skip()
		return nil, false
	}
	raw, escaped, ok := s.quoted()
	if !ok || !escaped {
		return raw, ok
	}
	s.scratch, ok = unescape(slices.Grow(s.scratch[:0], len(raw)), raw) // it never gets longer
	if !ok {
		s.pos-- // at its closing quote
		s.fail("invalid escape in the string ending")
		return nil, false
	}
	return s.scratch, true
}

// String takes the next value if it is a string; "" otherwise. Invalid UTF-8 is replaced with U+FFFD.
func (s *Scanner) String() string {
	b, _ := s.Bytes()
	if len(b) == 0 {
		return ""
	}
	if !utf8.Valid(b) {
		return string([]rune(string(b))) // each wrong byte by itself, as encoding/json does
	}
	return string(b)
}

// quoted takes the string at pos and returns what stands between its quotes. Most strings are short (names, words, pieces of
// a text): those are searched for their end and for escapes at the same time, eight bytes at a time.
func (s *Scanner) quoted() (raw []byte, escaped, ok bool) {
	start := s.pos + 1
	for i := start; i+8 <= len(s.data) && i < start+32; i += 8 {
		word := binary.LittleEndian.Uint64(s.data[i:])
		found := zeroBytes(word^everyQuote) | zeroBytes(word^everyBackslash)
		if found == 0 {
			continue
		}
		end := i + bits.TrailingZeros64(found)/8
		if s.data[end] != '"' {
			break
		}
		s.pos = end + 1
		return s.data[start:end], false, true
	}
	return s.quotedLong(start)
}

const (
	everyByte      = 0x0101010101010101
	everyQuote     = '"' * everyByte
	everyBackslash = '\\' * everyByte
)

// zeroBytes sets the highest bit of the first zero byte of word, counted from the lowest, and of no byte below it.
func zeroBytes(word uint64) uint64 { return (word - everyByte) &^ word & (0x80 * everyByte) }

func (s *Scanner) quotedLong(start int) (raw []byte, escaped, ok bool) {
	for i := start; ; {
		n := bytes.IndexByte(s.data[i:], '"')
		if n < 0 {
			s.pos = len(s.data)
			s.fail("")
			return nil, false, false
		}
		end := i + n
		slashes := 0
		for end-slashes > start && s.data[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			s.pos = end + 1
			raw = s.data[start:end]
			return raw, bytes.IndexByte(raw, '\\') >= 0, true
		}
		i = end + 1
	}
}

// unescape appends the meaning of raw to dst. A lone surrogate becomes U+FFFD.
func unescape(dst, raw []byte) ([]byte, bool) {
	for {
		n := bytes.IndexByte(raw, '\\')
		if n < 0 {
			return append(dst, raw...), true
		}
		dst = append(dst, raw[:n]...)
		raw = raw[n+1:]
		if len(raw) == 0 {
			return dst, false
		}
		c := raw[0]
		raw = raw[1:]
		switch c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(raw)
			if r < 0 {
				return dst, false
			}
			raw = raw[4:]
			if utf16.IsSurrogate(r) {
				if len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
					if pair := utf16.DecodeRune(r, hex4(raw[2:])); pair != utf8.RuneError {
						dst = utf8.AppendRune(dst, pair)
						raw = raw[6:]
						continue
					}
				}
				r = utf8.RuneError
			}
			dst = utf8.AppendRune(dst, r)
		default:
			return dst, false
		}
	}
}

func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// Int takes the next value if it is a number, cut towards zero and held within the range of an int; 0 otherwise.
func (s *Scanner) Int() int {
	b := s.number()
	if b == nil {
		return 0
	}
	if n, err := strconv.Atoi(string(b)); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(string(b), 64)
	switch {
	case err != nil && f == 0:
		return 0
	case f >= math.MaxInt:
		return math.MaxInt
	case f <= math.MinInt:
		return math.MinInt
	}
	return int(f)
}

// Float takes the next value if it is a number that a float64 can hold; 0 and false otherwise.
func (s *Scanner) Float() (float64, bool) {
	b := s.number()
	if b == nil {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

func (s *Scanner) number() []byte {
	if s.Kind() != Number {
		s.Skip()
		return nil
	}
	return s.literal()
}

func (s *Scanner) literal() []byte {
	start := s.pos
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ',', '}', ']', ' ', '\t', '\r', '\n', ':', '"', '{', '[':
			return s.data[start:s.pos]
		}
		s.pos++
	}
	return s.data[start:s.pos]
}

// Bool takes the next value and reports whether it is true.
func (s *Scanner) Bool() bool {
	k := s.Kind()
	s.Skip()
	return k == True && s.err == nil
}

// Raw takes the next value as it stands in the document. It is not checked: see Valid.
func (s *Scanner) Raw() []byte {
	s.space()
	start := s.pos
	s.Skip()
	if s.err != nil {
		return nil
	}
	return s.data[start:s.pos]
}

// Valid takes the next value as a copy of its own if it is valid JSON (nested at most 10,000 deep, the limit of encoding/json); nil otherwise.
func (s *Scanner) Valid() json.RawMessage {
	raw := s.Raw()
	if !json.Valid(raw) {
		return nil
	}
	return bytes.Clone(raw)
}

// Skip takes the next value and forgets it. Brackets are counted, not matched.
func (s *Scanner) Skip() {
	depth := 0
	for {
		s.space()
		if s.pos >= len(s.data) {
			s.fail("")
			return
		}
		switch s.data[s.pos] {
		case '{', '[':
			depth++
			s.pos++
		case '}', ']':
			if depth == 0 {
				s.fail("expected a value")
				return
			}
			depth--
			s.pos++
		case '"':
			if _, _, ok := s.quoted(); !ok {
				return
			}
		case ',', ':':
			if depth == 0 {
				s.fail("expected a value")
				return
			}
			s.pos++
			continue
		default:
			if !s.word() {
				return
			}
		}
		if depth == 0 {
			s.first = false
			return
		}
	}
}

// word takes a number or one of true, false and null.
func (s *Scanner) word() bool {
	k := s.Kind()
	start := s.pos
	w := s.literal()
	whole := ""
	switch k {
	case Number:
		return true
	case True:
		whole = "true"
	case False:
		whole = "false"
	case Null:
		whole = "null"
	}
	ok := whole != "" && string(w) == whole
	if !ok {
		if cut := s.pos == len(s.data) && strings.HasPrefix(whole, string(w)); !cut {
			s.pos = start
		}
		s.fail("unexpected character")
	}
	return ok
}
