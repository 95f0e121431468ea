package holdfast

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
)

func (e *claudeEncoder) writeTools() error {
	if len(e.req.Tools) == 0 {
		return nil
	}
	e.key("tools")
	e.out = append(e.out, '[')
	for i := range e.req.Tools {
		t := &e.req.Tools[i]
		e.out = append(jsonappend.Comma(e.out), '{')
		e.text("name", t.Name)
		if t.Description != "" {
			e.text("description", t.Description)
		}
		e.key("input_schema")
		if len(t.Schema) == 0 {
			e.out = append(e.out, `{"type":"object","properties":{},"additionalProperties":false}`...)
		} else {
			e.out = append(e.out, t.Schema...)
		}
		if err := e.strict(i, t); err != nil {
			return err
		}
		e.mark(t.Cache, "tools[%d].cache", i)
		e.out = append(e.out, '}')
	}
	e.out = append(e.out, ']')
	return nil
}

func (e *claudeEncoder) strict(i int, t *Tool) error {
	if !t.Strict {
		return nil
	}
	if !e.model.schemas {
		return e.cannot(fmt.Sprintf("tools[%d].strict", i), "this model cannot be held to a schema")
	}
	if len(t.Schema) > 0 {
		if err := closedSchema(fmt.Sprintf("tools[%d].schema", i), t.Schema); err != nil {
			return err
		}
	}
	e.raw("strict", "true")
	return nil
}

func (e *claudeEncoder) writeToolChoice() error {
	if len(e.req.Tools) == 0 {
		return nil
	}
	choice := e.req.ToolChoice
	kind := "auto"
	switch choice.Mode {
	case ToolNone:
		kind = "none"
	case ToolRequired:
		kind = "any"
	case ToolNamed:
		kind = "tool"
	}
	if kind == "any" || kind == "tool" {
		why := ""
		switch {
		case e.model.unforced:
			why = "this model cannot be made to call a tool"
		case e.model.unforcedBedrock && e.thinking != thinkingOff && strings.Contains(e.to.Platform, "bedrock"):
			why = "on Bedrock this model can be made to call a tool only with reasoning.effort off"
		case e.thinking == thinkingManual:
			why = "thinking with a budget leaves the choice to the model"
		}
		if why != "" {
			if err := e.cannot("tool_choice", why); err != nil {
				return err
			}
			kind = "auto"
		}
	}
	single := e.req.ParallelTools != nil && !*e.req.ParallelTools && kind != "none"
	if choice.Mode == "" && !single {
		return nil
	}
	e.key("tool_choice")
	e.out = append(e.out, '{')
	e.text("type", kind)
	if kind == "tool" {
		e.text("name", choice.Name)
	}
	if single {
		e.raw("disable_parallel_tool_use", "true")
	}
	e.out = append(e.out, '}')
	return nil
}

func (e *claudeEncoder) toolCall(at place, c *ToolCall) error {
	if !isToolName(c.Name) {
		return Unsupported(at.String()+".name", "must be 1 to 64 letters, digits, _ or -")
	}
	e.open("tool_use")
	e.text("id", foldID(c.ID, "_-", claudeIDLimit))
	e.text("name", c.Name)
	e.key("input")
	if len(c.Args) == 0 {
		e.out = append(e.out, '{', '}')
	} else {
		e.out = append(e.out, c.Args...)
	}
	if len(c.Extra) > 0 {
		e.callExtra(at, c)
	}
	e.out = append(e.out, '}')
	return nil
}

// callExtra returns who made a call, where it was not simply the model.
func (e *claudeEncoder) callExtra(at place, c *ToolCall) {
	var extra struct {
		Caller  json.RawMessage `json:"caller"`
		Toolset json.RawMessage `json:"toolset_name"`
	}
	if !e.to.made(claudeDialect.Name, c.Origin) || json.Unmarshal(c.Extra[claudeDialect.Name], &extra) != nil {
		e.note(at.String() + ".extra: only its origin can read it")
		return
	}
	if extra.Caller != nil {
		e.raw("caller", string(extra.Caller))
	}
	if extra.Toolset != nil {
		e.raw("toolset_name", string(extra.Toolset))
	}
}

func (e *claudeEncoder) toolResult(at place, r *ToolResult) error {
	e.open("tool_result")
	e.text("tool_use_id", foldID(r.CallID, "_-", claudeIDLimit))
	e.key("content")
	e.out = append(e.out, '[')
	for i, p := range r.Parts {
		if t, ok := p.(*Text); ok && t.Text == "" {
			continue
		}
		inner := at.within(i)
		var err error
		switch p := p.(type) {
		case *Text:
			e.open("text")
			e.text("text", p.Text)
			e.out = append(e.out, '}')
		case *Image:
			err = e.image(inner, p)
		case *Document:
			err = e.document(inner, p)
		}
		if err != nil {
			return err
		}
	}
	e.out = append(e.out, ']')
	if r.IsError {
		e.raw("is_error", "true")
	}
	e.mark(resultHint(r), "messages[%d].parts[%d].cache", at.message, at.part)
	e.out = append(e.out, '}')
	return nil
}

// closedSchema checks what Claude demands of a schema that it must keep to: every object in it refuses further members.
func closedSchema(field string, schema json.RawMessage) error {
	var root any
	if err := json.Unmarshal(schema, &root); err != nil {
		return Unsupported(field, "must be a JSON Schema object")
	}
	if openObject(root) {
		return Unsupported(field, `every object in it needs "additionalProperties": false`)
	}
	return nil
}

func openObject(node any) bool {
	switch node := node.(type) {
	case []any:
		return slices.ContainsFunc(node, openObject)
	case map[string]any:
		if node["type"] == "object" && node["additionalProperties"] != false {
			return true
		}
		for name, inner := range node {
			if name == "enum" || name == "const" || name == "default" || name == "examples" {
				continue // values, not schemas
			}
			if openObject(inner) {
				return true
			}
		}
	}
	return false
}
