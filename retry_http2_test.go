package holdfast_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/internal/memhttp"
	"github.com/holdfast-ai/holdfast/internal/rawh2"
)

// scripted is a client of two endpoints over memory: of "faulty", whose HTTP/2 is scripted frame by frame, and of "well", which answers.
type scripted struct {
	network memhttp.Network
	server  *rawh2.Server
	client  *holdfast.Client
}

// withScript runs f over a scripted server. What is left running behind it fails the test.
func withScript(t *testing.T, answer func(*rawh2.Stream), change func(*holdfast.Config), f func(*testing.T, *scripted)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		s.server = rawh2.Serve(&s.network, "faulty.test", answer)
		well := s.network.Serve("well.test", answering(`{"reply":"well"}`))
		conf := config(s.server.URL)
		conf.Dial, conf.TLS = s.network.Dial, &tls.Config{RootCAs: s.network.CA(), MinVersion: tls.VersionTLS12}
		conf.Endpoints = append(conf.Endpoints, holdfast.Endpoint{Name: "well", Provider: "acme", URL: well.URL, Price: 4})
		for i := range conf.Endpoints {
			conf.Endpoints[i].Proxy = "direct"
		}
		// The pings are to find it out, before a reserve or the clock does.
		conf.Retry.NoHedge, conf.Timeouts.BetweenContent = true, time.Hour
		if change != nil {
			change(&conf)
		}
		client, err := holdfast.New(conf)
		if err != nil {
			t.Fatal(err)
		}
		s.client = client
		defer func() {
			_ = client.Close()
			s.server.Close()
			s.network.Close()
		}()
		f(t, s)
	})
}

// oneAttempt leaves no endpoint but the scripted one, and no second try.
func oneAttempt(c *holdfast.Config) {
	noOther(c)
	c.Retry.MaxAttempts = 1
}

// noOther leaves no endpoint but the scripted one.
func noOther(c *holdfast.Config) { c.Endpoints = c.Endpoints[:1] }

// ask asks for an answer in one piece, or for a stream. It returns the text that the caller saw.
func (s *scripted) ask(ctx context.Context, stream bool, prompt string) (string, *holdfast.ChatResponse, error) {
	request := &holdfast.ChatRequest{Messages: holdfast.Ask(prompt), MaxOutputTokens: 100}
	if !stream {
		answer, err := s.client.Chat(ctx, request)
		if err != nil {
			return "", nil, err
		}
		return answer.Text(), answer, nil
	}
	var text strings.Builder
	for event, err := range s.client.Stream(ctx, request) {
		if err != nil {
			return text.String(), nil, err
		}
		text.WriteString(event.Text())
		if event.Type == holdfast.EventEnd {
			return text.String(), event.Response, nil
		}
	}
	return text.String(), nil, errors.New("the stream ended without a word")
}

const restOfStream = "data: {\"piece\":\"well.\"}\n\ndata: {\"done\":true,\"tokens\":3}\n\n"

// beginsAnswer begins an answer as a stream or in one piece, as the request asks, and returns how it goes on.
func beginsAnswer(s *rawh2.Stream) (rest string) {
	if strings.Contains(s.Body(), `"stream":true`) {
		s.Head(200, "text/event-stream")
		s.Send("data: {\"piece\":\"All \"}\n\n")
		return restOfStream
	}
	s.Head(200, "application/json")
	s.Send(`{"reply":"All `)
	return `well."}`
}

// answersWhole answers "All well."
func answersWhole(s *rawh2.Stream) {
	s.Send(beginsAnswer(s))
	s.End()
}

func sendsReset(code rawh2.Code) func(*rawh2.Stream) {
	return func(s *rawh2.Stream) { s.Reset(code) }
}

func sendsGoAway(last uint32, code rawh2.Code) func(*rawh2.Stream) {
	return func(s *rawh2.Stream) { s.Conn.GoAway(last, code) }
}

// inTurn plays one fault behind another.
func inTurn(faults ...func(*rawh2.Stream)) func(*rawh2.Stream) {
	return func(s *rawh2.Stream) {
		for _, f := range faults {
			f(s)
		}
	}
}

func closesConn(s *rawh2.Stream) { s.Conn.Close() }

// http2Faults are the ways in which HTTP/2 itself refuses a request or loses it, and what each means before the answer's headers.
var http2Faults = []struct {
	name  string
	fault func(*rawh2.Stream)
	kind  holdfast.Kind
	// dead says that the connection takes no further request.
	dead bool
}{
	{"REFUSED_STREAM", sendsReset(rawh2.RefusedStream), holdfast.KindReset, false},
	{"INTERNAL_ERROR", sendsReset(rawh2.InternalError), holdfast.KindReset, false},
	{"CANCEL", sendsReset(rawh2.Cancel), holdfast.KindReset, false},
	{"NO_ERROR", sendsReset(rawh2.NoError), holdfast.KindReset, false},
	{"PROTOCOL_ERROR", sendsReset(rawh2.ProtocolError), holdfast.KindReset, true}, // net/http trusts such a connection no more
	{"HTTP_1_1_REQUIRED", sendsReset(rawh2.HTTP11Required), holdfast.KindReset, false},
	{"ENHANCE_YOUR_CALM", sendsReset(rawh2.EnhanceYourCalm), holdfast.KindRateLimit, false},
	{"GOAWAY before the stream", sendsGoAway(0, rawh2.NoError), holdfast.KindReset, true},
	{"GOAWAY before the stream, with an error", sendsGoAway(0, rawh2.InternalError), holdfast.KindReset, true},
	{"GOAWAY before the stream, to be calm", sendsGoAway(0, rawh2.EnhanceYourCalm), holdfast.KindRateLimit, true},
	{"GOAWAY and the end", inTurn(sendsGoAway(99, rawh2.NoError), closesConn), holdfast.KindReset, true},
	{"GOAWAY with an error and the end", inTurn(sendsGoAway(99, rawh2.ProtocolError), closesConn), holdfast.KindReset, true},
	{"the connection ends", closesConn, holdfast.KindReset, true},
	{"the connection breaks", func(s *rawh2.Stream) { s.Conn.Break() }, holdfast.KindReset, true},
}

// Each fault is one attempt in the Trail and one stream on the wire: net/http repeats none of them behind our back, though it would wait
// for seconds to do so. The other endpoint answers at once.
func TestHTTP2BeforeHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range http2Faults {
		for _, early := range []bool{false, true} { // before the request's body was read
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/early=%v/stream=%v", c.name, early, stream), func(t *testing.T) {
					t.Parallel()
					fault := func(s *rawh2.Stream) {
						if !early {
							s.Body()
						}
						c.fault(s)
					}
					withScript(t, fault, nil, func(t *testing.T, s *scripted) {
						begun := time.Now()
						text, answer, err := s.ask(t.Context(), stream, "Hi")
						if err != nil {
							t.Fatal(err)
						}
						if took := time.Since(begun); text != "well" || took != 0 {
							t.Errorf("got %q after %v, want the other endpoint's answer at once", text, took)
						}
						first := answer.Trail.Attempts[0]
						if first.Endpoint != "faulty" || first.Kind != c.kind || !first.Sent {
							t.Errorf("got %q (%s), sent %v; want %q, sent", first.Kind, first.Error, first.Sent, c.kind)
						}
						if n := len(s.server.Streams()); n != 1 || len(answer.Trail.Attempts) != 2 {
							t.Errorf("got %d streams and %d attempts, want 1 of the faulty endpoint and 2 in all", n, len(answer.Trail.Attempts))
						}
					})
				})
			}
		}
	}
}

// At the last endpoint the same faults are repeated in place: as a new stream, on a new connection if need be, and after our own wait
// only.
func TestHTTP2Repeat(t *testing.T) {
	t.Parallel()
	for _, c := range http2Faults {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stream=%v", c.name, stream), func(t *testing.T) {
				t.Parallel()
				var once sync.Once
				answer := func(s *rawh2.Stream) {
					fault := answersWhole
					once.Do(func() { fault = c.fault })
					fault(s)
				}
				withScript(t, answer, noOther, func(t *testing.T, s *scripted) {
					begun := time.Now()
					text, answer, err := s.ask(t.Context(), stream, "Hi")
					if err != nil {
						t.Fatal(err)
					}
					most := 500 * time.Millisecond
					if answer.Trail.Attempts[0].Kind == holdfast.KindRateLimit {
						most = 1100 * time.Millisecond
					}
					if took := time.Since(begun); text != "All well." || took < 375*time.Millisecond || took > most {
						t.Errorf("got %q after %v, want the answer after one backoff", text, took)
					}
					conns, streams := len(s.server.Conns()), len(s.server.Streams())
					if want := map[bool]int{false: 1, true: 2}[c.dead]; conns != want || streams != 2 || len(answer.Trail.Attempts) != 2 {
						t.Errorf("got %d streams on %d connections in %d attempts, want 2 on %d in 2", streams, conns, len(answer.Trail.Attempts), want)
					}
				})
			})
		}
	}
}

// A server that refuses every stream sees as many as the Trail has attempts, and costs no more than the waits between them.
func TestHTTP2RefusesAll(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		withScript(t, sendsReset(rawh2.RefusedStream), noOther, func(t *testing.T, s *scripted) {
			begun := time.Now()
			_, _, err := s.ask(t.Context(), stream, "Hi")
			var e *holdfast.Error
			if !errors.As(err, &e) || e.Kind != holdfast.KindReset || e.Phase != holdfast.PhaseHeaders {
				t.Fatalf("got %v, want a reset before the headers", err)
			}
			took := time.Since(begun)
			if n := len(s.server.Streams()); n != 3 || len(e.Trail.Attempts) != n || took > 1500*time.Millisecond {
				t.Errorf("got %d streams, %d attempts and %v, want 3 and at most 1.5s", n, len(e.Trail.Attempts), took)
			}
		})
	}
}

// A connection that is told to go away finishes what it began, and the next call opens another.
func TestHTTP2GoAwayInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		answer := func(s *rawh2.Stream) {
			rest := beginsAnswer(s)
			s.Conn.GoAway(s.ID, rawh2.NoError)
			time.Sleep(time.Second)
			s.Send(rest)
			s.End()
		}
		withScript(t, answer, oneAttempt, func(t *testing.T, s *scripted) {
			for i := range 3 {
				text, answer, err := s.ask(t.Context(), stream, "Hi")
				if err != nil || text != "All well." || len(answer.Trail.Attempts) != 1 {
					t.Errorf("call %d: got %q, %v, want the whole answer at the first attempt", i, text, err)
				}
				if n := len(s.server.Conns()); n != i+1 {
					t.Errorf("got %d connections after call %d, want one for each", n, i)
				}
			}
		})
	}
}

// Streams above the last one that a GOAWAY names were not processed and fail; those below go on.
func TestHTTP2GoAwayBetweenStreams(t *testing.T) {
	t.Parallel()
	answer := func(s *rawh2.Stream) {
		if s.ID > 1 {
			s.Conn.GoAway(1, rawh2.NoError)
			return
		}
		beginsAnswer(s)
	}
	withScript(t, answer, nil, func(t *testing.T, s *scripted) {
		text := s.during(t, func() {
			text, answer, err := s.ask(t.Context(), true, "Hi")
			if err != nil || text != "well" || answer.Trail.Attempts[0].Kind != holdfast.KindReset {
				t.Errorf("the second: got %q, %v, want a reset and then the other endpoint", text, err)
			}
		})
		if text != "All well." || len(s.server.Streams()) != 2 || len(s.server.Conns()) != 1 {
			t.Errorf("the first: got %q, with %d streams on %d connections, want all of it, with 2 on 1", text, len(s.server.Streams()), len(s.server.Conns()))
		}
	})
}

// during begins a stream, which the script leaves in the middle, does something else, and then reads the stream to its end.
func (s *scripted) during(t *testing.T, do func()) (text string) {
	t.Helper()
	for event, err := range s.client.Stream(t.Context(), hello) {
		if err != nil {
			t.Error(err)
			break
		}
		text += event.Text()
		if event.Text() != "All " {
			continue
		}
		do()
		first := s.server.Streams()[0]
		first.Send(restOfStream)
		first.End()
	}
	return text
}

// After the first content each fault ends a stream as truncated, with what arrived; an answer in one piece was not shown, and counts as
// truncated too. Before it, both go on to the other endpoint. Behind the end of the answer it no longer matters.
func TestHTTP2MidStream(t *testing.T) {
	t.Parallel()
	for _, c := range http2Faults {
		if strings.HasPrefix(c.name, "GOAWAY before") {
			continue // a server that has begun to answer has processed the stream
		}
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/after content/stream=%v", c.name, stream), func(t *testing.T) {
				t.Parallel()
				answer := func(s *rawh2.Stream) {
					beginsAnswer(s)
					time.Sleep(time.Millisecond)
					c.fault(s)
				}
				withScript(t, answer, oneAttempt, func(t *testing.T, s *scripted) {
					text, _, err := s.ask(t.Context(), stream, "Hi")
					var e *holdfast.Error
					if !errors.As(err, &e) || e.Kind != holdfast.KindTruncated || !e.Sent {
						t.Fatalf("got %v, want a truncated answer", err)
					}
					if stream && (text != "All " || e.Partial.Text() != text || e.Phase != holdfast.PhaseMidStream) {
						t.Errorf("got %q and the partial answer %q, want both the same", text, e.Partial.Text())
					}
				})
			})
			t.Run(fmt.Sprintf("%s/before content/stream=%v", c.name, stream), func(t *testing.T) {
				t.Parallel()
				answer := func(s *rawh2.Stream) {
					s.Head(200, map[bool]string{false: "application/json", true: "text/event-stream"}[stream])
					time.Sleep(time.Millisecond)
					c.fault(s)
				}
				withScript(t, answer, nil, func(t *testing.T, s *scripted) {
					text, answer, err := s.ask(t.Context(), stream, "Hi")
					if err != nil || text != "well" || answer.Trail.Attempts[0].Kind != holdfast.KindTruncated {
						t.Errorf("got %q, %v, want the other endpoint's answer after a truncated one", text, err)
					}
				})
			})
			t.Run(fmt.Sprintf("%s/behind the end/stream=%v", c.name, stream), func(t *testing.T) {
				t.Parallel()
				answer := func(s *rawh2.Stream) {
					s.Send(beginsAnswer(s))
					if !stream {
						s.End() // of JSON, nothing else says that it is answersWhole
					}
					time.Sleep(time.Millisecond)
					c.fault(s)
				}
				withScript(t, answer, oneAttempt, func(t *testing.T, s *scripted) {
					if text, _, err := s.ask(t.Context(), stream, "Hi"); err != nil || text != "All well." {
						t.Errorf("got %q, %v, want the whole answer", text, err)
					}
				})
			})
		}
	}
}

// A server may refuse a request before it has read all of it, and then ask for no more (RFC 9113 §8.1): its answer counts.
func TestHTTP2EarlyAnswer(t *testing.T) {
	t.Parallel()
	answer := func(s *rawh2.Stream) {
		s.Head(503, "application/json")
		s.Send(`{"fault":"busy"}`)
		s.End()
		s.Reset(rawh2.NoError)
	}
	withScript(t, answer, oneAttempt, func(t *testing.T, s *scripted) {
		for range 2 {
			if _, _, err := s.ask(t.Context(), false, strings.Repeat("long ", 100_000)); !errors.Is(err, holdfast.KindOverloaded) {
				t.Errorf("got %v, want the server's own error", err)
			}
		}
		if n := len(s.server.Conns()); n != 1 {
			t.Errorf("got %d connections, want 1", n)
		}
	})
}

// deadAfter is how long a dead connection may go unnoticed: 15 s of silence, and 15 s for the answer to a ping.
const deadAfter = 30 * time.Second

// asked is what became of one of many calls.
type asked struct {
	text   string
	answer *holdfast.ChatResponse
	err    error
	took   time.Duration
}

// askMany asks fifty times at once and waits for all.
func (s *scripted) askMany(ctx context.Context, stream bool, prompt string) []asked {
	all := make([]asked, 50)
	var asking sync.WaitGroup
	for i := range all {
		asking.Go(func() {
			begun := time.Now()
			o := &all[i]
			o.text, o.answer, o.err = s.ask(ctx, stream, prompt)
			o.took = time.Since(begun)
		})
	}
	asking.Wait()
	return all
}

// prompts are a short one, and one of which a few fill the window of a connection.
var prompts = map[string]string{"short": "Hi", "long": strings.Repeat("long ", 20_000)}

// A peer that vanishes without a word under many calls: pings find it out, every call fails in time and goes on to the other endpoint,
// and the next one opens a new connection.
func TestHTTP2DeadBeforeHeaders(t *testing.T) {
	t.Parallel()
	for name, prompt := range prompts {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stream=%v", name, stream), func(t *testing.T) {
				t.Parallel()
				withScript(t, answersWhole, nil, func(t *testing.T, s *scripted) {
					if text, _, err := s.ask(t.Context(), stream, "Hi"); text != "All well." {
						t.Fatalf("got %q, %v, want an answer while the connection lives", text, err)
					}
					s.server.Conns()[0].Silence()
					for _, o := range s.askMany(t.Context(), stream, prompt) {
						if o.err != nil || o.text != "well" || o.took > deadAfter+time.Second {
							t.Fatalf("got %q, %v after %v, want the other endpoint's answer within %v", o.text, o.err, o.took, deadAfter)
						}
						if first := o.answer.Trail.Attempts[0]; first.Endpoint != "faulty" || first.Kind != holdfast.KindReset {
							t.Errorf("got %q (%s), want a reset", first.Kind, first.Error)
						}
					}
					_, _, _ = s.ask(t.Context(), stream, "Hi") // finds out, by probes beside it, that the endpoint is back
					time.Sleep(4 * time.Second)
					if text, _, err := s.ask(t.Context(), stream, "Hi"); text != "All well." || len(s.server.Conns()) != 2 {
						t.Errorf("afterwards: got %q, %v over %d connections, want an answer over a second one", text, err, len(s.server.Conns()))
					}
				})
			})
		}
	}
}

// The same after something was shown: each stream ends with what arrived.
func TestHTTP2DeadMidStream(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream=%v", stream), func(t *testing.T) {
			t.Parallel()
			withScript(t, func(s *rawh2.Stream) { beginsAnswer(s) }, oneAttempt, func(t *testing.T, s *scripted) {
				time.AfterFunc(time.Second, func() {
					for _, c := range s.server.Conns() {
						c.Silence()
					}
				})
				for _, o := range s.askMany(t.Context(), stream, "Hi") {
					var e *holdfast.Error
					if !errors.As(o.err, &e) || e.Kind != holdfast.KindTruncated || o.took > deadAfter+time.Second {
						t.Fatalf("got %q, %v after %v, want a truncated answer within %v", o.text, o.err, o.took, deadAfter)
					}
					if stream && (o.text != "All " || e.Partial.Text() != o.text) {
						t.Errorf("got %q and the partial answer %q, want both the same", o.text, e.Partial.Text())
					}
				}
			})
		})
	}
}

// Nobody who gives up need wait until the pings have found out that the connection is dead.
func TestHTTP2CancelOnDeadConnection(t *testing.T) {
	t.Parallel()
	for name, prompt := range prompts {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stream=%v", name, stream), func(t *testing.T) {
				t.Parallel()
				withScript(t, answersWhole, nil, func(t *testing.T, s *scripted) {
					if _, _, err := s.ask(t.Context(), stream, "Hi"); err != nil {
						t.Fatal(err)
					}
					s.server.Conns()[0].Silence()
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(time.Second, cancel)
					for _, o := range s.askMany(ctx, stream, prompt) {
						if !errors.Is(o.err, context.Canceled) || o.took != time.Second {
							t.Fatalf("got %q, %v after %v, want the cancellation at once", o.text, o.err, o.took)
						}
					}
				})
			})
		}
	}
}

// However one stream of a connection is left, it alone is reset; the others go on, and so does the connection.
func TestHTTP2LeavingOneStream(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		leave func(t *testing.T, s *scripted)
	}{
		{"break", func(t *testing.T, s *scripted) {
			for event := range s.client.Stream(t.Context(), hello) {
				if event.Text() != "" {
					break
				}
			}
		}},
		{"cancel", func(t *testing.T, s *scripted) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if text, _, err := s.ask(ctx, true, "Hi"); text != "All " || !errors.Is(err, context.Canceled) {
				t.Errorf("got %q, %v, want the beginning and the cancellation", text, err)
			}
		}},
		{"deadline", func(t *testing.T, s *scripted) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if text, _, err := s.ask(ctx, true, "Hi"); text != "All " || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %q, %v, want the beginning and the deadline", text, err)
			}
		}},
		{"cancel an answer in one piece", func(t *testing.T, s *scripted) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, _, err := s.ask(ctx, false, "Hi"); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the cancellation", err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			withScript(t, func(s *rawh2.Stream) { beginsAnswer(s) }, oneAttempt, func(t *testing.T, s *scripted) {
				text := s.during(t, func() {
					c.leave(t, s)
					synctest.Wait()
					streams := s.server.Streams()
					if code, is := streams[1].ResetBy(); !is || code != rawh2.Cancel {
						t.Errorf("the stream that was left: got %v, %v, want a reset with CANCEL", code, is)
					}
				})
				if _, is := s.server.Streams()[0].ResetBy(); is || text != "All well." {
					t.Errorf("the other stream: got %q, reset %v, want all of it", text, is)
				}
				c.leave(t, s)
				if n := len(s.server.Conns()); n != 1 || len(s.server.Streams()) != 3 {
					t.Errorf("got %d streams on %d connections, want 3 on 1", len(s.server.Streams()), n)
				}
			})
		})
	}
}
