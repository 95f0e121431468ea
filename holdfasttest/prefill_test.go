package holdfasttest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// prefilled is how each API is asked to continue an assistant turn; %s is the text of the turn, as JSON.
var prefilled = map[string]struct {
	way   int
	model string
	body  string
}{
	"claude":         {0, "", `{"model":"claude-haiku-4-5","max_tokens":100,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":%s}]`},
	"claude, blocks": {0, "", `{"model":"claude-haiku-4-5","max_tokens":100,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"text","text":%s}]}]`},
	"chat":           {1, "", `{"model":"gpt-4.1","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":%s}]`},
	"local":          {2, "", `{"model":"qwen3:8b","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":%s}]`},
	"vLLM":           {2, "", `{"model":"m","continue_final_message":true,"add_generation_prompt":false,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":%s}]`},
	"Mistral":        {2, "", `{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","prefix":true,"content":%s}]`},
	"Moonshot":       {2, "", `{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","partial":true,"content":[{"type":"text","text":%s}]}]`},
	"responses":      {3, "", `{"model":"gpt-6-sol","input":[{"role":"user","content":"Hi"},{"role":"assistant","content":%s}]`},
	"gemini":         {4, "gemini-3.5-flash", `{"contents":[{"role":"user","parts":[{"text":"Hi"}]},{"role":"model","parts":[{"text":%s}]}]`},
}

// continueText asks for the answer that continues a prefill, and returns what it says.
func continueText(t *testing.T, s *holdfasttest.Server, api, prefill string, stream bool) (string, holdfasttest.Request) {
	t.Helper()
	p := prefilled[api]
	w := ways[p.way]
	path, _ := question(p.way, stream)
	if p.model != "" {
		path = strings.Replace(path, "gemini-3.8-flash", p.model, 1)
	}
	quoted, err := json.Marshal(prefill)
	if err != nil {
		t.Fatal(err)
	}
	body := strings.Replace(p.body, "%s", string(quoted), 1)
	if stream && w.dialect != holdfasttest.Gemini {
		body += `,"stream":true`
	}
	res, err := ask(t.Context(), s.Client(), w.dialect, s.URL+path, body+"}")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v, status %d: %s", err, res.StatusCode, answer)
	}
	s.Wait()
	log := s.Requests()
	if stream {
		text, _ := said(p.way, string(answer))
		return text, log[len(log)-1]
	}
	var whole map[string]any
	if err := json.Unmarshal(answer, &whole); err != nil {
		t.Fatal(err)
	}
	return dig[string](whole, w.whole...), log[len(log)-1]
}

func TestPrefillIsContinued(t *testing.T) {
	t.Parallel()
	const text = "Because of  Rayleigh\u3000scattering. 🌊"
	tests := []struct {
		name    string
		prefill string
		reply   holdfasttest.Reply
		want    string
	}{
		{"half", "Because of", holdfasttest.Reply{Text: text}, "  Rayleigh\u3000scattering. 🌊"},
		{"in a word", "Because of  Ray", holdfasttest.Reply{Text: text}, "leigh\u3000scattering. 🌊"},
		{"wide space stripped", "Because of  Rayleigh", holdfasttest.Reply{Text: text}, "\u3000scattering. 🌊"},
		{"all", text, holdfasttest.Reply{Text: text}, ""},
		{"another text", "Because", holdfasttest.Reply{Text: " of that."}, " of that."},
		{"chunks", "Because of", holdfasttest.Reply{Chunks: []string{"Beca", "", "use of the", "", " sun."}}, " the sun."},
		{"default", "Hello!", holdfasttest.Reply{}, " How can I help you today?"},
		{"echo", "Because of", holdfasttest.Reply{Text: text, EchoPrefill: true}, text},
		{"echo, another text", "Because", holdfasttest.Reply{Text: " of that.", EchoPrefill: true}, "Because of that."},
		{"echo, chunks", "Because", holdfasttest.Reply{Chunks: []string{" of", " that."}, EchoPrefill: true}, "Because of that."},
	}
	for api, p := range prefilled {
		for _, tt := range tests {
			t.Run(api+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				s := holdfasttest.NewServer(ways[p.way].dialect)
				defer s.Close()
				s.Always(tt.reply)
				want, prefill := tt.want, tt.prefill
				if ways[p.way].dialect == holdfasttest.OpenAI { // it is a finished turn
					prefill = ""
					want = tt.reply.Text + strings.Join(tt.reply.Chunks, "")
					if want == "" {
						want = "Hello! How can I help you today?"
					}
				}
				for _, stream := range []bool{false, true} {
					got, log := continueText(t, s, api, tt.prefill, stream)
					if got != want || log.Prefill != prefill {
						t.Errorf("stream %v: got %q behind %q, want %q behind %q", stream, got, log.Prefill, want, prefill)
					}
				}
			})
		}
	}
}

// Only Claude refuses white space at the end.
func TestPrefillWithSpace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ prefill, text, want string }{
		{"one ", "one two", "two"},
		{"one ", "one  two", " two"},
		{"one\n", "one two", " two"},
		{"one \n", "one", ""},
		{" ", "one", "one"},
		{" ", " one", "one"},
		{"one\u3000", "one\u2003two", "\u2003two"},
	} {
		for _, api := range []string{"local", "gemini"} {
			s := holdfasttest.NewServer(ways[prefilled[api].way].dialect)
			defer s.Close()
			s.Always(holdfasttest.Reply{Text: tt.text})
			if got, _ := continueText(t, s, api, tt.prefill, true); got != tt.want {
				t.Errorf("%s, %q behind %q: got %q, want %q", api, tt.text, tt.prefill, got, tt.want)
			}
		}
	}
}

func TestLocalPrefills(t *testing.T) {
	t.Parallel()
	const calls = `{"role":"assistant","content":"a","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	for _, tt := range []struct {
		name, more, last string
		prefill          string
		refused          string
	}{
		{"the last of two", "", `{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}`, "b", ""},
		{"calls", "", calls, "", ""},
		{"user last", `"continue_final_message":true,`, `{"role":"user","content":"Hi"}`, "", ""},
		{"both flags", `"continue_final_message":true,"add_generation_prompt":true,`, `{"role":"assistant","content":"a"}`, "", "Cannot set both"},
		{"thinking", `"chat_template_kwargs":{"enable_thinking":true},`, `{"role":"assistant","content":"a"}`, "", "incompatible with enable_thinking"},
		{"no thinking", `"chat_template_kwargs":{"enable_thinking":false},`, `{"role":"assistant","content":"a"}`, "a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := holdfasttest.NewServer(holdfasttest.Local)
			defer s.Close()
			decode(t, s.Client(), holdfasttest.Local, s.URL+"/v1/chat/completions",
				`{"model":"m",`+tt.more+`"messages":[{"role":"user","content":"Hi"},`+tt.last+`]}`)
			if got := s.Requests()[0]; got.Prefill != tt.prefill || !strings.Contains(got.Refused, tt.refused) || (got.Refused == "") != (tt.refused == "") {
				t.Errorf("got prefill %q, refused %q, want %q, %q", got.Prefill, got.Refused, tt.prefill, tt.refused)
			}
		})
	}
}

func TestRespond(t *testing.T) {
	t.Parallel()
	s := holdfasttest.NewServer(holdfasttest.Local)
	defer s.Close()
	asked := func(text string) string {
		body := `{"model":"` + text + `","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"It is"}]}`
		return dig[string](decode(t, s.Client(), holdfasttest.Local, s.URL+"/v1/chat/completions", body), ways[2].whole...)
	}
	s.Script(holdfasttest.Reply{Text: "scripted"})
	s.Always(holdfasttest.Reply{Text: "always"})
	var seen []holdfasttest.Request
	s.Respond(func(r holdfasttest.Request) holdfasttest.Reply {
		seen = append(seen, r)
		return holdfasttest.Reply{Text: r.Prefill + " " + r.Model + " of " + string(rune('0'+len(s.Requests())))}
	})
	got := []string{asked("a"), asked("b"), asked("c")}
	s.Respond(nil)
	got = append(got, asked("d"))
	if want := []string{"scripted", " b of 2", " c of 3", "always"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if r := seen[0]; len(seen) != 2 || r.Stream || !strings.Contains(string(r.Body), `"model":"b"`) || r.Header.Get("Content-Type") == "" || r.At.IsZero() || !r.Ended.IsZero() {
		t.Errorf("got %d requests, the first %+v, want what arrived", len(seen), r)
	}
}

func TestRequestsTellTheirTime(t *testing.T) {
	t.Parallel()
	inMemory(func(n *holdfasttest.Network, d holdfasttest.Dialect) *holdfasttest.Server {
		return n.NewServer("provider.test", d)
	})(t, holdfasttest.Claude, func(t *testing.T, s *holdfasttest.Server, c *http.Client) {
		s.Script(holdfasttest.Reply{Text: "a b c", Between: time.Second, BeforeHeaders: time.Second})
		meet(t, c, s, 0, true)
		path, body := question(0, true)
		s.Script(holdfasttest.Reply{Fault: holdfasttest.Stall})
		res, err := ask(t.Context(), c, holdfasttest.Claude, s.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		if running := s.Requests()[1]; !running.Ended.IsZero() {
			t.Errorf("got an end at %v of a stalled answer", running.Ended)
		}
		time.Sleep(5 * time.Second)
		res.Body.Close()
		s.Wait()
		log := s.Requests()
		if whole := log[0]; whole.Ended.Sub(whole.At) != 3*time.Second || !whole.Done || whole.Aborted {
			t.Errorf("got %v, done %v, aborted %v, want 3s to the end", whole.Ended.Sub(whole.At), whole.Done, whole.Aborted)
		}
		if left := log[1]; left.Ended.Sub(left.At) != 5*time.Second || left.Done || !left.Aborted {
			t.Errorf("got %v, done %v, aborted %v, want 5s until the client left", left.Ended.Sub(left.At), left.Done, left.Aborted)
		}
	})
}
