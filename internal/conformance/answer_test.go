package conformance

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
)

// A member is what the clients of Anthropic and OpenAI note of each member of an answer: their respjson.Field.
type member interface {
	Valid() bool
	Raw() string
}

// wrong lists what a client noted against an answer that it decoded: a member that must be there and is not, one of another
// type than documented or with a word that the client does not know, and one that is unknown to it.
func wrong(answer any) []string {
	a := &answerCheck{}
	a.value(reflect.ValueOf(answer), "")
	return a.faults
}

// clean fails the test if a client noted anything against an answer, but for what is expected. An expected fault must be there.
func clean(t *testing.T, what string, answer any, expected ...string) {
	t.Helper()
	faults := wrong(answer)
	for _, fault := range faults {
		if !slices.Contains(expected, fault) {
			t.Errorf("%s: %s", what, fault)
		}
	}
	for _, fault := range expected {
		if !slices.Contains(faults, fault) {
			t.Errorf("%s: no longer the fault %q", what, fault)
		}
	}
}

type answerCheck struct{ faults []string }

func (a *answerCheck) fault(path, format string, args ...any) {
	a.faults = append(a.faults, strings.TrimPrefix(path, ".")+": "+fmt.Sprintf(format, args...))
}

func (a *answerCheck) value(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			a.value(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			a.value(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			a.value(v.MapIndex(key), fmt.Sprintf("%s.%v", path, key))
		}
	case reflect.Struct:
		a.object(v, path)
	case reflect.String:
		a.word(v, path)
	}
}

// word checks a word whose type lists those that the client knows.
func (a *answerCheck) word(v reflect.Value, path string) {
	if known := words(v.Type()); known != nil && v.String() != "" && !slices.Contains(known, v.String()) {
		a.fault(path, "%q is no %v", v.String(), v.Type())
	}
}

func (a *answerCheck) object(v reflect.Value, path string) {
	notes := v.FieldByName("JSON")
	if !notes.IsValid() || notes.Kind() != reflect.Struct {
		return
	}
	if as := v.MethodByName("AsAny"); as.IsValid() {
		variant := as.Call(nil)[0]
		if variant.IsNil() {
			a.fault(path, "no variant of %v", v.Type())
			return
		}
		a.value(variant, path)
		return
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		note, ok := noteOf(notes, f.Name)
		if !ok || f.Name == "JSON" {
			continue
		}
		at := path
		if name != "" {
			at += "." + name
		}
		a.member(note, v.Field(i), f, strings.Contains(options, "required"), at)
	}
	if extra := notes.FieldByName("ExtraFields"); extra.IsValid() {
		for _, name := range extra.MapKeys() {
			a.fault(path+"."+name.String(), "unknown to %v", v.Type())
		}
	}
}

func noteOf(notes reflect.Value, name string) (member, bool) {
	f := notes.FieldByName(name)
	if !f.IsValid() {
		return nil, false
	}
	note, ok := f.Interface().(member)
	return note, ok
}

func (a *answerCheck) member(note member, v reflect.Value, f reflect.StructField, required bool, path string) {
	constant := f.Tag.Get("default")
	required = required || constant != "" || f.Tag.Get("api") == "required"
	switch {
	case note.Raw() == "" && required:
		a.fault(path, "missing")
	case note.Raw() == "" || note.Raw() == "null":
	case !note.Valid():
		a.fault(path, "not what %v may hold", f.Type)
	case constant != "" && v.Kind() == reflect.String && v.String() != constant:
		a.fault(path, "got %q, want %q", v.String(), constant)
	default:
		a.value(v, path)
	}
}

func TestWrongNotices(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ answer, want string }{
		{`{"id":"a","object":"model","created":1,"owned_by":"b"}`, ""},
		{`{"object":"model","created":1,"owned_by":"b"}`, "id: missing"},
		{`{"id":"a","object":"model","created":"now","owned_by":"b"}`, "created: not what int64 may hold"},
		{`{"id":"a","object":"mode","created":1,"owned_by":"b"}`, `object: got "mode", want "model"`},
		{`{"id":"a","object":"model","created":1,"owned_by":"b","more":1}`, "more: unknown to openai.Model"},
	} {
		if got := strings.Join(wrong(decoded[openai.Model](t, tt.answer)), "\n"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.answer, got, tt.want)
		}
	}
	block := decoded[anthropic.ContentBlockUnion](t, `{"type":"something","text":"hi"}`)
	if got := wrong(block); len(got) != 1 || !strings.Contains(got[0], "no variant") {
		t.Errorf("an unknown variant: got %q", got)
	}
	stop := decoded[anthropic.Message](t, `{"stop_reason":"tired"}`)
	if got := wrong(stop); !slices.Contains(got, `stop_reason: "tired" is no anthropic.StopReason`) && !slices.Contains(got, "stop_reason: not what anthropic.StopReason may hold") {
		t.Errorf("an unknown word: got %q", got)
	}
}
