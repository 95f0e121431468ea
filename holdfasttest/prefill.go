package holdfasttest

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// trailing returns the messages at the end of a conversation that are of the role.
func trailing(messages []map[string]any, role string) []map[string]any {
	i := len(messages)
	for i > 0 && text(messages[i-1], "role") == role {
		i--
	}
	return messages[i:]
}

// spoken returns the text of a message's content: a string, or parts of which some are text.
func spoken(content any) string {
	if s, ok := content.(string); ok {
		return s
	}
	out := ""
	for _, part := range objects(content) {
		if text(part, "type") == "text" {
			out += text(part, "text")
		}
	}
	return out
}

func claudePrefill(m map[string]any) string {
	out := ""
	for _, msg := range trailing(objects(m["messages"]), "assistant") {
		out += spoken(msg["content"])
	}
	return out
}

func geminiPrefill(m map[string]any) string {
	out := ""
	for _, c := range trailing(objects(m["contents"]), "model") {
		for _, p := range objects(c["parts"]) {
			if !flag(p, "thought") {
				out += text(p, "text")
			}
		}
	}
	return out
}

// localPrefill returns what a local model continues: the last message, if it is the assistant's. llama.cpp does so unasked;
// what others want to be asked with, continue_final_message, prefix and partial, changes nothing here.
func localPrefill(m map[string]any) (string, *problem) {
	messages := trailing(objects(m["messages"]), "assistant")
	if len(messages) == 0 || has(messages[len(messages)-1], "tool_calls") {
		return "", nil
	}
	switch {
	case flag(m, "continue_final_message") && flag(m, "add_generation_prompt"): // vLLM
		return "", refused("", "", "Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
	case flag(sub(m, "chat_template_kwargs"), "enable_thinking"): // llama.cpp
		return "", refused("", "", "Assistant response prefill is incompatible with enable_thinking.")
	}
	return spoken(messages[len(messages)-1]["content"]), nil
}

// continued returns how much of a text a prefill has said already, in bytes; 0 if the text does not begin with it. White
// space at its end need not be that of the text: callers strip it, because Claude refuses it.
func continued(said, prefill string) int {
	core := strings.TrimRightFunc(prefill, unicode.IsSpace)
	if !strings.HasPrefix(said, core) {
		return 0
	}
	n := len(core)
	for _, space := range prefill[n:] {
		if !strings.HasPrefix(said[n:], string(space)) {
			break
		}
		n += utf8.RuneLen(space)
	}
	return n
}

// goOn returns the chunks as they go on from a prefill, which an echo says again.
func goOn(chunks []string, prefill string, echo bool) []string {
	n := continued(strings.Join(chunks, ""), prefill)
	switch {
	case n > 0 && !echo:
		return behind(chunks, n)
	case n == 0 && echo && len(chunks) > 0:
		return append([]string{prefill}, chunks...)
	}
	return chunks
}

// behind returns the chunks without their first n bytes.
func behind(chunks []string, n int) []string {
	for i, c := range chunks {
		if n < len(c) {
			return append([]string{c[n:]}, chunks[i+1:]...)
		}
		n -= len(c)
	}
	return []string{}
}
