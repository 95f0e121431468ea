package holdfast

import (
	"encoding/json"

	"github.com/holdfast-ai/holdfast/internal/jsonschema"
)

// comparison is what a candidate's answer is like beside the one that the user got.
type comparison struct {
	form              bool // the request asks for one, and the user's answer calls no tool instead
	kept, userKept    bool
	tools, equalTools bool    // either calls tools; both call the same
	text              bool    // the user's has some
	length            float64 // of the candidate's text over the user's
	judged, same      bool    // by the comparison of the user's own
}

// compare compares a candidate's answer with the user's.
func compare(req *ChatRequest, user, candidate *ChatResponse) (c comparison) {
	asked, called := user.ToolCalls(), candidate.ToolCalls()
	if c.tools = len(asked)+len(called) > 0; c.tools {
		c.equalTools = sameCalls(asked, called)
	}
	if form := req.Output.form(); form != nil && len(asked) == 0 {
		c.form, c.userKept, c.kept = true, form.Fits([]byte(user.Text())), form.Fits([]byte(candidate.Text()))
	}
	if n := len(user.Text()); n > 0 {
		c.text = true
		c.length = float64(len(candidate.Text())) / float64(n)
	}
	return c
}

// form returns what an answer must fit, nil if it is free.
func (o Output) form() *jsonschema.Schema {
	schema := o.Schema
	switch o.Format {
	case OutputJSON:
		schema = json.RawMessage(`{"type":"object"}`)
	case OutputSchema:
	default:
		return nil
	}
	form, err := jsonschema.Parse(schema)
	if err != nil {
		return nil
	}
	return form
}

// sameCalls reports whether two answers call the same tools with equal arguments, in whatever order.
func sameCalls(a, b []*ToolCall) bool {
	if len(a) != len(b) {
		return false
	}
	taken := make([]bool, len(b))
	for _, call := range a {
		found := false
		for i, other := range b {
			if found = !taken[i] && call.Name == other.Name && jsonschema.Equal(call.args(), other.args()); found {
				taken[i] = true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func (c *ToolCall) args() []byte {
	if len(c.Args) == 0 {
		return []byte("{}")
	}
	return c.Args
}

// differs lists in what an answer differs, nil if in nothing.
func (c comparison) differs(mostLength float64) (in []string) {
	for _, d := range [...]struct {
		name string
		is   bool
	}{
		{"form", c.form && !c.kept},
		{"tools", c.tools && !c.equalTools},
		{"same", c.judged && !c.same},
		{"length", c.text && outside(c.length, mostLength)},
	} {
		if d.is {
			in = append(in, d.name)
		}
	}
	return in
}
