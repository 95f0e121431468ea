// Package jsonappend writes JSON by appending to a buffer, without reflection.
package jsonappend

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

const hex = "0123456789abcdef"

// String appends s as a JSON string. Invalid UTF-8 becomes U+FFFD; HTML characters are left as they are.
func String[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	dst = Fragment(dst, s)
	return append(dst, '"')
}

// Fragment appends s escaped as the inside of a JSON string, without the quotes.
func Fragment[T string | []byte](dst []byte, s T) []byte {
	b := view(s)
	if utf8.Valid(b) {
		return escape(dst, b)
	}
	for len(b) > 0 {
		n := validPrefix(b)
		dst = escape(dst, b[:n])
		if b = b[n:]; len(b) > 0 {
			dst = append(dst, "\uFFFD"...)
			b = b[1:]
		}
	}
	return dst
}

// view returns the bytes of s, which must not be written to.
func view[T string | []byte](s T) []byte {
	switch s := any(s).(type) {
	case string:
		return unsafe.Slice(unsafe.StringData(s), len(s))
	case []byte:
		return s
	}
	return nil
}

func validPrefix(b []byte) int {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(b)
}

func escape(dst, b []byte) []byte {
	for {
		n := special(b)
		dst = append(dst, b[:n]...)
		if n == len(b) {
			return dst
		}
		c := b[n]
		b = b[n+1:]
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
}

// special returns the index of the first byte that a JSON string must escape, len(b) if there is none. It looks at eight bytes
// at a time: a byte below n, in any of them, shows in the top bit of (x-n)&^x there, the lowest one surely.
func special(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^ones*'"', x^ones*'\\'
		if hit := ((x-ones*' ')&^x | (quote-ones)&^quote | (slash-ones)&^slash) & tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// Key appends a member name and its colon, with a comma before it unless it is the first of its object.
func Key(dst []byte, name string) []byte {
	dst = Comma(dst)
	dst = String(dst, name)
	return append(dst, ':')
}

// Comma appends a comma unless dst is empty or ends with an opening brace or bracket.
func Comma(dst []byte) []byte {
	if n := len(dst); n > 0 && dst[n-1] != '{' && dst[n-1] != '[' {
		dst = append(dst, ',')
	}
	return dst
}

// Base64 appends b as a JSON string in standard base64, with prefix before it (as a data URI wants).
func Base64(dst []byte, prefix string, b []byte) []byte {
	dst = append(dst, '"')
	dst = Fragment(dst, prefix)
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// Int appends n.
func Int(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }

// Bool appends true or false.
func Bool(dst []byte, b bool) []byte { return strconv.AppendBool(dst, b) }

// Float appends f in its shortest form. JSON has no NaN and no infinities: those become null.
func Float(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}
