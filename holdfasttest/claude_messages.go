package holdfasttest

import (
	"regexp"
	"strings"
	"unicode"
)

var claudeCallID = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// claudeTurn is a message with its content as blocks. Neighbors of the same role are one turn.
type claudeTurn struct {
	role   string
	index  int // of its last message
	blocks []map[string]any
}

// claudeMessages checks the conversation.
func claudeMessages(messages []map[string]any, m map[string]any, facts claudeModel) *problem {
	if p := claudeSystem(m["system"]); p != nil {
		return p
	}
	var turns []claudeTurn
	for i, msg := range messages {
		role := text(msg, "role")
		blocks, p := claudeContent(msg, i, i == len(messages)-1)
		if p != nil {
			return p
		}
		if p := claudeRole(role, i, turns, facts); p != nil {
			return p
		}
		if role == "system" {
			continue
		}
		if n := len(turns); n > 0 && turns[n-1].role == role {
			turns[n-1].blocks = append(turns[n-1].blocks, blocks...)
			turns[n-1].index = i
		} else {
			turns = append(turns, claudeTurn{role, i, blocks})
		}
	}
	if p := claudeCalls(turns); p != nil {
		return p
	}
	return claudeEnd(turns, m, facts)
}

func claudeSystem(system any) *problem {
	for i, b := range objects(system) {
		if text(b, "type") != "text" {
			return invalid("system.%d.type: Input should be 'text'", i)
		}
		if text(b, "text") == "" {
			return invalid("system: text content blocks must be non-empty")
		}
	}
	return nil
}

func claudeRole(role string, i int, before []claudeTurn, facts claudeModel) *problem {
	switch role {
	case "user":
	case "assistant":
		if len(before) == 0 {
			return invalid("messages: first message must use the \"user\" role")
		}
	case "system":
		if !facts.systemTurns() {
			return invalid("messages.%d.role: role 'system' is not supported on this model", i)
		}
		if len(before) == 0 || before[len(before)-1].role != "user" {
			return invalid("messages.%d: role 'system' must directly follow a user turn", i)
		}
	default:
		return invalid("messages.%d.role: Input should be 'user' or 'assistant'", i)
	}
	return nil
}

func claudeContent(msg map[string]any, i int, last bool) ([]map[string]any, *problem) {
	switch c := msg["content"].(type) {
	case string:
		if c == "" && (!last || text(msg, "role") != "assistant") {
			return nil, invalid("messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
		}
		return []map[string]any{{"type": "text", "text": c}}, nil
	case []any:
		blocks := objects(c)
		if len(blocks) == 0 && (!last || text(msg, "role") != "assistant") {
			return nil, invalid("messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
		}
		for j, b := range blocks {
			if p := claudeBlockCheck(b, text(msg, "role"), i, j); p != nil {
				return nil, p
			}
		}
		return blocks, nil
	case nil:
		return nil, invalid("messages.%d.content: Field required", i)
	}
	return nil, invalid("messages.%d.content: Input should be a valid string", i)
}

func claudeBlockCheck(b map[string]any, role string, i, j int) *problem {
	kind := text(b, "type")
	wrong := func(roles string) *problem {
		return invalid("messages.%d.content.%d: `%s` blocks can only be in `%s` messages", i, j, kind, roles)
	}
	switch kind {
	case "":
		return invalid("messages.%d.content.%d.type: Field required", i, j)
	case "text":
		if text(b, "text") == "" {
			return invalid("messages: text content blocks must be non-empty")
		}
		if strings.TrimSpace(text(b, "text")) == "" {
			return invalid("messages: text content blocks must contain non-whitespace text")
		}
	case "tool_use":
		switch {
		case role != "assistant":
			return wrong("assistant")
		case !claudeCallID.MatchString(text(b, "id")):
			return invalid("messages.%d.content.%d.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", i, j)
		case text(b, "name") == "":
			return invalid("messages.%d.content.%d.tool_use.name: Field required", i, j)
		case sub(b, "input") == nil:
			return invalid("messages.%d.content.%d.tool_use.input: Input should be a valid dictionary", i, j)
		}
	case "tool_result":
		if role != "user" {
			return wrong("user")
		}
	case "thinking":
		if role != "assistant" {
			return wrong("assistant")
		}
		if _, ok := signed(Claude, text(b, "signature")); !ok {
			return invalid("messages.%d.content.%d: Invalid `signature` in `thinking` block", i, j)
		}
	case "image", "document":
		if role != "user" {
			return wrong("user")
		}
		if text(sub(b, "source"), "type") == "" {
			return invalid("messages.%d.content.%d.%s.source: Field required", i, j, kind)
		}
	}
	return nil
}

// claudeCalls checks that each call is answered at the start of the very next user turn, and nothing else is.
func claudeCalls(turns []claudeTurn) *problem {
	for t, turn := range turns {
		open := map[string]bool{}
		if t > 0 && turn.role == "user" {
			for _, b := range turns[t-1].blocks {
				if text(b, "type") == "tool_use" {
					open[text(b, "id")] = true
				}
			}
		}
		if p := claudeResults(turn, open); p != nil {
			return p
		}
		if len(open) > 0 {
			return invalid("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", turns[t-1].index, strings.Join(ids(open), ", "))
		}
		if last := t == len(turns)-1; last && turn.role == "assistant" {
			for _, b := range turn.blocks {
				if text(b, "type") == "tool_use" {
					return invalid("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", turn.index, text(b, "id"))
				}
			}
		}
	}
	return nil
}

func claudeResults(turn claudeTurn, open map[string]bool) *problem {
	awaited, other := len(open) > 0, false
	seen := map[string]bool{}
	for j, b := range turn.blocks {
		if text(b, "type") != "tool_result" {
			other = true
			continue
		}
		id := text(b, "tool_use_id")
		switch {
		case seen[id]:
			return invalid("messages.%d.content.%d: each tool_use must have a single result. Found multiple `tool_result` blocks with id: %s", turn.index, j, id)
		case !open[id]:
			return invalid("messages.%d.content.%d: unexpected `tool_use_id` found in `tool_result` blocks: %s. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", turn.index, j, id)
		case other && awaited:
			return invalid("messages.%d: `tool_result` blocks must come first in the message that follows `tool_use` blocks", turn.index)
		}
		seen[id] = true
		delete(open, id)
	}
	return nil
}

func ids(set map[string]bool) []string {
	m := map[string]any{}
	for id := range set {
		m[id] = nil
	}
	return sorted(m)
}

// claudeEnd checks a conversation that ends with an assistant turn, which the model is to continue.
func claudeEnd(turns []claudeTurn, m map[string]any, facts claudeModel) *problem {
	last := turns[len(turns)-1]
	if last.role != "assistant" || len(last.blocks) == 0 {
		return nil
	}
	if facts.version >= 406 {
		return invalid("This model does not support assistant message prefill. The conversation must end with a user message.")
	}
	if kind := text(sub(m, "thinking"), "type"); kind == "enabled" || kind == "adaptive" {
		return invalid("messages: Expected the final message not to be a prefill when `thinking` is enabled")
	}
	if has(sub(m, "output_config"), "format") {
		return invalid("output_config.format: structured outputs are incompatible with prefill")
	}
	if end := text(last.blocks[len(last.blocks)-1], "text"); end != strings.TrimRightFunc(end, unicode.IsSpace) {
		return invalid("messages: final assistant content cannot end with trailing whitespace")
	}
	return nil
}
