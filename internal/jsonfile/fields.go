package jsonfile

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// fieldsOf maps the keys that a struct knows to the way to their fields. As in encoding/json, fields of an embedded struct
// count as its own, an outer name hides an inner one, and of two at the same depth the tagged one counts, or none.
func fieldsOf(t reflect.Type) map[string][]int {
	type level struct {
		t     reflect.Type
		index []int
	}
	known := map[string][]int{}
	seen := map[reflect.Type]bool{t: true}
	for here := []level{{t: t}}; len(here) > 0; {
		var deeper []level
		found := map[string][]field{}
		for _, l := range here {
			for i := range l.t.NumField() {
				f := l.t.Field(i)
				name, tagged, ok := nameOf(f)
				if !ok {
					continue
				}
				index := append(slices.Clone(l.index), i)
				if inner := embedded(f); inner != nil && !tagged {
					if !seen[inner] {
						seen[inner] = true
						deeper = append(deeper, level{inner, index})
					}
					continue
				}
				if f.IsExported() {
					found[name] = append(found[name], field{index, tagged})
				}
			}
		}
		for name, fields := range found {
			if _, hidden := known[name]; !hidden {
				known[name] = dominant(fields)
			}
		}
		here = deeper
	}
	maps.DeleteFunc(known, func(_ string, index []int) bool { return index == nil })
	return known
}

type field struct {
	index  []int
	tagged bool
}

func dominant(fields []field) []int {
	if len(fields) == 1 {
		return fields[0].index
	}
	var one []int
	for _, f := range fields {
		if f.tagged {
			if one != nil {
				return nil
			}
			one = f.index
		}
	}
	return one
}

func nameOf(f reflect.StructField) (name string, tagged, ok bool) {
	tag := f.Tag.Get("json")
	if tag == "-" {
		return "", false, false
	}
	if name, _, _ = strings.Cut(tag, ","); name != "" {
		return name, true, true
	}
	return f.Name, false, true
}

// embedded returns the struct type that f embeds, nil if it does not, or if it cannot be reached.
func embedded(f reflect.StructField) reflect.Type {
	t := f.Type
	if f.Anonymous && t.Kind() == reflect.Pointer && f.IsExported() {
		t = t.Elem()
	}
	if !f.Anonymous || t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

func sortedKeys(known map[string][]int) []string { return slices.Sorted(maps.Keys(known)) }

// near reports whether two keys are one edit apart: a character too many, missing, wrong or swapped with its neighbour, or
// differ only in case and in how words are joined.
func near(a, b string) bool {
	if len(a) > maxKey {
		return false
	}
	return fold(a) == fold(b) || oneEdit([]rune(a), []rune(b))
}

func fold(key string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(key))
}

func oneEdit(a, b []rune) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b) < 2 {
		return false // every key of one letter would be near
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	if len(b) == 0 {
		return true
	}
	switch len(b) - len(a) {
	case 0:
		swapped := len(a) > 1 && a[0] == b[1] && a[1] == b[0] && slices.Equal(a[2:], b[2:])
		return swapped || slices.Equal(a[1:], b[1:])
	case 1:
		return slices.Equal(a, b[1:])
	}
	return false
}
