package holdfasttest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// refusal is a request and the words with which the provider refuses it; none if it accepts it.
type refusal struct {
	name, body, want string
}

func TestClaudeChecks(t *testing.T) {
	t.Parallel()
	const (
		user   = `{"role":"user","content":"Hi"}`
		call   = `{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{}}]}`
		result = `{"type":"tool_result","tool_use_id":"c1","content":"ok"}`
		tool   = `"tools":[{"name":"f","input_schema":{"type":"object"}}]`
	)
	old := func(more string) string {
		return `{"model":"claude-haiku-4-5-20251001","max_tokens":2000,` + more + `}`
	}
	opus := func(more string) string { return `{"model":"claude-opus-5-5","max_tokens":2000,` + more + `}` }
	on := func(model, more string) string {
		return `{"model":"` + model + `","max_tokens":2000,"messages":[` + user + `],` + more + `}`
	}
	said := func(messages ...string) string { return `"messages":[` + strings.Join(messages, ",") + `]` }
	checks(t, holdfasttest.Claude, "/v1/messages", []refusal{
		{"fine", opus(said(user)), ""},
		{"no JSON", `{"model"`, "not valid JSON"},
		{"trailing data", opus(said(user)) + `{}`, "not valid JSON"},
		{"no model", `{"max_tokens":1,` + said(user) + `}`, "model: Field required"},
		{"no max_tokens", `{"model":"claude-opus-5-5",` + said(user) + `}`, "max_tokens: Field required"},
		{"max_tokens of text", `{"model":"claude-opus-5-5","max_tokens":"9",` + said(user) + `}`, "max_tokens: Input should be a valid integer"},
		{"no messages", opus(`"stream":false`), "messages: Field required"},
		{"empty messages", opus(said()), "at least one message"},
		{"unknown field", opus(said(user) + `,"seed":1`), "seed: Extra inputs are not permitted"},
		{"unknown field of a block", opus(said(`{"role":"user","content":[{"type":"text","text":"a","x":1}]}`)), "messages.0.content.0.x: Extra inputs are not permitted"},
		{"assistant first", old(said(`{"role":"assistant","content":"a"}`)), "first message must use the \"user\" role"},
		{"unknown role", opus(said(`{"role":"tool","content":"a"}`)), "messages.0.role: Input should be 'user' or 'assistant'"},
		{"neighbors of one role", opus(said(user, user)), ""},
		{"empty content", opus(said(`{"role":"user","content":""}`)), "non-empty content"},
		{"empty text block", opus(said(`{"role":"user","content":[{"type":"text","text":""}]}`)), "text content blocks must be non-empty"},
		{"blank text block", opus(said(`{"role":"user","content":[{"type":"text","text":" "}]}`)), "non-whitespace text"},
		{"empty system", opus(said(user) + `,"system":[{"type":"text","text":""}]`), "text content blocks must be non-empty"},
		{"system turn", opus(said(user, `{"role":"system","content":"Be brief."}`)), ""},
		{"system turn, old", old(said(user, `{"role":"system","content":"Be brief."}`)), "role 'system' is not supported"},
		{"system turn first", opus(said(`{"role":"system","content":"a"}`, user)), "must directly follow a user turn"},
		{"call answered", opus(said(user, call, `{"role":"user","content":[`+result+`,{"type":"text","text":"so?"}]}`) + `,` + tool), ""},
		{"call unanswered", opus(said(user, call, user)), "`tool_use` ids were found without `tool_result` blocks immediately after: c1"},
		{"call last", opus(said(user, call)), "`tool_use` ids were found without"},
		{"result behind text", opus(said(user, call, `{"role":"user","content":[{"type":"text","text":"so"},`+result+`]}`)), "must come first"},
		{"result twice", opus(said(user, call, `{"role":"user","content":[`+result+`,`+result+`]}`)), "single result"},
		{"result without call", opus(said(`{"role":"user","content":[` + result + `]}`)), "unexpected `tool_use_id`"},
		{"call by the user", opus(said(`{"role":"user","content":[{"type":"tool_use","id":"c1","name":"f","input":{}}]}`)), "can only be in `assistant` messages"},
		{"input of text", opus(said(user, `{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":"{}"}]}`)), "Input should be a valid dictionary"},
		{"bad call id", opus(said(user, `{"role":"assistant","content":[{"type":"tool_use","id":"c.1","name":"f","input":{}}]}`)), "should match pattern"},
		{"foreign thinking", opus(said(user, `{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"YQ=="},{"type":"text","text":"b"}]}`, user)), "Invalid `signature` in `thinking` block"},
		{"prefill", old(said(user, `{"role":"assistant","content":"The"}`)), ""},
		{"prefill, space", old(said(user, `{"role":"assistant","content":"The "}`)), "cannot end with trailing whitespace"},
		{"prefill, thinking", old(said(user, `{"role":"assistant","content":"The"}`) + `,"thinking":{"type":"enabled","budget_tokens":1024}`), "not to be a prefill"},
		{"prefill, refused", opus(said(user, `{"role":"assistant","content":"The"}`)), "does not support assistant message prefill"},
		{"prefill, 4.6", `{"model":"claude-sonnet-4-6","max_tokens":9,` + said(user, `{"role":"assistant","content":"The"}`) + `}`, "does not support assistant message prefill"},
		{"temperature", old(said(user) + `,"temperature":0.5`), ""},
		{"temperature, refused", opus(said(user) + `,"temperature":0.5`), "temperature: sampling"},
		{"default temperature, Sonnet 5", on("claude-sonnet-5", `"temperature":1`), ""},
		{"temperature, Sonnet 5", on("claude-sonnet-5", `"temperature":0.2`), "temperature: sampling"},
		{"top_k, refused", on("us.anthropic.claude-opus-4-7", `"top_k":5`), "top_k: sampling"},
		{"temperature and top_p", old(said(user) + `,"temperature":0.5,"top_p":0.5`), "cannot both be specified"},
		{"hot", old(said(user) + `,"temperature":1.5`), "range: 0..1"},
		{"budget", old(said(user) + `,"thinking":{"type":"enabled","budget_tokens":1500}`), ""},
		{"budget too small", old(said(user) + `,"thinking":{"type":"enabled","budget_tokens":1000}`), "greater than or equal to 1024"},
		{"budget too large", old(said(user) + `,"thinking":{"type":"enabled","budget_tokens":2000}`), "must be greater than"},
		{"budget, refused", opus(said(user) + `,"thinking":{"type":"enabled","budget_tokens":1500}`), "is not supported for this model"},
		{"no thinking", on("claude-haiku-5-5", `"thinking":{"type":"disabled"}`), ""},
		{"no thinking, refused", opus(said(user) + `,"thinking":{"type":"disabled"}`), "is not supported for this model"},
		{"forced tool", old(said(user) + `,` + tool + `,"tool_choice":{"type":"tool","name":"f"}`), ""},
		{"forced tool, refused", opus(said(user) + `,` + tool + `,"tool_choice":{"type":"any"}`), "tool_choice: 'any' is not supported"},
		{"forced tool, thinking", old(said(user) + `,` + tool + `,"tool_choice":{"type":"any"},"thinking":{"type":"enabled","budget_tokens":1500}`), "Thinking may not be enabled"},
		{"unknown tool", old(said(user) + `,` + tool + `,"tool_choice":{"type":"tool","name":"g"}`), "Tool 'g' not found"},
		{"tool without schema", opus(said(user) + `,"tools":[{"name":"f"}]`), "input_schema: Field required"},
		{"effort", opus(said(user) + `,"output_config":{"effort":"low"}`), ""},
		{"effort, refused", old(said(user) + `,"output_config":{"effort":"low"}`), "effort"},
	})
}

func TestChatChecks(t *testing.T) {
	t.Parallel()
	const (
		user = `{"role":"user","content":"Hi"}`
		call = `{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}`
		done = `{"role":"tool","tool_call_id":"c1","content":"ok"}`
		tool = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]`
	)
	on := func(model, more string, messages ...string) string {
		return `{"model":"` + model + `","messages":[` + strings.Join(append(messages, user), ",") + `]` + more + `}`
	}
	checks(t, holdfasttest.OpenAI, "/v1/chat/completions", []refusal{
		{"fine", on("gpt-6-sol", ""), ""},
		{"no JSON", `{`, "could not parse the JSON body"},
		{"no model", `{"messages":[` + user + `]}`, "Missing required parameter: 'model'"},
		{"no messages", `{"model":"gpt-6-sol"}`, "Missing required parameter: 'messages'"},
		{"unknown argument", on("gpt-6-sol", `,"top_k":5`), "Unrecognized request argument supplied: top_k"},
		{"unknown inner argument", on("gpt-6-sol", "", `{"role":"assistant","content":"a","reasoning_content":"b"}`), "Unknown parameter: 'messages[0].reasoning_content'"},
		{"unknown role", on("gpt-6-sol", "", `{"role":"model","content":"a"}`), "Invalid value: 'model'"},
		{"null content", on("gpt-6-sol", "", `{"role":"user","content":null}`), "expected a string, got null"},
		{"image of the assistant", on("gpt-6-sol", "", `{"role":"assistant","content":[{"type":"image_url","image_url":{"url":"data:"}}]}`), "Invalid value: 'image_url'"},
		{"call answered", on("gpt-6-sol", "", call, done), ""},
		{"call unanswered", on("gpt-6-sol", "", call), "did not have response messages: c1"},
		{"result without call", on("gpt-6-sol", "", done), "must be a response to a prec"},
		{"arguments of an object", on("gpt-6-sol", "", strings.Replace(call, `"{}"`, `{}`, 1), done), "expected a string"},
		{"tools", on("gpt-4.1", `,`+tool), ""},
		{"tools, refused", on("gpt-5.4-mini", `,`+tool), "To use function tools, use /v1/responses"},
		{"tools, refused by 6", on("gpt-6.1-sol", `,`+tool+`,"reasoning_effort":"low"`), "To use function tools, use /v1/responses"},
		{"tools, effort none", on("gpt-6-sol", `,`+tool+`,"reasoning_effort":"none"`), ""},
		{"choice without tools", on("gpt-4.1", `,"tool_choice":"auto"`), "only allowed when 'tools' are specified"},
		{"parallel without tools", on("gpt-4.1", `,"parallel_tool_calls":false`), "only allowed when 'tools' are specified"},
		{"bad tool name", on("gpt-4.1", `,"tools":[{"type":"function","function":{"name":"a b"}}]`), "does not match pattern"},
		{"loose strict schema", on("gpt-4.1", `,"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object"}}}]`), "'additionalProperties' is required"},
		{"max_tokens", on("gpt-4.1", `,"max_tokens":5`), ""},
		{"max_tokens, refused", on("gpt-6-sol", `,"max_tokens":5`), "Use 'max_completion_tokens' instead"},
		{"stop", on("gpt-4.1", `,"stop":["a"]`), ""},
		{"stop, refused", on("o3", `,"stop":["a"]`), "'stop' is not supported"},
		{"too many stops", on("gpt-4.1", `,"stop":["a","b","c","d","e"]`), "maximum length 4"},
		{"temperature", on("gpt-4.1", `,"temperature":0.2`), ""},
		{"temperature, refused", on("gpt-6-sol", `,"temperature":0.2`), "'temperature' does not support 0.2"},
		{"temperature, effort none", on("gpt-6-sol", `,"temperature":0.2,"reasoning_effort":"none"`), ""},
		{"effort, refused", on("gpt-4.1", `,"reasoning_effort":"low"`), "'reasoning_effort' is not supported"},
		{"stream options", on("gpt-4.1", `,"stream_options":{"include_usage":true}`), "only allowed when 'stream' is enabled"},
		{"JSON unnamed", on("gpt-4.1", `,"response_format":{"type":"json_object"}`), "must contain the word 'json'"},
		{"JSON", on("gpt-4.1", `,"response_format":{"type":"json_object"}`, `{"role":"system","content":"Answer in JSON."}`), ""},
	})
}

func TestLocalIsLenient(t *testing.T) {
	t.Parallel()
	checks(t, holdfasttest.Local, "/v1/chat/completions", []refusal{
		{"unknown field", `{"model":"m","num_ctx":4,"messages":[{"role":"user","content":"Hi"}]}`, ""},
		{"image by URL", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.test/b.png"}}]}]}`, "invalid image input"},
	})
}

func TestResponsesChecks(t *testing.T) {
	t.Parallel()
	const (
		user = `{"role":"user","content":[{"type":"input_text","text":"Hi"}]}`
		call = `{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}`
		done = `{"type":"function_call_output","call_id":"c1","output":"ok"}`
	)
	on := func(model, more string, items ...string) string {
		return `{"model":"` + model + `","input":[` + strings.Join(append([]string{user}, items...), ",") + `]` + more + `}`
	}
	checks(t, holdfasttest.OpenAI, "/v1/responses", []refusal{
		{"fine", on("gpt-6-sol", ""), ""},
		{"text", `{"model":"gpt-6-sol","input":"Hi"}`, ""},
		{"no input", `{"model":"gpt-6-sol"}`, "Missing required parameter: 'input'"},
		{"stop", on("gpt-6-sol", `,"stop":["a"]`), "Unknown parameter: 'stop'"},
		{"seed", on("gpt-6-sol", `,"seed":1`), "Unknown parameter: 'seed'"},
		{"nested tool", on("gpt-6-sol", `,"tools":[{"type":"function","function":{"name":"f"}}]`), "Unknown parameter: 'tools[0].function'"},
		{"tools", on("gpt-6-sol", `,"tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":false}]`), ""},
		{"call answered", on("gpt-6-sol", "", call, done), ""},
		{"call unanswered", on("gpt-6-sol", "", call), "No tool output found for function call c1"},
		{"output without call", on("gpt-6-sol", "", done), "No tool call found for function call output with call_id c1"},
		{"input text of the assistant", on("gpt-6-sol", "", `{"role":"assistant","content":[{"type":"input_text","text":"a"}]}`), "Supported values are: 'output_text', 'refusal'"},
		{"tool role", on("gpt-6-sol", "", `{"role":"tool","content":"a"}`), "Invalid value: 'tool'"},
		{"foreign reasoning", on("gpt-6-sol", "", `{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"YQ=="}`, call, done), "encrypted content could not be verified"},
		{"reasoning alone", on("gpt-6-sol", "", `{"type":"reasoning","id":"rs_1","summary":[]}`), "without its required following item"},
		{"few tokens", on("gpt-6-sol", `,"max_output_tokens":5`), "Expected a value >= 16"},
		{"temperature, refused", on("gpt-6-sol", `,"temperature":0.2`), "'temperature' does not support"},
		{"temperature", on("gpt-4.1", `,"temperature":0.2`), ""},
		{"effort, refused", on("gpt-4.1", `,"reasoning":{"effort":"low"}`), "'reasoning.effort' is not supported"},
		{"schema", on("gpt-6-sol", `,"text":{"format":{"type":"json_schema","schema":{}}}`), "Missing required parameter: 'text.format.name'"},
	})
}

func TestGeminiChecks(t *testing.T) {
	t.Parallel()
	const (
		user     = `{"role":"user","parts":[{"text":"Hi"}]}`
		model    = `{"role":"model","parts":[{"text":"Yes"}]}`
		calls    = `{"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"skip_thought_signature_validator"},{"functionCall":{"name":"g","args":{}}}]}`
		unsigned = `{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]}`
		f        = `{"functionResponse":{"name":"f","response":{"output":"ok"}}}`
		g        = `{"functionResponse":{"name":"g","response":{"output":"ok"}}}`
	)
	said := func(contents ...string) string { return `{"contents":[` + strings.Join(contents, ",") + `]}` }
	with := func(more string) string { return `{"contents":[` + user + `],` + more + `}` }
	answers := func(parts ...string) string { return `{"role":"user","parts":[` + strings.Join(parts, ",") + `]}` }
	checks(t, holdfasttest.Gemini, "/v1beta/models/gemini-3.8-flash:generateContent", []refusal{
		{"fine", said(user), ""},
		{"no contents", `{}`, "contents is not specified"},
		{"unknown name", with(`"seed":1`), `Unknown name "seed": Cannot find field`},
		{"unknown inner name", with(`"generationConfig":{"stop":["a"]}`), `Unknown name "stop" at 'generationConfig': Cannot find field`},
		{"snake case", with(`"generation_config":{"max_output_tokens":5},"system_instruction":{"parts":[{"text":"a"}]}`), ""},
		{"unknown role", said(`{"role":"assistant","parts":[{"text":"a"}]}`), "valid role: user, model"},
		{"no parts", said(`{"role":"user","parts":[]}`), "parts must not be empty"},
		{"empty part", said(`{"role":"user","parts":[{}]}`), "must have one initialized field"},
		{"calls answered", said(user, calls, answers(f, g)), ""},
		{"calls answered in two contents", said(user, calls, answers(f), answers(g)), ""},
		{"too few results", said(user, calls, answers(f)), "number of function response parts is equal"},
		{"wrong order", said(user, calls, answers(g, f)), "in their order"},
		{"result without call", said(user, model, answers(f)), "immediately after a function call turn"},
		{"result of text", said(user, calls, answers(`{"functionResponse":{"name":"f","response":"ok"}}`, g)), "function_response.response"},
		{"result without name", said(user, calls, answers(`{"functionResponse":{"response":{}}}`, g)), "Name cannot be empty"},
		{"call first", said(calls, answers(f, g)), "function call turn comes immediately after a user turn"},
		{"unsigned", said(user, unsigned, answers(f)), "missing a thought_signature"},
		{"unsigned in an old turn", said(user, unsigned, answers(f), model, user), ""},
		{"foreign signature", said(user, strings.Replace(calls, "skip_thought_signature_validator", "YQ==", 1), answers(f, g)), "Corrupted thought signature"},
		{"trailing model turn", said(user, model), "Requests ending with a model turn are not supported"},
		{"budget and level", with(`"generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW","thinkingBudget":5}}`), "only one of thinking budget"},
		{"schemas", with(`"generationConfig":{"responseSchema":{},"responseJsonSchema":{}}`), "only one of response_schema"},
		{"bad tool name", with(`"tools":[{"functionDeclarations":[{"name":"a b"}]}]`), "Invalid function name"},
	})
	checks(t, holdfasttest.Gemini, "/v1beta/models/gemini-2.5-flash:generateContent", []refusal{
		{"old: unsigned", said(user, unsigned, answers(f)), ""},
		{"old: trailing model turn", said(user, model), ""},
	})
}

// checks asks each question, streamed answers aside, and leaves the script untouched by what is refused.
func checks(t *testing.T, d holdfasttest.Dialect, path string, cases []refusal) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			s := holdfasttest.NewServer(d)
			defer s.Close()
			s.Script(holdfasttest.Reply{})
			got := decode(t, s.Client(), d, s.URL+path, tt.body)
			status, message := got["status"], dig[string](got, "error", "message")
			refused := s.Requests()[0].Refused
			if tt.want == "" {
				if status != http.StatusOK || refused != "" || s.Left() != 0 {
					t.Errorf("got %v %q, want it accepted", status, message)
				}
				return
			}
			if status != http.StatusBadRequest || !strings.Contains(message, tt.want) || refused != message || s.Left() != 1 {
				t.Errorf("got %v %q, log %q, %d replies left, want 400 %q", status, message, refused, s.Left(), tt.want)
			}
		})
	}
}
