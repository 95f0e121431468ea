package holdfast

import (
	"errors"
	"testing"
)

func TestCheckNamesTheField(t *testing.T) {
	t.Parallel()
	text := &Text{Text: "x"}
	call := &ToolCall{ID: "1", Name: "f"}
	user := func(parts ...Part) Message { return Message{Role: RoleUser, Parts: parts} }
	assistant := func(parts ...Part) Message { return Message{Role: RoleAssistant, Parts: parts} }
	for want, messages := range map[string][]Message{
		"messages":                           nil,
		"messages[0].role":                   {{Role: "system", Parts: Parts{text}}},
		"messages[1].parts":                  {user(text), assistant()},
		"messages[0].parts[1]":               {user(text, nil)},
		"messages[0].parts[0]":               {user(call)},
		"messages[0].parts[0].text":          {user(&Text{})},
		"messages[1].parts[0].id":            {user(text), assistant(&ToolCall{Name: "f"})},
		"messages[1].parts[0].name":          {user(text), assistant(&ToolCall{ID: "1"})},
		"messages[1].parts[0].args":          {user(text), assistant(&ToolCall{ID: "1", Name: "f", Args: []byte("[]")})},
		"messages[1].parts[1].id":            {user(text), assistant(call, call)},
		"messages[1]":                        {user(text), assistant(call)},
		"messages[2]":                        {user(text), assistant(call), user(text)},
		"messages[2].parts[0].call_id":       {user(text), assistant(call), Results(&ToolResult{CallID: "2"})},
		"messages[2].parts[0].parts[0]":      {user(text), assistant(call), Results(&ToolResult{CallID: "1", Parts: Parts{call}})},
		"messages[2].parts[0].parts[1].mime": {user(text), assistant(call), Results(&ToolResult{CallID: "1", Parts: Parts{text, &Image{Bytes: []byte{1}}}})},
		"messages[0].parts[0].mime":          {user(&Document{Bytes: []byte{1}})},
		"messages[0].parts[0].file":          {user(&Image{File: &FileRef{}})},
		"messages[1].parts[0].raw":           {user(text), assistant(&Opaque{Raw: []byte("{")})},
	} {
		var e *Error
		err := (&ChatRequest{Messages: messages}).check()
		if !errors.As(err, &e) || e.Kind != KindInvalid || e.Field != want {
			t.Errorf("got %v, want a fault of %s", err, want)
		}
	}
}

// A sound conversation costs no allocation, however long it is.
func TestCheckAllocatesNothing(t *testing.T) {
	var req ChatRequest
	for range 100 {
		req.Messages = append(req.Messages, UserText("x"), AssistantText("y"))
	}
	if got := testing.AllocsPerRun(100, func() {
		if err := req.check(); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
