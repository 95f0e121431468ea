package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// A model that is asked in words to go on says again what it likes of the end; none of it is shown twice.
func TestContinuationInATurn(t *testing.T) {
	t.Parallel()
	said, rest := sixty[:300], sixty[300:]
	for name, c := range map[string]struct{ answers, want string }{
		"nothing repeated":             {rest, sixty},
		"the last words repeated":      {said[len(said)-40:] + rest, sixty},
		"an ellipsis before":           {"… " + said[len(said)-40:] + rest, sixty},
		"more than was quoted":         {said[len(said)-250:] + rest, sixty},
		"another ending":               {"and so on.", said + "and so on."},
		"nothing to add":               {said[len(said)-40:], said},
		"another tail, by coincidence": {"rock." + rest, said + "rock." + rest},
	} {
		for _, s := range []speaker{speakerOf("claude"), speakerOf("responses"), speakerOf("gemini"), speakerOf("local")} {
			t.Run(name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := newHouse()
					defer h.close()
					h.endpoint("a", s, holdfasttest.Reply{Chunks: []string{said[:100], said[100:], "never sent"}, Fault: holdfasttest.CutRST, After: 2})
					b := h.endpoint("b", s, holdfasttest.Reply{Chunks: pieces(c.answers, 7), Thinking: "They want me to go on."})
					req := &holdfast.ChatRequest{Messages: holdfast.Ask("What grips the rock?"), Rescue: holdfast.RescueContinue}
					text, types, answer, err := read(h.open(t).Stream(t.Context(), req))
					if err != nil || text != c.want || answer.Text() != c.want {
						t.Errorf("got %q, kept %v, %v; want %q", text, answer, err, c.want)
					}
					if !slices.Contains(types, holdfast.EventHop) || slices.Contains(types, holdfast.EventReset) {
						t.Errorf("got the events %v, want a hop and no reset", types)
					}
					if n := len(answer.Message.Parts); n != 1 {
						t.Errorf("got %d parts, want the one text", n)
					}
					asked := string(b.Requests()[0].Body)
					if !strings.Contains(asked, "interrupted") || !strings.Contains(asked, "grips:1") {
						t.Errorf("the model was asked %s, want what it had said and to go on", asked)
					}
				})
			})
		}
	}
}

// White space at the end of what was shown is stripped before a prefill is sent, and comes again with what follows. However the
// text was cut, the caller sees it once.
func TestPrefillSeam(t *testing.T) {
	t.Parallel()
	text := "Items:\n\n  - one,  two\n\n\tthree\n"
	for _, name := range []string{"claude+prefill", "gemini+prefill", "local+prefill", "mistral", "deepseek", "vllm", "qwen"} {
		s := speakerOf("local+prefill")
		if i := slices.IndexFunc(tableSpeakers, func(s tableSpeaker) bool { return s.name == name }); i >= 0 {
			s = tableSpeakers[i].speaker
		} else {
			s.name, s.provider = name, name
			if name == "deepseek" {
				s.path = ""
			}
		}
		for cut := 1; cut < len(text); cut++ {
			t.Run(fmt.Sprintf("%s/%d", name, cut), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := newHouse()
					defer h.close()
					whole := holdfasttest.Reply{Chunks: []string{text[:cut], text[cut:]}}
					broken := whole
					broken.Fault, broken.After = holdfasttest.CutFIN, 1
					h.endpoint("a", s, broken)
					whole.EchoPrefill = name == "mistral"
					h.endpoint("b", s, whole)
					got, _, answer, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("List them.")}))
					if err != nil || got != text || answer.Text() != text {
						t.Errorf("got %q, kept %v, %v; want %q", got, answer, err, text)
					}
				})
			})
		}
	}
}

// The bytes of a character that was cut off are not shown; what goes on says the character whole.
func TestCutInsideACharacter(t *testing.T) {
	t.Parallel()
	half := "Bl\xc3"
	for name, body := range map[string]string{
		"claude+prefill": "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"x\",\"content\":[],\"usage\":{}}}\n\n" +
			"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" +
			"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"" + half + "\"}}\n\n",
		"gemini+prefill": "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"" + half + "\"}]}}]}\n\n",
		"local+prefill":  "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" + half + "\"}}]}\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				defer h.close()
				h.endpoint("a", speakerOf(name), holdfasttest.Reply{Body: body})
				b := h.endpoint("b", speakerOf(name), holdfasttest.Reply{Text: "Blåst"})
				text, _, _, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("What grips the rock?")}))
				if err != nil || text != "Blåst" {
					t.Errorf("got %q, %v, want it whole", text, err)
				}
				if got := b.Requests()[0].Prefill; got != "Bl" {
					t.Errorf("the prefill was %q, want what was shown", got)
				}
			})
		})
	}
}

// A provider that ends its answer to be asked for the rest is asked for it, and one that was cut off between two of its marks says
// what was shown since the last one again, which is not shown twice. Without a stream it works alike.
func TestProviderResumes(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		t.Run("Gemini pauses/"+string(w), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				defer h.close()
				a := h.endpoint("a", speakerOf("gemini+resume"), holdfasttest.Reply{Text: sixty, PauseAfter: 25})
				p := &pair{client: h.open(t)}
				text, answer, err := p.ask(t, w)
				if w == unary { // without a stream nothing says from where to go on: the caller has the token
					if err != nil || answer.Stop.Reason != holdfast.StopResumable {
						t.Errorf("got %v, %v, want the reason to go on", answer, err)
					}
					return
				}
				if err != nil || text != sixty || answer.Text() != sixty || len(a.Requests()) != 3 {
					t.Fatalf("got %q after %d requests, %v, want all of it after 3: %v %s", text, len(a.Requests()), err, answer.Stop, answer.Extra)
				}
				if out := answer.Trail.Attempts; answer.Usage.Output != out[0].Usage.Output+out[1].Usage.Output+out[2].Usage.Output || !answer.Usage.Exact {
					t.Errorf("got %+v, want the exact sum of the three", answer.Usage)
				}
			})
		})
	}
	t.Run("OpenAI in the background", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := newHouse()
			defer h.close()
			a := h.endpoint("a", speakerOf("responses"), holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutRST, After: 33}, holdfasttest.Reply{})
			req := &holdfast.ChatRequest{
				Messages: holdfast.Ask("What grips the rock?"), Extra: holdfast.Extra{"openai": json.RawMessage(`{"background":true,"store":true}`)},
			}
			text, types, _, err := read(h.open(t).Stream(t.Context(), req))
			if err != nil || text != sixty || !slices.Contains(types, holdfast.EventHop) {
				t.Errorf("got %q, %v after %v, want all of it with a hop", text, err, types)
			}
			log := a.Requests()
			if len(log) != 2 || log[1].Method != http.MethodGet || len(log[1].Body) != 0 {
				t.Errorf("got %d requests, the last a %s, want a GET without a body", len(log), log[len(log)-1].Method)
			}
		})
	})
}

// What each hop cost stands in the Trail: exact where the provider counted, estimated where it had not.
func TestUsageOfHops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		s := speakerOf("claude+prefill")
		h.endpoint("a", s, holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutRST, After: 40})
		h.endpoint("b", s, holdfasttest.Reply{Text: sixty})
		req := &holdfast.ChatRequest{Messages: holdfast.Ask("What grips the rock?"), MaxOutputTokens: 2000}
		_, _, answer, err := read(h.open(t).Stream(t.Context(), req))
		if err != nil {
			t.Fatal(err)
		}
		first, second := answer.Trail.Attempts[0].Usage, answer.Trail.Attempts[1].Usage
		if !first.Estimated || first.Exact || first.Input == 0 || first.Output < 40 {
			t.Errorf("got %+v of the hop that was cut, want an estimate of what it wrote", first)
		}
		if !second.Exact || second.Estimated {
			t.Errorf("got %+v of the hop that ended, want its exact count", second)
		}
		if u := answer.Usage; u.Exact || !u.Estimated || u.Input != first.Input+second.Input || u.Output != first.Output+second.Output {
			t.Errorf("got %+v, want the sum of both", u)
		}
		var sent struct {
			MaxTokens int `json:"max_tokens"`
		}
		if err := json.Unmarshal(h.servers["b"].Requests()[0].Body, &sent); err != nil || sent.MaxTokens != 2000-first.Output {
			t.Errorf("the rest was bounded to %d tokens, want what was left of 2000: %d", sent.MaxTokens, 2000-first.Output)
		}
	})
}

// A stream has one start, its blocks never go back, and each hop says where it comes from.
func TestEventsOfHops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		broken, refused := holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutRST, After: 15}, holdfasttest.Reply{Error: holdfasttest.BadRequest}
		h.endpoint("a", speakerOf("claude+prefill"), broken, broken, refused)
		h.endpoint("b", speakerOf("gemini+prefill"), broken, refused)
		h.endpoint("c", speakerOf("responses"), holdfasttest.Reply{Text: sixty})
		req := &holdfast.ChatRequest{Messages: holdfast.Ask("What grips the rock?"), Rescue: holdfast.RescueReset}
		var story []string
		last := 0
		for event, err := range h.open(t).Stream(t.Context(), req) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Block < last && event.Type >= holdfast.EventText && event.Type <= holdfast.EventBlockEnd {
				t.Errorf("block %d came behind block %d", event.Block, last)
			}
			last = max(last, event.Block)
			if r := event.Response; r != nil {
				story = append(story, event.Type.String()+" "+r.Endpoint)
			}
		}
		want := "start a, hop b, hop a, reset c, end c"
		if got := strings.Join(story, ", "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// By default the arguments of a tool call are shown when they are whole; who wants to sees them come.
func TestStreamToolArgs(t *testing.T) {
	t.Parallel()
	for _, raw := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse()
			defer h.close()
			h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{ToolCalls: toolCall})
			req := &holdfast.ChatRequest{Messages: holdfast.Ask("The weather?"), StreamToolArgs: raw}
			withTools(req, tableSpeakers[0])
			var args string
			begun := 0
			for event, err := range h.open(t).Stream(t.Context(), req) {
				if err != nil {
					t.Fatal(err)
				}
				switch event.Type {
				case holdfast.EventToolCall:
					begun++
				case holdfast.EventToolArgs:
					args += event.Delta
				case holdfast.EventBlockEnd:
					if call := event.Part.(*holdfast.ToolCall); string(call.Args) != toolCall[0].Args {
						t.Errorf("got the call %s, want %s", call.Args, toolCall[0].Args)
					}
				}
			}
			if (begun == 1 && args == toolCall[0].Args) != raw || (begun == 0 && args == "") == raw {
				t.Errorf("StreamToolArgs %v: got %d beginnings and %q", raw, begun, args)
			}
		})
	}
}

// However a reader leaves, the provider knows at once.
func TestReaderLeaves(t *testing.T) {
	t.Parallel()
	for _, s := range speakers {
		for _, secure := range []bool{false, true} {
			for _, leave := range []string{"break", "cancel"} {
				t.Run(fmt.Sprintf("%s/tls=%v/%s", s.name, secure, leave), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						h := newHouse()
						defer h.close()
						h.serve(secure, "a", s, holdfasttest.Reply{Text: blue, Between: time.Second})
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						for event := range h.open(t).Stream(ctx, &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}) {
							if event.Text() == "" {
								continue
							}
							if leave == "break" {
								break
							}
							cancel()
						}
						left := time.Now()
						h.servers["a"].Wait()
						if r := h.servers["a"].Requests()[0]; !r.Aborted || r.Ended.Sub(left) > 20*time.Millisecond {
							t.Errorf("the provider knew after %v, aborted %v", r.Ended.Sub(left), r.Aborted)
						}
					})
				})
			}
		}
	}
}

// An attempt that rescues an answer and is refused hides nothing of what broke it.
func TestRescueHidesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		s := speakerOf("claude+prefill")
		h.endpoint("a", s, holdfasttest.Reply{Text: sixty, Fault: holdfasttest.ErrorInStream, Error: holdfasttest.Overloaded, After: 10}, holdfasttest.Reply{Error: holdfasttest.BadRequest})
		h.endpoint("b", s, holdfasttest.Reply{Error: holdfasttest.BadKey})
		text, _, _, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
		var e *holdfast.Error
		if !errors.As(err, &e) || e.Kind != holdfast.KindOverloaded || e.Endpoint != "a" || e.Phase != holdfast.PhaseMidStream {
			t.Fatalf("got %v, want what broke the answer", err)
		}
		if e.Partial.Text() != text || text == "" || len(e.Trail.Attempts) != 3 {
			t.Errorf("got %q, partial %q, %s", text, e.Partial.Text(), e.Trail)
		}
	})
}

// A caller who cancels while an answer is being rescued hears of that, and has what there was.
func TestCancelledDuringRescue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		s := speakerOf("claude+prefill")
		h.endpoint("a", s, holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutFIN, After: 10})
		h.endpoint("b", s, holdfasttest.Reply{Text: sixty, BeforeHeaders: time.Hour})
		h.conf.Retry.NoHedge = true
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		text, _, _, err := read(h.open(t).Stream(ctx, &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
		var e *holdfast.Error
		if !errors.As(err, &e) || !errors.Is(err, context.Canceled) || e.Partial.Text() != text || text == "" {
			t.Errorf("got %q, %v", text, err)
		}
		if got := trailInWords(e.Trail); got != "a truncated, b (to continue it as a prefill) canceled" {
			t.Errorf("got the Trail %s", got)
		}
	})
}

// A request whose rescue is misspelled is refused before anything is sent.
func TestUnknownRescue(t *testing.T) {
	t.Parallel()
	s := &stage{plays: map[string][]play{"a": {replies("hi")}}}
	_, err := s.client(t, holdfast.Config{}, "a").Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Hi"), Rescue: "always"})
	var e *holdfast.Error
	if !errors.As(err, &e) || e.Kind != holdfast.KindInvalid || e.Field != "rescue" || len(s.log) != 0 {
		t.Errorf("got %v after %d requests, want the field refused", err, len(s.log))
	}
	_, err = holdfast.New(holdfast.Config{Endpoints: []holdfast.Endpoint{{Name: "a", Provider: "ollama"}}, Retry: holdfast.RetryPolicy{Rescue: "always"}})
	if err == nil || !strings.Contains(err.Error(), "retry.rescue") {
		t.Errorf("got %v, want the field of the configuration named", err)
	}
}

// What an endpoint was sent of the broken answer, and quotes in its refusal to go on with it, is in no error and in no Trail.
func TestRescueQuotesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		s := speakerOf("claude+prefill")
		const secret = "The patient's name is Maija Meikäläinen, born in Turku."
		quote, _ := json.Marshal("messages.1: cannot go on behind " + secret)
		h.endpoint("a", s, holdfasttest.Reply{Chunks: []string{secret, " And more"}, Fault: holdfasttest.CutFIN, After: 1},
			holdfasttest.Reply{Status: 400, Body: `{"type":"error","error":{"type":"invalid_request_error","message":` + string(quote) + `}}`})
		text, _, _, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Who is it?")}))
		var e *holdfast.Error
		if !errors.As(err, &e) || text != secret || len(e.Trail.Attempts) != 2 {
			t.Fatalf("got %q, %v, want a broken answer and one attempt to rescue it", text, err)
		}
		stored, _ := json.Marshal(e)
		for what, printed := range map[string]string{"error": err.Error(), "Trail": e.Trail.String(), "JSON": string(stored)} {
			if strings.Contains(printed, "Maija") || strings.Contains(printed, "Turku") {
				t.Errorf("the %s quotes the answer: %s", what, printed)
			}
		}
	})
}

// A tier is left only when it cannot help: the endpoint that broke off is asked before the one of the next tier, which was not asked yet.
func TestRescueStaysInItsTier(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		h.endpoint("a", speakerOf("claude+prefill"), holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutFIN, After: 10}, holdfasttest.Reply{Text: sixty})
		h.endpoint("b", speakerOf("local+prefill"), holdfasttest.Reply{Text: sixty})
		h.conf.Endpoints[1].Local = true
		text, _, answer, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
		if err != nil || text != sixty || answer.Endpoint != "a" {
			t.Errorf("got %q from %v, %v, want all of it from a", text, answer, err)
		}
	})
}

// A request may ask for the safe way where the configuration allows more.
func TestRescueExactOverridesTheConfig(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutFIN, After: 10}, holdfasttest.Reply{Text: sixty})
		h.conf.Retry.Rescue = holdfast.RescueAll
		_, types, _, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Rescue: holdfast.RescueExact}))
		if !errors.Is(err, holdfast.ErrTruncated) || slices.Contains(types, holdfast.EventReset) {
			t.Errorf("got %v after %v, want the error and no reset", err, types)
		}
	})
}

// Of three hops each is billed for what it wrote.
func TestUsageOfThreeHops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		s := speakerOf("claude+prefill")
		h.endpoint("a", s, holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutRST, After: 30})
		h.endpoint("b", s, holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutRST, After: 10})
		c := h.endpoint("c", s, holdfasttest.Reply{Text: sixty})
		req := &holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), MaxOutputTokens: 2000}
		_, _, answer, err := read(h.open(t).Stream(t.Context(), req))
		if err != nil {
			t.Fatal(err)
		}
		tries := answer.Trail.Attempts
		if one, two := tries[0].Usage.Output, tries[1].Usage.Output; two*2 > one {
			t.Errorf("got %d and %d tokens, want the second hop billed for its ten pieces only", one, two)
		}
		var sent struct {
			MaxTokens int `json:"max_tokens"`
		}
		if err := json.Unmarshal(c.Requests()[0].Body, &sent); err != nil || sent.MaxTokens != 2000-tries[0].Usage.Output-tries[1].Usage.Output {
			t.Errorf("the rest was bounded to %d tokens", sent.MaxTokens)
		}
	})
}

// Half a tool call is not shown, though the answer that stopped in it is whole.
func TestIncompleteCallIsNotShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		cut := []holdfasttest.ToolCall{{Name: "weather", Args: `{"city":"Tur`}}
		h.endpoint("a", speakerOf("local"), holdfasttest.Reply{Text: "Let me look.", ToolCalls: cut, StopReason: holdfasttest.MaxTokens})
		req := &holdfast.ChatRequest{Messages: holdfast.Ask("The weather?")}
		withTools(req, tableSpeakers[0])
		req.Hints = []string{"reasoning"}
		for event, err := range h.open(t).Stream(t.Context(), req) {
			if err != nil {
				t.Fatal(err)
			}
			if call, is := event.Part.(*holdfast.ToolCall); is {
				t.Errorf("the stream showed %+v", call)
			}
			if event.Type == holdfast.EventEnd && (len(event.Response.Message.Parts) != 2 || len(event.Response.ToolCalls()) != 0) {
				t.Errorf("got %+v, want the call marked as incomplete in the answer", event.Response.Message.Parts)
			}
		}
	})
}

// A model that is asked to go on and refuses takes back nothing of what another said.
func TestRefusalToGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		s := speakerOf("claude+prefill")
		h.endpoint("a", s, holdfasttest.Reply{Text: sixty, Fault: holdfasttest.CutFIN, After: 10}, holdfasttest.Reply{Error: holdfasttest.BadRequest})
		h.endpoint("b", s, holdfasttest.Reply{Text: "I would rather", Refusal: "This cannot be continued."})
		text, types, _, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
		var e *holdfast.Error
		if !errors.As(err, &e) || slices.Contains(types, holdfast.EventReset) || !strings.HasPrefix(e.Partial.Text(), text) || text == "" {
			t.Errorf("got %q, %v after %v, want the error and what was shown", text, err, types)
		}
	})
}

// A model that is asked to go on and starts all over repeats nothing, however long the answer was.
func TestRetoldFromTheBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat(sixty+" ", 10)
		h := newHouse()
		defer h.close()
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{Chunks: []string{long[:4000], "never sent"}, Fault: holdfasttest.CutFIN, After: 1})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{Text: long})
		req := &holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), Rescue: holdfast.RescueContinue}
		text, _, _, err := read(h.open(t).Stream(t.Context(), req))
		if err != nil || text != long {
			t.Errorf("got %d bytes, %v, want the %d of the answer once", len(text), err, len(long))
		}
	})
}
