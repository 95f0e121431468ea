package holdfasttest

import "strings"

func (claude) models(s *Server) object {
	data := list{}
	names := s.list("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-1", "claude-haiku-4-5-20251001")
	for _, name := range names {
		data = append(data, claudeModelInfo(name))
	}
	if len(names) == 0 {
		return object{"data", data, "has_more", false, "first_id", nil, "last_id", nil}
	}
	return object{"data", data, "has_more", false, "first_id", names[0], "last_id", names[len(names)-1]}
}

func claudeModelInfo(name string) object {
	facts := claudeModelOf(name)
	able := func(yes bool) object { return object{"supported", yes} }
	line := any(nil)
	if facts.family != "" {
		line = facts.family
	}
	window, output := 1_000_000, 128_000
	if facts.version > 0 && facts.version <= 405 {
		window, output = 200_000, 64_000
	}
	effort := facts.version > 405 || facts.family == "opus"
	return object{
		"type", "model", "id", name, "display_name", strings.ReplaceAll(name, "-", " "), "created_at", "2026-06-01T00:00:00Z",
		"deprecated_at", nil, "retires_at", nil, "lifecycle", "active", "line", line,
		"max_input_tokens", window, "max_tokens", output,
		"capabilities",
		object{
			"batch", able(true), "citations", able(true), "code_execution", able(true),
			"context_management",
			object{
				"supported", true, "clear_thinking_20251015", able(true), "clear_tool_uses_20250919", able(true),
				"compact_20260112", able(true),
			},
			"effort",
			object{
				"supported", effort, "low", able(effort), "medium", able(effort), "high", able(effort),
				"xhigh", able(effort), "max", able(effort),
			},
			"image_input", able(true), "pdf_input", able(true),
			"server_tools",
			object{"supported", true, "code_execution", able(true), "web_search", able(true)},
			"structured_outputs", able(true),
			"thinking",
			object{"supported", true, "types", object{
				"adaptive", able(facts.version >= 406), "between_tools", able(facts.version >= 505),
				"disabled", able(!facts.alwaysThinks()), "enabled", able(!facts.newThinking()),
			}},
		},
	}
}
