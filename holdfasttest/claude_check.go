package holdfasttest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

var claudeCache = words("type ttl")

var claudeBlockShape = func() shape {
	source := words("type media_type data url file_id content")
	cached := shape{"cache_control": claudeCache, "type": nil}
	result := shape{
		"type=text":              cached.with(words("text citations")),
		"type=image":             cached.with(shape{"source": source, "transformations": nil}),
		"type=document":          cached.with(words("title context citations")).with(shape{"source": source}),
		"type=tool_use":          cached.with(words("id name input caller toolset_name")),
		"type=thinking":          words("type thinking signature"),
		"type=redacted_thinking": words("type data"),
	}
	result["type=tool_result"] = cached.with(words("tool_use_id content is_error toolset_name"))
	result["*"] = nil
	return result
}()

var claudeShape = words(`model max_tokens temperature top_k top_p stop_sequences stream inference_geo container speed diagnostics
	service_tier fallbacks fallback_credit_token context_management compaction mcp_servers output_format`).with(shape{
	"cache_control": claudeCache,
	"messages":      {"role": nil, "content": claudeBlockShape},
	"system":        claudeBlockShape,
	"metadata":      words("user_id"),
	"thinking":      words("type budget_tokens display block_binding"),
	"output_config": words("effort format task_budget"),
	"tool_choice":   words("type name disable_parallel_tool_use"),
	"tools": {
		"type=custom": claudeToolShape, "type=": claudeToolShape, "*": nil,
	},
})

var claudeToolShape = words(`type name description input_schema strict eager_input_streaming defer_loading allowed_callers
	input_examples`).with(shape{"cache_control": claudeCache})

// claudeModel is what a model's name says.
type claudeModel struct {
	family  string
	version int // 406 for 4.6; 0 if the name says nothing
}

var claudeName = regexp.MustCompile(`claude-(?:(opus|sonnet|haiku|fable|mythos)-)?(\d)(?:-(\d))?(?:-(opus|sonnet|haiku))?(?:\D|$|-\d{8})`)

func claudeModelOf(name string) claudeModel {
	m := claudeName.FindStringSubmatch(name)
	if m == nil {
		return claudeModel{}
	}
	major, _ := strconv.Atoi(m[2])
	minor, _ := strconv.Atoi(m[3])
	return claudeModel{cmp.Or(m[1], m[4]), major*100 + minor}
}

// Which model refuses what: the migration guides of https://platform.claude.com/docs.
func (m claudeModel) newThinking() bool {
	return m.version >= 500 || m.family == "opus" && m.version >= 407
}

func (m claudeModel) alwaysThinks() bool {
	return m.family == "fable" || (m.family == "opus" || m.family == "sonnet") && m.version >= 505
}

func (m claudeModel) noForcedTool() bool { return m.alwaysThinks() && m.version != 500 }

func (m claudeModel) hidesThinking() bool { return m.newThinking() }

func (m claudeModel) systemTurns() bool {
	return m.version >= 500 && (m.family != "sonnet" || m.version != 500) || m.family == "opus" && m.version >= 408
}

func invalid(format string, args ...any) *problem {
	return &problem{status: 400, kind: "invalid_request_error", message: fmt.Sprintf(format, args...), header: map[string]string{"X-Should-Retry": "false"}}
}

func (c claude) read(s *Server, r *http.Request, body []byte) (*ask, *problem) {
	if p := c.admit(s, r); p != nil {
		return nil, p
	}
	count := r.URL.Path == "/v1/messages/count_tokens"
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/v1/models":
		return &ask{plain: c.models(s)}, nil
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/models/"):
		name := strings.TrimPrefix(r.URL.Path, "/v1/models/")
		if !s.has(name) {
			p := c.problem(ModelMissing, 0, name)
			return nil, &p
		}
		return &ask{plain: claudeModelInfo(name)}, nil
	case r.URL.Path != "/v1/messages" && !count:
		return nil, &problem{status: 404, kind: "not_found_error", message: "Not Found"}
	case r.Method != http.MethodPost:
		return nil, &problem{status: 405, kind: "invalid_request_error", message: "Method Not Allowed"}
	}
	m, err := parse(body)
	if err != nil {
		return nil, invalid("The request body is not valid JSON: %v", err)
	}
	if p := claudeCheck(m, count); p != nil {
		return nil, p
	}
	model := text(m, "model")
	if !s.has(model) {
		p := c.problem(ModelMissing, 0, model)
		return nil, &p
	}
	a := &ask{model: model, stream: flag(m, "stream"), size: sizeOf(m), fields: m, prefill: claudePrefill(m)}
	if count {
		a.plain = object{"input_tokens", promptTokens(a)}
	}
	facts := claudeModelOf(model)
	display := text(sub(m, "thinking"), "display")
	a.form = claudeForm{show: display == "summarized" || display != "omitted" && !facts.hidesThinking()}
	return a, nil
}

// admit checks who asks, and in which version of the API.
func (c claude) admit(s *Server, r *http.Request) *problem {
	key, bearer := r.Header.Get("X-Api-Key"), r.Header.Get("Authorization")
	token, isBearer := strings.CutPrefix(bearer, "Bearer ")
	denied := &problem{status: 401, kind: "authentication_error", header: map[string]string{"X-Should-Retry": "false"}}
	switch {
	case key == "" && !isBearer:
		denied.message = "x-api-key header is required"
		return denied
	case key != "" && bearer != "":
		denied.message = "x-api-key and Authorization must not both be given"
		return denied
	case key != "" && !s.knows(key):
		denied.message = "invalid x-api-key"
		return denied
	case key == "" && !s.knows(token):
		denied.message = "invalid bearer token"
		return denied
	}
	switch v := r.Header.Get("Anthropic-Version"); v {
	case "2023-06-01", "2023-01-01":
		return nil
	case "":
		return invalid("anthropic-version: header is required")
	default:
		return invalid("anthropic-version: %q is not a valid version", v)
	}
}

func claudeCheck(m map[string]any, count bool) *problem {
	if path, name := claudeShape.strange(m, nil); name != "" {
		return invalid("%s: Extra inputs are not permitted", strings.Join(append(path, name), "."))
	}
	if text(m, "model") == "" {
		return invalid("model: Field required")
	}
	max, whole := integer(m, "max_tokens")
	switch {
	case !count && !has(m, "max_tokens"):
		return invalid("max_tokens: Field required")
	case has(m, "max_tokens") && !whole:
		return invalid("max_tokens: Input should be a valid integer")
	case max < 0:
		return invalid("max_tokens: Input should be greater than or equal to 0")
	case !has(m, "messages"):
		return invalid("messages: Field required")
	}
	messages, ok := m["messages"].([]any)
	if !ok {
		return invalid("messages: Input should be a valid list")
	}
	if len(messages) == 0 {
		return invalid("messages: at least one message is required")
	}
	facts := claudeModelOf(text(m, "model"))
	if p := claudeSettings(m, facts, max); p != nil {
		return p
	}
	return claudeMessages(objects(messages), m, facts)
}

func integer(m map[string]any, name string) (int, bool) {
	n, ok := m[name].(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return int(i), err == nil
}

func claudeSettings(m map[string]any, facts claudeModel, max int) *problem {
	if p := claudeSampling(m, facts); p != nil {
		return p
	}
	thinking := sub(m, "thinking")
	budget, _ := integer(thinking, "budget_tokens")
	switch text(thinking, "type") {
	case "enabled":
		switch {
		case facts.newThinking():
			return invalid("\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.")
		case budget < 1024:
			return invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
		case max > 0 && budget >= max:
			return invalid("`max_tokens` must be greater than `thinking.budget_tokens`")
		}
	case "disabled":
		if facts.alwaysThinks() {
			return invalid("\"thinking.type.disabled\" is not supported for this model.")
		}
	case "adaptive", "between_tools", "":
	default:
		return invalid("thinking: Input tag '%s' found using 'type' does not match any of the expected tags: 'adaptive', 'between_tools', 'disabled', 'enabled'", text(thinking, "type"))
	}
	switch choice := text(sub(m, "tool_choice"), "type"); choice {
	case "any", "tool":
		if facts.noForcedTool() {
			return invalid("tool_choice: '%s' is not supported on this model", choice)
		}
		if text(thinking, "type") == "enabled" {
			return invalid("Thinking may not be enabled when tool_choice forces tool use.")
		}
	}
	if has(sub(m, "output_config"), "effort") && facts.version > 0 && facts.version <= 405 && facts.family != "opus" {
		return invalid("This model does not support the effort parameter.")
	}
	return claudeTools(m)
}

func claudeSampling(m map[string]any, facts claudeModel) *problem {
	if has(m, "temperature") && has(m, "top_p") && facts.version >= 400 {
		return invalid("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
	}
	if t, ok := number(m, "temperature"); ok && (t < 0 || t > 1) {
		return invalid("temperature: range: 0..1")
	}
	if !facts.newThinking() {
		return nil
	}
	for _, name := range []string{"temperature", "top_p", "top_k"} {
		v, _ := number(m, name)
		lenient := facts.family == "sonnet" && facts.version == 500 && v == 1 && name != "top_k"
		if has(m, name) && !lenient {
			return invalid("%s: sampling parameters are not supported on this model", name)
		}
	}
	return nil
}

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func claudeTools(m map[string]any) *problem {
	known := map[string]bool{}
	for i, t := range objects(m["tools"]) {
		if kind := text(t, "type"); kind != "" && kind != "custom" {
			continue // a server tool
		}
		name := text(t, "name")
		switch {
		case !toolName.MatchString(name):
			return invalid("tools.%d.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", i)
		case known[name]:
			return invalid("tools: Tool names must be unique.")
		case sub(t, "input_schema") == nil:
			return invalid("tools.%d.custom.input_schema: Field required", i)
		case text(sub(t, "input_schema"), "type") != "object":
			return invalid("tools.%d.custom.input_schema.type: Input should be 'object'", i)
		}
		known[name] = true
	}
	choice := sub(m, "tool_choice")
	if choice != nil && !has(m, "tools") {
		return invalid("tool_choice: Tool choice may only be specified while providing `tools`.")
	}
	if text(choice, "type") == "tool" && !known[text(choice, "name")] {
		return invalid("Tool '%s' not found in provided tools", text(choice, "name"))
	}
	return nil
}
