package holdfast_test

import (
	"context"
	"crypto/tls"
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

// house is a client with named endpoints over memory, each with a server of its own.
type house struct {
	network *holdfasttest.Network
	servers map[string]*holdfasttest.Server
	conf    holdfast.Config
	client  *holdfast.Client
}

func newHouse() *house {
	network := holdfasttest.NewNetwork()
	return &house{network: network, servers: map[string]*holdfasttest.Server{}, conf: holdfast.Config{Dial: network.Dial}}
}

// endpoint adds one that answers the replies, the last of them to all further requests.
func (h *house) endpoint(name string, s speaker, replies ...holdfasttest.Reply) *holdfasttest.Server {
	server := h.network.NewServer(name+".test", s.dialect)
	h.add(name, s, server, replies)
	return server
}

func (h *house) add(name string, s speaker, server *holdfasttest.Server, replies []holdfasttest.Reply) {
	if len(replies) > 0 {
		server.Script(replies[:len(replies)-1]...)
		server.Always(replies[len(replies)-1])
	}
	h.servers[name] = server
	h.conf.Endpoints = append(h.conf.Endpoints, holdfast.Endpoint{
		Name: name, Provider: s.provider, URL: server.URL + s.path, Proxy: "direct", KeySource: holdfast.Literal("key-of-" + name),
		Models: map[string]string{"default": s.model},
	})
}

func (h *house) open(t *testing.T) *holdfast.Client {
	t.Helper()
	h.client = newClient(t, h.conf)
	return h.client
}

// close ends everything, so that the bubble shows whatever was left behind.
func (h *house) close() {
	_ = h.client.Close()
	for _, s := range h.servers {
		s.Close()
	}
	h.network.Close()
}

func speakerOf(name string) speaker {
	i := slices.IndexFunc(tableSpeakers, func(s tableSpeaker) bool { return s.name == name })
	return tableSpeakers[i].speaker
}

// read reads a stream and returns its text since the last reset, its types of event, its answer and its error.
func read(stream func(func(holdfast.Event, error) bool)) (text string, types []holdfast.EventType, answer *holdfast.ChatResponse, err error) {
	for event, e := range stream {
		if e != nil {
			return text, types, nil, e
		}
		if event.Type == holdfast.EventReset {
			text = ""
		}
		text += event.Text()
		types = append(types, event.Type)
		answer = event.Response
	}
	return text, types, answer, nil
}

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

// pieces cuts a text behind every n bytes, or a little later where a character ends.
func pieces(text string, n int) (list []string) {
	from := 0
	for i := range text {
		if i-from >= n {
			list, from = append(list, text[from:i]), i
		}
	}
	return append(list, text[from:])
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

// The winner's rival is cancelled at once, and what it cost is known.
func TestLoserIsCancelled(t *testing.T) {
	t.Parallel()
	for _, s := range speakers {
		for _, tls := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/tls=%v", s.name, tls), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := newHouse()
					defer h.close()
					h.serve(tls, "a", s, holdfasttest.Reply{Text: blue, BeforeFirst: time.Hour})
					h.serve(tls, "b", s, holdfasttest.Reply{Text: blue, BeforeFirst: time.Second, Between: 100 * time.Millisecond})
					begun := time.Now()
					var first time.Time
					for event, err := range h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why is the sky blue?")}) {
						if err != nil {
							t.Fatal(err)
						}
						if first.IsZero() && event.Text() != "" {
							first = time.Now()
						}
						if event.Type == holdfast.EventEnd {
							a := event.Response.Trail.Attempts
							if len(a) != 2 || a[0].Kind != holdfast.KindLost || a[1].Kind != "" || a[0].Usage.Exact || !a[0].Sent {
								t.Errorf("got %s, want a loser and an answer", event.Response.Trail)
							}
						}
					}
					lost := h.servers["a"].Requests()[0]
					h.servers["a"].Wait()
					if lost = h.servers["a"].Requests()[0]; !lost.Aborted || lost.Ended.Sub(first) > 20*time.Millisecond {
						t.Errorf("the loser's request ended %v after the winner's first content, aborted %v", lost.Ended.Sub(first), lost.Aborted)
					}
					if at := first.Sub(begun).Round(100 * time.Millisecond); at != 3500*time.Millisecond {
						t.Errorf("the first content came after %v, want the hedge point of 2.5 s and a second", at)
					}
				})
			})
		}
	}
}

// serve adds an endpoint with or without TLS and HTTP/2.
func (h *house) serve(secure bool, name string, s speaker, replies ...holdfasttest.Reply) {
	if !secure {
		h.endpoint(name, s, replies...)
		return
	}
	h.conf.TLS = &tls.Config{RootCAs: h.network.CA(), MinVersion: tls.VersionTLS12}
	h.add(name, s, h.network.NewTLSServer(name+".test", s.dialect), replies)
}

// Each clock ends the step that it is for, to the moment, over HTTP/1.1 and over TLS and HTTP/2, and signs of life hold none of them up.
func TestClocks(t *testing.T) {
	t.Parallel()
	limits := holdfast.Timeouts{Headers: 3 * time.Second, FirstContent: 5 * time.Second, BetweenContent: 7 * time.Second, Total: 20 * time.Second}
	for name, c := range map[string]struct {
		reply holdfasttest.Reply
		kind  holdfast.Kind
		took  time.Duration
		text  bool // some of it was shown
	}{
		"headers":                {holdfasttest.Reply{BeforeHeaders: time.Hour}, holdfast.KindHeaderTimeout, 3 * time.Second, false},
		"first content":          {holdfasttest.Reply{BeforeFirst: time.Hour}, holdfast.KindStalled, 5 * time.Second, false},
		"first content, late":    {holdfasttest.Reply{BeforeHeaders: 2 * time.Second, BeforeFirst: time.Hour}, holdfast.KindStalled, 5 * time.Second, false},
		"first content, pings":   {holdfasttest.Reply{BeforeFirst: time.Hour, KeepAlive: time.Second}, holdfast.KindStalled, 5 * time.Second, false},
		"between content":        {holdfasttest.Reply{Fault: holdfasttest.Stall, After: 2}, holdfast.KindStalled, 7 * time.Second, true},
		"between content, pings": {holdfasttest.Reply{Fault: holdfasttest.KeepAlivesOnly, After: 2, KeepAlive: time.Second}, holdfast.KindStalled, 7 * time.Second, true},
		"total":                  {holdfasttest.Reply{Between: 6 * time.Second}, holdfast.KindAttemptTimeout, 20 * time.Second, true},
	} {
		for _, s := range speakers {
			for _, secure := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/tls=%v", name, s.name, secure), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						h := newHouse()
						defer h.close()
						reply := c.reply
						reply.Text = blue
						h.serve(secure, "a", s, reply)
						h.conf.Timeouts = holdfast.Timeouts{Headers: time.Hour, FirstContent: time.Hour, BetweenContent: time.Hour}
						h.conf.Endpoints[0].Timeouts = limits // an endpoint's own come first
						h.conf.Retry.MaxAttempts = 1
						begun := time.Now()
						text, _, _, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
						var e *holdfast.Error
						if !errors.As(err, &e) || e.Kind != c.kind || (text != "") != c.text || (e.Partial != nil) != c.text {
							t.Errorf("got %q, %v, want %s", text, err, c.kind)
						}
						if took := time.Since(begun); took < c.took || took > c.took+50*time.Millisecond {
							t.Errorf("it took %v, want %v", took, c.took)
						}
					})
				})
			}
		}
	}
}

// A reader that takes its time stops no stream: only the provider's silence is measured.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{Text: sixty, Between: 100 * time.Millisecond})
		h.conf.Timeouts = holdfast.Timeouts{FirstContent: time.Second, BetweenContent: time.Second}
		h.conf.Timeout = time.Hour
		text := ""
		for event, err := range h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}) {
			if err != nil {
				t.Fatal(err)
			}
			text += event.Text()
			time.Sleep(20 * time.Second)
		}
		if text != sixty {
			t.Errorf("got %q, want all of it", text)
		}
	})
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

// An endpoint that is down for a minute is asked again by the next calls, and serves them when it is back.
func TestDownForAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		begun := time.Now()
		a := h.endpoint("a", speakerOf("claude"))
		a.Respond(func(r holdfasttest.Request) holdfasttest.Reply {
			if r.At.Sub(begun) < time.Minute {
				return holdfasttest.Reply{Error: holdfasttest.Overloaded}
			}
			return holdfasttest.Reply{}
		})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{})
		h.open(t)
		var by []string
		for range 5 {
			_, _, answer, err := read(h.client.Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
			if err != nil {
				t.Fatal(err)
			}
			by = append(by, answer.Endpoint)
			time.Sleep(20 * time.Second)
		}
		if got := strings.Join(by, " "); got != "b b b a a" {
			t.Errorf("answered by %s, want b for a minute and then a", got)
		}
	})
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

// What an adapter panics with in a reserve reaches the caller's goroutine, where it can be recovered.
func TestReservePanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{plays: map[string][]play{"a": {hangs}, "b": {func(*http.Request) (*http.Response, error) { panic("of b") }}}}
		client := s.client(t, holdfast.Config{}, "a", "b")
		defer func() {
			if got := recover(); got != "of b" {
				t.Errorf("recovered %v, want what the transport panicked with", got)
			}
		}()
		_, err := client.Chat(t.Context(), hello)
		t.Errorf("got %v, want a panic", err)
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

// A reserve that cannot carry the request is passed over, and the attempt that is late is waited for.
func TestReserveCannotCarry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		h.endpoint("a", speakerOf("claude+prefill"), holdfasttest.Reply{Text: sixty, BeforeFirst: 10 * time.Second})
		b := h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{})
		text, _, answer, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?"), TopK: 5}))
		if err != nil || text != sixty || len(b.Requests()) != 0 {
			t.Fatalf("got %q, %v, want the answer that was late", text, err)
		}
		if skipped := answer.Trail.Skipped; len(skipped) != 1 || !strings.Contains(skipped[0].Why, "top_k") {
			t.Errorf("got %v, want why b was passed over", skipped)
		}
	})
}

// A reserve that came second, and whose transport is slow to notice, has no part in what goes on when the answer breaks off.
func TestLateLoser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		s := speakerOf("claude+prefill")
		h.endpoint("a", s, holdfasttest.Reply{Text: sixty, BeforeFirst: 400 * time.Millisecond, Fault: holdfasttest.CutRST, After: 3})
		h.endpoint("b", s, holdfasttest.Reply{Text: sixty})
		h.endpoint("c", s, holdfasttest.Reply{Text: sixty, BeforeFirst: 600 * time.Millisecond})
		h.conf.Timeouts.Hedge = 300 * time.Millisecond
		h.conf.WrapTransport = func(name string, base http.RoundTripper) http.RoundTripper {
			if name != "b" {
				return base
			}
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				time.Sleep(300 * time.Millisecond)
				return base.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
			})
		}
		text, _, answer, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
		if err != nil || text != sixty || answer.Text() != sixty {
			t.Errorf("got %q, %v, want it once", text, err)
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

// An endpoint that falls silent does not teach that reserves may come ever later.
func TestSilenceDoesNotPutOffReserves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		defer h.close()
		h.endpoint("a", speakerOf("claude"), holdfasttest.Reply{BeforeHeaders: time.Hour})
		h.endpoint("b", speakerOf("claude"), holdfasttest.Reply{Text: sixty})
		h.open(t)
		for call := range 20 {
			begun := time.Now()
			if _, _, _, err := read(h.client.Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")})); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took > 30*time.Second {
				t.Errorf("call %d took %v, want the reserve's answer soon", call, took)
			}
		}
	})
}

// finishing is a server that says why it stopped with every piece, and takes its time between them.
func finishing(form string, pieces []string, between time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, p := range pieces {
			fmt.Fprintf(w, form, p)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(between)
		}
	})
}

// A stop reason that comes with content proves nothing: more content may follow.
func TestStopReasonWithEveryPiece(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]string{
		"local":          `data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":"stop"}]}` + "\n\n",
		"gemini+prefill": `data: {"candidates":[{"content":{"role":"model","parts":[{"text":"%s"}]},"finishReason":"STOP"}]}` + "\n\n",
	} {
		for _, between := range []time.Duration{300 * time.Millisecond, 3 * time.Second} {
			t.Run(fmt.Sprintf("%s/%s", name, between), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := newHouse()
					defer h.close()
					s := speakerOf(name)
					h.conf.Endpoints = []holdfast.Endpoint{{
						Name: "a", Provider: s.provider, URL: h.network.Serve("a.test", finishing(form, strings.SplitAfter(sixty, " "), between)) + s.path,
						Proxy: "direct", KeySource: holdfast.Literal("k"), Models: map[string]string{"default": s.model},
					}}
					text, _, _, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
					if err != nil || text != sixty {
						t.Errorf("got %q, %v, want all of it", text, err)
					}
				})
			})
		}
	}
}

// An answer that was whole stays so, whichever clock ends the wait for the end of its stream.
func TestWholeAnswerStaysWhole(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*holdfast.Config){
		"the attempt's": func(c *holdfast.Config) { c.Timeouts.Total = 500 * time.Millisecond },
		"the call's":    func(c *holdfast.Config) { c.Timeout = 500 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				defer h.close()
				h.endpoint("a", speakerOf("local+prefill"), holdfasttest.Reply{Text: sixty, Fault: holdfasttest.StayOpen}, holdfasttest.Reply{Text: sixty + " More."})
				change(&h.conf)
				text, _, answer, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
				if err != nil || text != sixty || len(answer.Trail.Attempts) != 1 {
					t.Errorf("got %q, %v, want the answer as it was", text, err)
				}
			})
		})
	}
}

// A model that thinks unseen in the middle of its answer is waited for.
func TestUnseenThinkingInTheMiddle(t *testing.T) {
	t.Parallel()
	claude := []string{
		`event: message_start` + "\n" + `data: {"type":"message_start","message":{"id":"m","model":"x","content":[],"usage":{}}}`,
		`data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Let me see. "}}`,
		`data: {"type":"content_block_stop","index":0}`,
		`data: {"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
		"",
		`data: {"type":"content_block_delta","index":1,"delta":{"type":"signature_delta","signature":"c2ln"}}`,
		`data: {"type":"content_block_stop","index":1}`,
		`data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}`,
		`data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Blue."}}`,
		`data: {"type":"content_block_stop","index":2}`,
		`data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}`,
		`data: {"type":"message_stop"}`,
	}
	responses := []string{
		`data: {"type":"response.created","response":{"id":"r","model":"x"},"sequence_number":0}`,
		`data: {"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"a","content":[]},"sequence_number":1}`,
		`data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Let me see. ","sequence_number":2}`,
		`data: {"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"a","content":[{"type":"output_text","text":"Let me see. "}]},"sequence_number":3}`,
		`data: {"type":"response.output_item.added","output_index":1,"item":{"type":"reasoning","id":"b","summary":[]},"sequence_number":4}`,
		"",
		`data: {"type":"response.output_item.done","output_index":1,"item":{"type":"reasoning","id":"b","summary":[],"encrypted_content":"x"},"sequence_number":5}`,
		`data: {"type":"response.output_item.added","output_index":2,"item":{"type":"message","id":"c","content":[]},"sequence_number":6}`,
		`data: {"type":"response.output_text.delta","output_index":2,"content_index":0,"delta":"Blue.","sequence_number":7}`,
		`data: {"type":"response.output_item.done","output_index":2,"item":{"type":"message","id":"c","content":[{"type":"output_text","text":"Blue."}]},"sequence_number":8}`,
		`data: {"type":"response.completed","response":{"id":"r","model":"x","status":"completed","output":[]},"sequence_number":9}`,
	}
	for name, events := range map[string][]string{"claude": claude, "responses": responses} {
		for thinks, lives := range map[time.Duration]bool{40 * time.Second: true, 2 * time.Minute: false} {
			t.Run(fmt.Sprintf("%s/%s", name, thinks), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := newHouse()
					defer h.close()
					s := speakerOf(name)
					url := h.network.Serve("a.test", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", "text/event-stream")
						for _, e := range events {
							if e == "" {
								select {
								case <-time.After(thinks):
								case <-r.Context().Done():
								}
							}
							fmt.Fprint(w, e+"\n\n")
							_ = http.NewResponseController(w).Flush()
						}
					}))
					h.conf.Endpoints = []holdfast.Endpoint{{
						Name: "a", Provider: s.provider, URL: url + s.path, Proxy: "direct", KeySource: holdfast.Literal("k"), Models: map[string]string{"default": s.model},
					}}
					text, _, _, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
					if (err == nil) != lives || (lives && text != "Let me see. Blue.") {
						t.Errorf("got %q, %v, want it to live: %v", text, err, lives)
					}
				})
			})
		}
	}
}

// What ends a call ends it at once and is what the caller hears, whatever a reserve does meanwhile.
func TestFinalFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b  holdfasttest.Reply
		kind  holdfast.Kind
		asked string
		took  time.Duration
	}{
		"the first is final, the reserve hangs": {
			holdfasttest.Reply{Error: holdfasttest.BadRequest, BeforeHeaders: 5 * time.Second}, holdfasttest.Reply{BeforeHeaders: time.Hour},
			holdfast.KindInvalid, "a invalid request, b came second", 5 * time.Second,
		},
		"the first is final, the reserve failed": {
			holdfasttest.Reply{Error: holdfasttest.BadRequest, BeforeHeaders: 5 * time.Second}, holdfasttest.Reply{Error: holdfasttest.ServerError, BeforeHeaders: time.Second},
			holdfast.KindInvalid, "a invalid request, b server error", 5 * time.Second,
		},
		"the reserve is final": {
			holdfasttest.Reply{Error: holdfasttest.ServerError, BeforeHeaders: 5 * time.Second}, holdfasttest.Reply{Error: holdfasttest.BadRequest},
			holdfast.KindInvalid, "a server error, b invalid request", 5 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse()
				defer h.close()
				s := speakerOf("claude")
				h.endpoint("a", s, c.a)
				h.endpoint("b", s, c.b)
				other := h.endpoint("c", s, holdfasttest.Reply{Text: sixty})
				h.conf.Endpoints[2].Tier = 1
				begun := time.Now()
				_, _, _, err := read(h.open(t).Stream(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Why?")}))
				var e *holdfast.Error
				if !errors.As(err, &e) || e.Kind != c.kind || trailInWords(e.Trail) != c.asked || len(other.Requests()) != 0 {
					t.Errorf("got %v, want %s: %s", err, c.kind, c.asked)
				}
				if took := time.Since(begun); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
			})
		})
	}
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
