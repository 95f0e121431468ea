// Package jsonappend writes JSON by appending to a buffer, without reflection.
package jsonappend

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"
)

const hex = "0123456789abcdef"

// plain holds the ASCII bytes that stand for themselves in a JSON string.
var plain = func() (t [utf8.RuneSelf]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// String appends s as a JSON string. Invalid UTF-8 becomes U+FFFD; HTML characters are left as they are.
func String[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	dst = Fragment(dst, s)
	return append(dst, '"')
}

// Fragment appends s escaped as the inside of a JSON string, without the quotes.
func Fragment[T string | []byte](dst []byte, s T) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if plain[c] {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
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
			i++
			start = i
			continue
		}
		n := min(len(s)-i, utf8.UTFMax)
		r, size := utf8.DecodeRuneInString(string(s[i : i+n]))
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\uFFFD"...)
			i++
			start = i
			continue
		}
		i += size
	}
	return append(dst, s[start:]...)
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
