package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// misfits lists what a client's types do not know of a JSON document: a member they do not have, a value of another kind, a word
// beyond those that they list, a member that must be there and is not.
func misfits(document []byte, as reflect.Type) []string {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return []string{err.Error()}
	}
	if _, err := d.Token(); err != io.EOF {
		return []string{"more than one document"}
	}
	var out []string
	for _, f := range fit(v, as, "") {
		out = append(out, f.text)
	}
	return out
}

// A fault is one thing that does not fit. Its weight tells which variant of a union is meant.
type fault struct {
	text   string
	weight int
}

// The weights: a member missing or another word, an unknown member or another constant such as the type of a part, another kind of
// value.
const (
	detail   = 1
	constant = 100
	kind     = 1000
)

func misfit(weight int, path, format string, args ...any) []fault {
	return []fault{{strings.TrimPrefix(path, ".") + ": " + fmt.Sprintf(format, args...), weight}}
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

func fit(v any, t reflect.Type, path string) []fault {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Interface || t == rawMessage || v == nil && t.Name() == saidAsNull {
		return nil
	}
	if t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Opt[") {
		if v == nil {
			return nil
		}
		value, _ := t.FieldByName("Value")
		return fit(v, value.Type, path)
	}
	switch v := v.(type) {
	case map[string]any:
		return fitObject(v, t, path)
	case []any:
		return fitArray(v, t, path)
	case string:
		return fitWord(v, t, path)
	case json.Number:
		_, err := v.Int64()
		if whole := reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64; whole && err == nil || t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64 {
			return nil
		}
	case bool:
		if t.Kind() == reflect.Bool {
			return nil
		}
	}
	if variants := variantsOf(t); v != nil && len(variants) > 0 {
		return fitAny(v, variants, path)
	}
	return misfit(kind, path, "%T is no %v", v, t)
}

func fitArray(v []any, t reflect.Type, path string) []fault {
	if variants := variantsOf(t); len(variants) > 0 {
		return fitAny(v, variants, path)
	}
	if t.Kind() != reflect.Slice {
		return misfit(kind, path, "an array is no %v", t)
	}
	var out []fault
	for i, e := range v {
		out = append(out, fit(e, t.Elem(), fmt.Sprintf("%s[%d]", path, i))...)
	}
	return out
}

func fitWord(v string, t reflect.Type, path string) []fault {
	if variants := variantsOf(t); len(variants) > 0 {
		return fitAny(v, variants, path)
	}
	of, isConstant := t.MethodByName("Default")
	switch {
	case isConstant:
		if want := of.Func.Call([]reflect.Value{reflect.Zero(t)})[0].String(); v != want {
			return misfit(constant, path, "%q is not %q", v, want)
		}
		return nil
	case t.Kind() == reflect.String:
		if known := words(t); known != nil && !slices.Contains(known, v) {
			return misfit(detail, path, "%q is no %v", v, t)
		}
		return nil
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8, t.String() == "time.Time":
		return nil
	case t.Kind() == reflect.Slice && slices.Contains(saidAsText, t.Elem().Name()):
		return nil
	}
	return misfit(kind, path, "a string is no %v", t)
}

// saidAsText names the blocks whose list the API takes as a mere string too, for which Anthropic's types have no place.
var saidAsText = []string{"ContentBlockParamUnion", "ToolResultBlockParamContentUnion", "TextBlockParam"}

// saidAsNull is the content of an assistant's message with nothing but calls, which the API takes as null too.
const saidAsNull = "ChatCompletionAssistantMessageParamContentUnion"

// variantsOf returns the types of which a union is one.
func variantsOf(t reflect.Type) []reflect.Type {
	if t.Kind() != reflect.Struct {
		return nil
	}
	var out []reflect.Type
	for i := range t.NumField() {
		f := t.Field(i)
		if name, options, _ := strings.Cut(f.Tag.Get("json"), ","); name == "" && strings.Contains(options, "inline") {
			out = append(out, f.Type)
		}
	}
	return out
}

// fitAny returns what speaks against the variant that fits best.
func fitAny(v any, variants []reflect.Type, path string) []fault {
	var best []fault
	least := -1
	for _, t := range variants {
		against, weight := fit(v, t, path), 0
		for _, f := range against {
			weight += f.weight
		}
		if least < 0 || weight < least {
			best, least = against, weight
		}
	}
	return best
}

func fitObject(v map[string]any, t reflect.Type, path string) []fault {
	if variants := variantsOf(t); len(variants) > 0 {
		return fitAny(v, variants, path)
	}
	if t.Kind() == reflect.Map {
		var out []fault
		for name, e := range v {
			out = append(out, fit(e, t.Elem(), path+"."+name)...)
		}
		return out
	}
	if t.Kind() != reflect.Struct {
		return misfit(kind, path, "an object is no %v", t)
	}
	var out []fault
	seen, open := 0, false
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		open = open || f.Tag.Get("api") == "extrafields"
		if name == "" || name == "-" {
			continue
		}
		e, ok := v[name]
		if ok {
			seen++
			out = append(out, fit(e, f.Type, path+"."+name)...)
		} else if _, fixed := f.Tag.Lookup("default"); fixed {
			out = append(out, misfit(constant, path+"."+name, "missing")...)
		} else if f.Tag.Get("api") == "required" || strings.Contains(options, "required") {
			out = append(out, misfit(detail, path+"."+name, "missing")...)
		}
	}
	if open || seen == len(v) {
		return out
	}
	for name := range v {
		if !hasMember(t, name) {
			out = append(out, misfit(constant, path+"."+name, "unknown to %v", t)...)
		}
	}
	return out
}

func hasMember(t reflect.Type, name string) bool {
	for i := range t.NumField() {
		if n, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); n == name {
			return true
		}
	}
	return false
}
