package jsonschema_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast/internal/jsonschema"
)

func TestFits(t *testing.T) {
	t.Parallel()
	const (
		person = `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name"],"additionalProperties":false}`
		list   = `{"type":"array","items":{"enum":["a",1,null]}}`
		node   = `{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["next"]}}}`
		odd    = `{"$ref":"#/$defs/a~1b%25~0","$defs":{"a/b%~":{"const":{"x":[1]}}}}`
	)
	for _, c := range []struct {
		name, schema, doc string
		want              bool
	}{
		{"all that is asked for", person, `{"age":3,"name":"x"}`, true},
		{"what may be missing", person, `{"name":"x"}`, true},
		{"what is required", person, `{"age":3}`, false},
		{"one too many", person, `{"name":"x","b":1}`, false},
		{"another type", person, `{"name":1}`, false},
		{"a whole number with a fraction of 0", person, `{"name":"x","age":30e-1}`, true},
		{"a fraction", person, `{"name":"x","age":3.5}`, false},
		{"no object", person, `["name"]`, false},
		{"no JSON", person, `{"name":"x"`, false},
		{"nothing", person, ``, false},
		{"words around it", person, "```json\n{\"name\":\"x\"}\n```", false},
		{"more behind it", person, `{"name":"x"}{}`, false},
		{"white space around it", person, " {\"name\":\"x\"}\n", true},
		{"each of a list", list, `["a",1.0,null,"a"]`, true},
		{"one of a list that does not fit", list, `["a",2]`, false},
		{"an empty list", list, `[]`, true},
		{"one of several types", `{"type":["string","null"]}`, `null`, true},
		{"none of several types", `{"type":["string","null"]}`, `true`, false},
		{"the other members' schema", `{"additionalProperties":{"type":"number"}}`, `{"a":1}`, true},
		{"a member that does not fit it", `{"additionalProperties":{"type":"number"}}`, `{"a":"1"}`, false},
		{"members by pattern are not known", `{"patternProperties":{"^a":{}},"additionalProperties":false}`, `{"a":1}`, true},
		{"elements behind a prefix", `{"prefixItems":[{"type":"string"}],"items":{"type":"number"}}`, `["a",1]`, true},
		{"one behind a prefix that does not fit", `{"prefixItems":[{"type":"string"}],"items":{"type":"number"}}`, `["a","b"]`, false},
		{"fewer than a prefix", `{"prefixItems":[{},{}],"items":false}`, `["a"]`, true},
		{"a chain", node, `{"next":{"next":null}}`, true},
		{"a chain that breaks", node, `{"next":{"next":5}}`, false},
		{"a name that is escaped", odd, `{"x":[1.0]}`, true},
		{"another constant", odd, `{"x":[2]}`, false},
		{"a circle", `{"$ref":"#"}`, `1`, true},
		{"a reference to nowhere", `{"$ref":"#/$defs/x"}`, `1`, true},
		{"a reference to an anchor", `{"$ref":"#x"}`, `1`, true},
		{"a reference elsewhere", `{"$ref":"https://example.com/x"}`, `1`, true},
		{"any", `true`, `1`, true},
		{"none", `false`, `1`, false},
		{"a member that must not be", `{"properties":{"a":false}}`, `{"a":1}`, false},
		{"a type that does not exist", `{"type":"STRING"}`, `1`, true},
		{"a word that is not known", `{"minLength":5,"pattern":"("}`, `"x"`, true},
		{"words of another form", `{"type":5,"enum":{},"required":"a","properties":[],"items":[{"type":"string"}],"anyOf":1}`, `[1]`, true},
	} {
		s, err := jsonschema.Parse([]byte(c.schema))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := s.Fits([]byte(c.doc)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{``, `{`, `1`, `null`, `[]`, `{} {}`} {
		if _, err := jsonschema.Parse([]byte(schema)); err == nil {
			t.Errorf("%q: got no error", schema)
		}
	}
}

// Alternatives that lead to further alternatives, again and again, end in time.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	s, err := jsonschema.Parse([]byte(`{"anyOf":[{"$ref":"#/$defs/x"},{"$ref":"#/$defs/x"}],"type":"string","$defs":{"x":{"items":{"anyOf":[{"$ref":"#/$defs/x"},{"$ref":"#/$defs/x"},{"type":"string"}]},"enum":[1]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	s.Fits([]byte(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)))
	loop, err := jsonschema.Parse([]byte(`{"anyOf":[{"$ref":"#"},{"$ref":"#"}],"required":["x"]}`))
	if err != nil {
		t.Fatal(err)
	}
	loop.Fits([]byte(`{}`))
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":[true,null]}`, ` {"b":[true,null], "a":1.0}`, true},
		{`{"a":1}`, `{"a":1,"b":null}`, false},
		{`{"a":null}`, `{"b":null}`, false},
		{`[1,2]`, `[2,1]`, false},
		{`[1]`, `[1,1]`, false},
		{`"é"`, `"\u00e9"`, true},
		{`1`, `10e-1`, true},
		{`100`, `1E+2`, true},
		{`-0`, `0.00`, true},
		{`-1`, `1`, false},
		{`0.1`, `0.10`, true},
		{`0.1`, `0.01`, false},
		{`12345678901234567890`, `12345678901234567891`, false},
		{`1e999999999999`, `1e999999999999`, true},
		{`1e999999999999`, `2e999999999999`, false},
		{`1`, `"1"`, false},
		{`1`, `true`, false},
		{`[]`, `{}`, false},
		{`{}`, `null`, false},
		{`{`, `{`, false},
		{``, ``, false},
		{`1 2`, `1 2`, false},
	} {
		if got := jsonschema.Equal([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("%s and %s: got %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// Nothing panics; JSON equals itself however it is spelled, fits what names it, and fits the schema of anything.
func FuzzFits(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"type":"object","required":["a"],"properties":{"a":{"items":{"$ref":"#"}}}}`, `{"a":[{"a":1e5}]}`},
		{`{"anyOf":[{"$ref":"#"},{"$ref":"#/anyOf/0"}],"enum":[-0.0]}`, `[null,true,"x"]`},
		{`false`, `1`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, schema, doc []byte) {
		if s, err := jsonschema.Parse(schema); err == nil {
			s.Fits(doc)
		}
		if !json.Valid(doc) {
			if jsonschema.Equal(doc, doc) {
				t.Error("what is no JSON equals itself")
			}
			return
		}
		var compact strings.Builder
		if err := json.NewEncoder(&compact).Encode(json.RawMessage(doc)); err != nil {
			t.Fatal(err)
		}
		if !jsonschema.Equal(doc, []byte(compact.String())) {
			t.Errorf("%q does not equal %q", doc, compact.String())
		}
		s, err := jsonschema.Parse([]byte(`{"const":` + string(doc) + `}`))
		if err != nil || !s.Fits(doc) {
			t.Errorf("%q does not fit what names it (%v)", doc, err)
		}
	})
}
