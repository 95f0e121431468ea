// Package holdfasttest provides LLM providers that break on purpose, for the tests of services that call them.
//
// A [Server] speaks the API of one provider: it checks requests as the provider does, answers a question or a tool call, streams
// with every event of the real stream, and refuses with the provider's own errors and headers. [Server.Script] says what it
// answers next, and how that goes wrong:
//
//	s := holdfasttest.NewServer(holdfasttest.Claude)
//	defer s.Close()
//	s.Script(
//		holdfasttest.Reply{Error: holdfasttest.Overloaded, RetryAfter: "2"},
//		holdfasttest.Reply{Text: "Because of Rayleigh scattering.", Fault: holdfasttest.CutRST, After: 2},
//		holdfasttest.Reply{Text: "Because of Rayleigh scattering.", Between: 50 * time.Millisecond},
//	)
//
// [NewServer] listens on the loopback interface. For tests under fake time, a [Network] carries the same servers over memory.
// [Server.Requests] tells what arrived.
//
// The servers know nothing of package holdfast, so that a test with both of them compares two independent readings of a
// provider's API. What they promise is the form of requests and answers; they do not think, and they count tokens by length.
package holdfasttest

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/holdfast-ai/holdfast/internal/memhttp"
)

// Dialect is the API of a provider.
type Dialect string

// The dialects.
const (
	// Claude is Anthropic's Messages API, at URL/v1/messages.
	Claude Dialect = "claude"
	// OpenAI is both Chat Completions and Responses, at URL/v1/chat/completions and URL/v1/responses.
	// A response streamed with "background" and "store" is kept, whole, whatever broke its stream. GET URL/v1/responses/ID
	// returns it; with ?stream=true, and starting_after, a stream of its events, for five minutes. How that goes, its Fault,
	// After and delays, is the matter of the next reply, counted from where it starts; HugeFrame aside. Any other response is
	// unknown there (unverified).
	OpenAI Dialect = "openai"
	// Gemini is generateContent, at URL/v1beta/models/MODEL:generateContent and as Vertex AI spells it.
	Gemini Dialect = "gemini"
	// Local is a local model behind Chat Completions, as Ollama serves it: no key, unknown fields ignored. It continues an
	// assistant message at the end, as llama.cpp does, with or without the fields by which others want to be asked for that.
	Local Dialect = "local"
)

// A Server is a provider. It is an http.Handler too, to be mounted behind a middleware. Safe for concurrent use.
type Server struct {
	// URL is the server's base URL, without a path: "http://127.0.0.1:40123". Empty for a mere handler.
	URL string

	provider provider
	number   int64 // of this server among all
	shut     func()
	client   func() *http.Client
	ca       func() *x509.CertPool

	mu      sync.Mutex
	settled *sync.Cond
	script  []Reply
	respond func(Request) Reply
	always  Reply
	keys    []string
	models  []string
	log     []*Request
	kept    map[string]*answer
	busy    int
	count   int
}

// Request is what arrived, and what became of it.
type Request struct {
	Method string
	// Path is the path with the query.
	Path   string
	Host   string
	Proto  string
	Header http.Header
	Body   []byte
	// Model and Stream are what the request asks for.
	Model  string
	Stream bool
	// Prefill is the text of an assistant turn at the end that the provider continues; empty if there is none. OpenAI
	// continues none.
	Prefill string
	// At is when the request had arrived, Ended when nothing more was to be sent; zero before.
	At, Ended time.Time
	// Refused is why the server refused the request as the provider would; empty if it did not.
	Refused string
	// Status is the status sent; 0 if none was.
	Status int
	// Chunks is how many pieces of content a stream sent.
	Chunks int
	// Done is set when everything that the script asked for was sent. Aborted is set when the client left before.
	Done, Aborted bool
}

// NewServer starts a server on the loopback interface. It panics if it cannot, as httptest does.
func NewServer(d Dialect) *Server { return loopback(d, (*httptest.Server).Start) }

// NewTLSServer is like NewServer with HTTPS, over HTTP/1.1 and HTTP/2. [Server.CA] trusts its certificate.
func NewTLSServer(d Dialect) *Server {
	return loopback(d, func(h *httptest.Server) {
		h.EnableHTTP2 = true
		h.StartTLS()
	})
}

// NewHandler returns a server that listens nowhere, to be used as an http.Handler. Its CutFIN, CutRST and resets are true to
// their names on HTTP/1.1 only.
func NewHandler(d Dialect) *Server {
	s := &Server{shut: func() {}, client: func() *http.Client { return &http.Client{} }, ca: x509.NewCertPool}
	s.number, s.kept = servers.Add(1), map[string]*answer{}
	s.settled = sync.NewCond(&s.mu)
	switch d {
	case Claude:
		s.provider = claude{}
	case OpenAI, Local:
		s.provider = openAI{local: d == Local}
	case Gemini:
		s.provider = gemini{}
	default:
		panic("holdfasttest: unknown dialect " + strconv.Quote(string(d)))
	}
	return s
}

func loopback(d Dialect, start func(*httptest.Server)) *Server {
	s := NewHandler(d)
	ctx, cancel := context.WithCancel(context.Background())
	h := httptest.NewUnstartedServer(s)
	h.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	h.Config.ConnContext = memhttp.WithConn
	h.Config.Protocols = memhttp.Protocols()
	start(h)
	s.URL, s.client = h.URL, h.Client
	s.shut = func() {
		_ = h.Listener.Close() // first: from now on nobody is answered any more
		h.CloseClientConnections()
		cancel()
		h.Close()
	}
	if cert := h.Certificate(); cert != nil {
		pool := x509.NewCertPool()
		pool.AddCert(cert)
		s.ca = func() *x509.CertPool { return pool }
	}
	return s
}

func (s *Server) over(m *memhttp.Server, ca func() *x509.CertPool) *Server {
	s.URL, s.shut, s.client, s.ca = m.URL, m.Close, m.Client, ca
	return s
}

// Close ends every answer, closes every connection and waits for both. It may be called more than once.
func (s *Server) Close() { s.shut() }

// Client returns a plain HTTP client that reaches the server and trusts it.
func (s *Server) Client() *http.Client { return s.client() }

// CA returns the authority that the certificate of a TLS server is of.
func (s *Server) CA() *x509.CertPool { return s.ca() }

// Script adds replies, each for one request. A request that is refused, or asks for something other than an answer, such as the
// list of models, uses none. When they are used up, [Server.Respond] replies, or else [Server.Always].
func (s *Server) Script(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, replies...)
}

// Respond computes the replies to requests beyond the script, in place of [Server.Always]; nil ends that. The request is as it
// arrived: what became of it is not yet known. Requests that arrive at once call f at once.
func (s *Server) Respond(f func(Request) Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.respond = f
}

// Always sets the reply to requests beyond the script; the zero Reply at first.
func (s *Server) Always(r Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = r
}

// Keys sets the keys that are accepted; without, any key is.
func (s *Server) Keys(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
}

// Models sets the models that exist; without, every name does, and a few are listed.
func (s *Server) Models(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models = names
}

// Left returns how many replies of the script are not used yet.
func (s *Server) Left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.script)
}

// Requests returns what arrived so far, in the order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Request, len(s.log))
	for i, r := range s.log {
		out[i] = *r
	}
	return out
}

// Wait waits until no request is being answered. A test that cut an answer short calls it before it looks at the log.
func (s *Server) Wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.busy > 0 {
		s.settled.Wait()
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.provider.limit()))
	x := s.begin(w, r, body)
	defer s.end(x)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		p := s.provider.problem(TooLarge, 0, "")
		x.refuse(&p)
		return
	}
	if err != nil {
		return
	}
	a, refused := s.provider.read(s, r, body)
	if refused != nil {
		x.refuse(refused)
		return
	}
	s.mu.Lock()
	x.log.Model, x.log.Stream, x.log.Prefill = a.model, a.stream, a.prefill
	s.mu.Unlock()
	if a.plain != nil {
		x.plain(a.plain)
		return
	}
	a.server = s.number
	ans := newAnswer(s.next(x.log), a, x.n)
	s.keep(ans)
	x.play(ans)
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request, body []byte) *exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy++
	s.count++
	entry := &Request{
		Method: r.Method, Path: r.URL.RequestURI(), Host: r.Host, Proto: r.Proto,
		Header: r.Header.Clone(), Body: body, At: time.Now(),
	}
	s.log = append(s.log, entry)
	return &exchange{s: s, w: w, r: r, n: s.count, log: entry}
}

func (s *Server) end(x *exchange) {
	gone := x.r.Context().Err() != nil
	s.mu.Lock()
	defer s.mu.Unlock()
	x.log.Aborted, x.log.Ended = !x.log.Done && gone, time.Now()
	s.busy--
	s.settled.Broadcast()
}

// next returns the reply to a request.
func (s *Server) next(log *Request) Reply {
	s.mu.Lock()
	arrived, respond := *log, s.respond
	if len(s.script) > 0 {
		r := s.script[0]
		s.script = s.script[1:]
		s.mu.Unlock()
		return r
	}
	always := s.always
	s.mu.Unlock()
	if respond != nil {
		return respond(arrived)
	}
	return always
}

// knows reports whether a key is accepted.
func (s *Server) knows(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return key != "" && (s.keys == nil || slices.Contains(s.keys, key))
}

// has reports whether a model exists.
func (s *Server) has(model string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.models == nil || slices.Contains(s.models, model)
}

// list returns the models to list.
func (s *Server) list(otherwise ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.models != nil {
		return s.models
	}
	return otherwise
}
