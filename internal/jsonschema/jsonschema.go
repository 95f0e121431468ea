// Package jsonschema tells whether a JSON document fits a JSON Schema, as far as it knows the schema's words.
//
// It knows type, enum, const, properties, required, additionalProperties, items, anyOf, $ref within the schema (such as "#/$defs/city"), and
// schemas that are true or false. All other keywords are ignored: a document passes that only they forbid. So do words that are no JSON Schema,
// such as a type that does not exist.
package jsonschema

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Schema is a JSON Schema. Safe for concurrent use.
type Schema struct{ root any }

var errNoSchema = errors.New("jsonschema: a schema must be an object, true or false")

// Parse reads a schema.
func Parse(schema []byte) (*Schema, error) {
	root, err := decode(schema)
	if err != nil {
		return nil, err
	}
	switch root.(type) {
	case map[string]any, bool:
		return &Schema{root}, nil
	}
	return nil, errNoSchema
}

// Fits reports whether doc is JSON that fits the schema.
func (s *Schema) Fits(doc []byte) bool {
	v, err := decode(doc)
	if err != nil {
		return false
	}
	c := check{root: s.root, steps: maxSteps}
	return c.fits(s.root, v, 0)
}

const (
	// maxSteps bounds the work: alternatives within alternatives can double it again and again. What is not looked at passes.
	maxSteps = 1 << 20
	// maxHops bounds how often one schema leads to another for the same value: they may lead in a circle.
	maxHops = 64
)

// check is one look at a document.
type check struct {
	root  any
	steps int
}

// fits reports whether a value fits a schema, which is the hops-th for this value.
func (c *check) fits(schema, v any, hops int) bool {
	if c.steps--; c.steps < 0 || hops > maxHops {
		return true
	}
	s, ok := schema.(map[string]any)
	if !ok {
		return schema != false
	}
	if t, has := s["type"]; has && !isOfType(t, v) {
		return false
	}
	if list, ok := s["enum"].([]any); ok && !slices.ContainsFunc(list, func(one any) bool { return equal(one, v) }) {
		return false
	}
	if one, has := s["const"]; has && !equal(one, v) {
		return false
	}
	if ref, ok := s["$ref"].(string); ok && !c.fits(c.find(ref), v, hops+1) {
		return false
	}
	if list, ok := s["anyOf"].([]any); ok && !slices.ContainsFunc(list, func(one any) bool { return c.fits(one, v, hops+1) }) {
		return false
	}
	switch v := v.(type) {
	case map[string]any:
		return c.object(s, v)
	case []any:
		return c.array(s, v)
	}
	return true
}

func (c *check) object(s, v map[string]any) bool {
	required, _ := s["required"].([]any)
	for _, name := range required {
		if name, ok := name.(string); ok {
			if _, has := v[name]; !has {
				return false
			}
		}
	}
	known, _ := s["properties"].(map[string]any)
	others := s["additionalProperties"]
	if _, unknown := s["patternProperties"]; unknown {
		others = nil // which of them it speaks of is not known
	}
	for name, value := range v {
		schema, is := known[name]
		if !is {
			schema = others
		}
		if !c.fits(schema, value, 0) {
			return false
		}
	}
	return true
}

// array checks the elements of an array behind those that prefixItems speaks of.
func (c *check) array(s map[string]any, v []any) bool {
	before, _ := s["prefixItems"].([]any)
	for _, value := range v[min(len(before), len(v)):] {
		if !c.fits(s["items"], value, 0) {
			return false
		}
	}
	return true
}

// isOfType reports whether a value is of a type, or of one of several.
func isOfType(t, v any) bool {
	list, ok := t.([]any)
	if !ok {
		list = []any{t}
	}
	return slices.ContainsFunc(list, func(t any) bool { return isOf(t, v) })
}

func isOf(t, v any) bool {
	is := false
	switch t {
	case "null":
		is = v == nil
	case "boolean":
		_, is = v.(bool)
	case "string":
		_, is = v.(string)
	case "object":
		_, is = v.(map[string]any)
	case "array":
		_, is = v.([]any)
	case "number":
		is = isNumber(v)
	case "integer":
		is = isWhole(v)
	default:
		return true
	}
	return is
}

// find returns the schema that a reference points to, nil if there is none.
func (c *check) find(ref string) any {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	if plain, err := url.PathUnescape(pointer); err == nil {
		pointer = plain
	}
	at := c.root
	for i, name := range strings.Split(pointer, "/") {
		if i == 0 {
			if name != "" {
				return nil // an anchor
			}
			continue
		}
		in, _ := at.(map[string]any)
		at = in[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	return at
}
