package holdfast_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

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
		"first content, pings":   {holdfasttest.Reply{BeforeFirst: time.Hour, KeepAlive: 700 * time.Millisecond}, holdfast.KindStalled, 5 * time.Second, false},
		"between content":        {holdfasttest.Reply{Fault: holdfasttest.Stall, After: 2}, holdfast.KindStalled, 7 * time.Second, true},
		"between content, pings": {holdfasttest.Reply{Fault: holdfasttest.KeepAlivesOnly, After: 2, KeepAlive: 700 * time.Millisecond}, holdfast.KindStalled, 7 * time.Second, true},
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
