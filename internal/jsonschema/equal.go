package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Equal reports whether two documents say the same: neither the order of an object's members nor the spelling of strings and numbers matters
// (1, 1.0 and 10e-1 are equal), and of a member that is there twice the last counts. What is no JSON equals nothing.
func Equal(a, b []byte) bool {
	x, err := decode(a)
	if err != nil {
		return false
	}
	y, err := decode(b)
	return err == nil && equal(x, y)
}

var errMore = errors.New("jsonschema: something follows the document")

func decode(doc []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errMore
	}
	return v, nil
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, value := range a {
			if other, has := b[name]; !has || !equal(value, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case json.Number:
		b, ok := b.(json.Number)
		return ok && (a == b || decimalOf(a) == decimalOf(b))
	}
	return a == b
}

// decimal is a number in its one spelling: ±digits × 10^exponent, where digits neither begins nor ends with a 0, and is empty for 0. One whose
// exponent is absurd stays as it is spelled.
type decimal struct {
	minus    bool
	digits   string
	exponent int64
}

func decimalOf(n json.Number) decimal {
	text := strings.ToLower(string(n))
	mantissa, power, _ := strings.Cut(text, "e")
	exponent, err := strconv.ParseInt(power, 10, 32)
	if err != nil && power != "" {
		return decimal{digits: text}
	}
	mantissa, minus := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	exponent -= int64(len(fraction))
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return decimal{}
	}
	return decimal{minus, short, exponent + int64(len(digits)-len(short))}
}

func isNumber(v any) bool {
	_, is := v.(json.Number)
	return is
}

// isWhole reports whether a value is a number without a fraction, such as 1.0.
func isWhole(v any) bool {
	n, is := v.(json.Number)
	return is && decimalOf(n).exponent >= 0
}
