package holdfast_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// speaker is a dialect as a fake provider speaks it and as a client is configured for it.
type speaker struct {
	name     string
	dialect  holdfasttest.Dialect
	provider string
	path     string
	model    string
}

var speakers = []speaker{
	{"claude", holdfasttest.Claude, "claude", "", "claude-opus-5-5"},
	{"chat", holdfasttest.OpenAI, "openai-chat", "/v1", "gpt-6-sol"},
	{"responses", holdfasttest.OpenAI, "openai-responses", "/v1", "gpt-6-sol"},
	{"gemini", holdfasttest.Gemini, "gemini", "/v1beta", "gemini-4-argon"},
	{"local", holdfasttest.Local, "openai-compatible", "/v1", "llama3.2"},
}

// bench is a client of a faulty and a well endpoint over memory.
type pair struct {
	faulty, well *holdfasttest.Server
	network      *holdfasttest.Network
	client       *holdfast.Client
}

func newPair(t *testing.T, s speaker, change func(*holdfast.Config)) *pair {
	t.Helper()
	p := &pair{network: holdfasttest.NewNetwork()}
	p.faulty, p.well = p.network.NewServer("faulty.test", s.dialect), p.network.NewServer("well.test", s.dialect)
	conf := holdfast.Config{Dial: p.network.Dial}
	for i, server := range []*holdfasttest.Server{p.faulty, p.well} {
		conf.Endpoints = append(conf.Endpoints, holdfast.Endpoint{
			Name: []string{"faulty", "well"}[i], Provider: s.provider, URL: server.URL + s.path, Proxy: "direct",
			KeySource: holdfast.Literal(fmt.Sprintf("key-%d", i)), Models: map[string]string{"default": s.model},
		})
	}
	if change != nil {
		change(&conf)
	}
	client, err := holdfast.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	p.client = client
	return p
}

// close ends everything, so that the bubble shows whatever was left behind.
func (p *pair) close() {
	_ = p.client.Close()
	p.faulty.Close()
	p.well.Close()
	p.network.Close()
}

// way is a way to ask.
type way string

const (
	unary  way = "unary" // by Chat, for an answer that is so short that it is not streamed
	chat   way = "chat"  // by Chat, which streams underneath
	stream way = "stream"
)

var ways = []way{unary, chat, stream}

// ask asks and returns the text that the caller saw.
func (p *pair) ask(t *testing.T, w way) (string, *holdfast.ChatResponse, error) {
	t.Helper()
	request := &holdfast.ChatRequest{Messages: holdfast.Ask("Why is the sky blue?")}
	if w == unary {
		request.MaxOutputTokens = 1024
	}
	if w != stream {
		answer, err := p.client.Chat(t.Context(), request)
		if err != nil {
			return "", nil, err
		}
		return answer.Text(), answer, nil
	}
	var text strings.Builder
	for event, err := range p.client.Stream(t.Context(), request) {
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

const (
	blue  = "Because air scatters blue light — the short waves — more than red. Ça va."
	other = "The other endpoint answers."
)

// Every fault that a provider can have before it shows anything: the caller sees the other endpoint's answer and nothing else, and the
// Trail names the fault by its meaning.
func TestFaultsBeforeContent(t *testing.T) {
	t.Parallel()
	fail := func(e holdfasttest.Error) holdfasttest.Reply { return holdfasttest.Reply{Error: e} }
	broken := func(f holdfasttest.Fault) holdfasttest.Reply { return holdfasttest.Reply{Text: blue, Fault: f} }
	// A local server has no accounts, regions or proxies: the fake says what comes closest.
	unknownToLocal := map[holdfast.Kind]bool{
		holdfast.KindPermission: true, holdfast.KindRegion: true, holdfast.KindBilling: true, holdfast.KindConflict: true,
		holdfast.KindServerTimeout: true,
	}
	for _, c := range []struct {
		name  string
		reply holdfasttest.Reply
		kind  holdfast.Kind
	}{
		{"bad key", fail(holdfasttest.BadKey), holdfast.KindKey},
		{"no permission", fail(holdfasttest.NoPermission), holdfast.KindPermission},
		{"region blocked", fail(holdfasttest.RegionBlocked), holdfast.KindRegion},
		{"out of credit", fail(holdfasttest.OutOfCredit), holdfast.KindBilling},
		{"spend limit", fail(holdfasttest.SpendLimit), holdfast.KindBilling},
		{"rate limited", fail(holdfasttest.RateLimited), holdfast.KindRateLimit},
		{"conflict", fail(holdfasttest.Conflict), holdfast.KindConflict},
		{"timed out", fail(holdfasttest.TimedOut), holdfast.KindServerTimeout},
		{"server error", fail(holdfasttest.ServerError), holdfast.KindServer},
		{"overloaded", fail(holdfasttest.Overloaded), holdfast.KindOverloaded},
		{"reset before headers", broken(holdfasttest.ResetBeforeHeaders), holdfast.KindReset},
		{"a page", broken(holdfasttest.HTML), holdfast.KindIntercepted},
		{"a page with 502", holdfasttest.Reply{Fault: holdfasttest.HTML, Status: 502}, holdfast.KindGateway},
		{"an empty body", broken(holdfasttest.EmptyBody), ""},
		{"closed before headers", broken(holdfasttest.CloseBeforeHeaders), holdfast.KindReset},
		{"a redirect", broken(holdfasttest.Redirect), holdfast.KindRedirect},
		{"an error with 200", broken(holdfasttest.ErrorIn200), ""},
		{"an error in the stream before content", holdfasttest.Reply{Text: blue, Fault: holdfasttest.ErrorInStream}, ""},
		{"a malformed event before content", holdfasttest.Reply{Text: blue, Fault: holdfasttest.MalformedEvent}, ""},
	} {
		for _, s := range speakers {
			for _, w := range ways {
				t.Run(fmt.Sprintf("%s/%s/%s", c.name, s.name, w), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						p := newPair(t, s, nil)
						defer p.close()
						p.faulty.Always(c.reply)
						p.well.Always(holdfasttest.Reply{Text: other})
						text, answer, err := p.ask(t, w)
						if err != nil {
							t.Fatal(err)
						}
						if text != other {
							t.Errorf("got %q, want %q", text, other)
						}
						first := answer.Trail.Attempts[0]
						if first.Endpoint != "faulty" || first.Kind == "" || (c.kind != "" && first.Kind != c.kind && !(s.name == "local" && unknownToLocal[c.kind])) {
							t.Errorf("got %q (%s), want %q", first.Kind, first.Error, c.kind)
						}
						if n := len(p.faulty.Requests()); n != 1 {
							t.Errorf("the faulty endpoint got %d requests, want 1", n)
						}
					})
				})
			}
		}
	}
}

// Every way in which a stream can break after the caller saw some of it: what was shown is a prefix of the truth, and an error says
// that it is not whole.
func TestFaultsInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, f := range []holdfasttest.Fault{
		holdfasttest.CutFIN, holdfasttest.CutRST, holdfasttest.EndEarly, holdfasttest.MalformedEvent, holdfasttest.ErrorInStream, holdfasttest.Stall,
		holdfasttest.KeepAlivesOnly, holdfasttest.NoTerminator, holdfasttest.HugeFrame,
	} {
		for _, s := range speakers {
			t.Run(fmt.Sprintf("%s/%s", f, s.name), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					p := newPair(t, s, func(c *holdfast.Config) { c.Timeout, c.MaxAnswerBytes = time.Minute, 1<<20 })
					defer p.close()
					p.faulty.Always(holdfasttest.Reply{Text: blue, Fault: f, After: 5, Size: 2 << 20, KeepAlive: time.Second})
					text, _, err := p.ask(t, stream)
					if f == holdfasttest.NoTerminator {
						wholeWithoutEnd(t, s, text, err)
						return
					}
					if err == nil {
						t.Fatalf("got %q as a success, want an error", text)
					}
					if text == "" || text == blue || !strings.HasPrefix(blue, text) {
						t.Errorf("got %q, want a true prefix of the answer", text)
					}
					var e *holdfast.Error
					if !errors.As(err, &e) || e.Partial.Text() != text || e.Phase != holdfast.PhaseMidStream {
						t.Errorf("got %+v, want the partial answer with the error", e)
					}
					if n := len(p.well.Requests()); n != 0 {
						t.Errorf("the other endpoint got %d requests: its text would follow a half sentence", n)
					}
				})
			})
		}
	}
}

// wholeWithoutEnd judges a stream that brought the whole text and then ended without its terminator. Claude has said its stop reason by
// then, which is proof enough; nobody else has said anything.
func wholeWithoutEnd(t *testing.T, s speaker, text string, err error) {
	t.Helper()
	if text != blue {
		t.Errorf("got %q, want all that came", text)
	}
	if wantErr := s.name != "claude"; errors.Is(err, holdfast.ErrTruncated) != wantErr {
		t.Errorf("got %v, want truncated %v", err, wantErr)
	}
}

// However the bytes of a stream are laid out, its text is the same, to the byte.
func TestFramings(t *testing.T) {
	t.Parallel()
	for name, framing := range map[string]holdfasttest.Framing{
		"CRLF": holdfasttest.CRLF, "CR": holdfasttest.CR, "BOM": holdfasttest.BOM, "byte by byte": holdfasttest.ByteByByte,
		"split characters": holdfasttest.SplitRunes, "every liberty": holdfasttest.NoSpace | holdfasttest.Comments | holdfasttest.ManyFields | holdfasttest.NoLastBlank, "CRLF, BOM, byte by byte": holdfasttest.CRLF | holdfasttest.BOM | holdfasttest.ByteByByte,
	} {
		for _, s := range speakers {
			for _, gzip := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/gzip=%v", name, s.name, gzip), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						p := newPair(t, s, nil)
						defer p.close()
						p.faulty.Always(holdfasttest.Reply{Text: blue, Framing: framing, Gzip: gzip})
						text, answer, err := p.ask(t, stream)
						if err != nil {
							t.Fatal(err)
						}
						if text != blue || answer.Text() != blue || answer.Endpoint != "faulty" {
							t.Errorf("got %q and %q from %s, want %q", text, answer.Text(), answer.Endpoint, blue)
						}
					})
				})
			}
		}
	}
}

// A body that is shorter than its Content-Length: an answer in one piece is cut, a stream may have said all by then.
func TestWrongLength(t *testing.T) {
	t.Parallel()
	for _, s := range speakers {
		for _, w := range ways {
			t.Run(s.name+"/"+string(w), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					p := newPair(t, s, nil)
					defer p.close()
					p.faulty.Always(holdfasttest.Reply{Text: blue, Fault: holdfasttest.WrongLength})
					p.well.Always(holdfasttest.Reply{Text: other})
					text, answer, err := p.ask(t, w)
					if err != nil {
						t.Fatal(err)
					}
					want, attempts := blue, 1
					if w == unary {
						want, attempts = other, 2
					}
					if text != want || len(answer.Trail.Attempts) != attempts {
						t.Errorf("got %q after %s, want %q", text, answer.Trail, want)
					}
				})
			})
		}
	}
}

// The same over TLS and HTTP/2, with the test network's own authority.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	for _, s := range speakers {
		for _, w := range ways {
			t.Run(s.name+"/"+string(w), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					network := holdfasttest.NewNetwork()
					defer network.Close()
					server := network.NewTLSServer("provider.test", s.dialect)
					defer server.Close()
					server.Always(holdfasttest.Reply{Text: blue})
					client, err := holdfast.New(holdfast.Config{
						Dial: network.Dial, TLS: &tls.Config{RootCAs: network.CA(), MinVersion: tls.VersionTLS12},
						Endpoints: []holdfast.Endpoint{{
							Name: "a", Provider: s.provider, URL: server.URL + s.path, KeySource: holdfast.Literal("k"), Proxy: "direct",
							Models: map[string]string{"default": s.model},
						}},
					})
					if err != nil {
						t.Fatal(err)
					}
					defer client.Close()
					p := &pair{client: client}
					for range 3 {
						if text, _, err := p.ask(t, w); err != nil || text != blue {
							t.Errorf("got %q, %v, want %q", text, err, blue)
						}
					}
					for _, r := range server.Requests() {
						if r.Proto != "HTTP/2.0" {
							t.Errorf("got %s, want HTTP/2", r.Proto)
						}
					}
				})
			})
		}
	}
}
