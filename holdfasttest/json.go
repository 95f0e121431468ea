package holdfasttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON object whose members keep their order: name, value, name, value.
type object []any

// list is a JSON array, never null.
type list []any

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := 0; i+1 < len(o); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(encode(o[i]))
		b.WriteByte(':')
		b.Write(encode(o[i+1]))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode returns v as JSON, without escapes for HTML. What cannot be encoded becomes null.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return []byte("null")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// raw returns s if it is a JSON object, otherwise an empty one.
func raw(s string) json.RawMessage {
	if json.Valid([]byte(s)) && strings.HasPrefix(strings.TrimSpace(s), "{") {
		return json.RawMessage(s)
	}
	return json.RawMessage("{}")
}

// parse reads a request body that must be one JSON object.
func parse(body []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("trailing data")
	}
	if m == nil {
		return nil, fmt.Errorf("not an object")
	}
	return m, nil
}

func text(m map[string]any, name string) string {
	s, _ := m[name].(string)
	return s
}

func flag(m map[string]any, name string) bool {
	b, _ := m[name].(bool)
	return b
}

func sub(m map[string]any, name string) map[string]any {
	s, _ := m[name].(map[string]any)
	return s
}

func objects(v any) []map[string]any {
	var out []map[string]any
	array, _ := v.([]any)
	for _, e := range array {
		m, _ := e.(map[string]any)
		out = append(out, m)
	}
	return out
}

// number returns the number of that name; false if there is none.
func number(m map[string]any, name string) (float64, bool) {
	n, ok := m[name].(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// has reports whether a member is there and not null.
func has(m map[string]any, name string) bool { return m[name] != nil }

// A shape is the members that an object may have. A nil shape allows anything; arrays are gone through. The member "*" is the
// shape of any name; "type=X" that of an object of that type.
type shape map[string]shape

// words returns a shape of members that hold anything.
func words(names string) shape {
	s := shape{}
	for _, n := range strings.Fields(names) {
		s[n] = nil
	}
	return s
}

// with returns s with the members of another shape.
func (s shape) with(other shape) shape {
	out := shape{}
	for n, v := range s {
		out[n] = v
	}
	for n, v := range other {
		out[n] = v
	}
	return out
}

// strange returns the path and the name of the first member that the shape does not know.
func (s shape) strange(v any, path []string) ([]string, string) {
	if s == nil {
		return nil, ""
	}
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			if p, n := s.strange(e, append(slices.Clone(path), strconv.Itoa(i))); n != "" {
				return p, n
			}
		}
	case map[string]any:
		if of, ok := s["type="+text(v, "type")]; ok {
			s = of
		}
		for _, name := range sorted(v) {
			inner, ok := s[name]
			if !ok {
				if inner, ok = s["*"]; !ok {
					return path, name
				}
			}
			if p, n := inner.strange(v[name], append(slices.Clone(path), name)); n != "" {
				return p, n
			}
		}
	}
	return nil, ""
}

func sorted(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// brackets writes a path as a[0].b.
func brackets(path []string) string {
	var b strings.Builder
	for i, p := range path {
		switch _, err := strconv.Atoi(p); {
		case err == nil:
			b.WriteString("[" + p + "]")
		case i > 0:
			b.WriteString("." + p)
		default:
			b.WriteString(p)
		}
	}
	return b.String()
}
