package holdfast

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-ai/holdfast/internal/recent"
	"github.com/holdfast-ai/holdfast/internal/slots"
)

// endpoint is an [Endpoint] made ready: all that does not change from call to call is prepared here. Safe for concurrent use.
type endpoint struct {
	Endpoint
	adapter AIServiceAdapter
	dialect Dialect
	base    *url.URL
	keys    KeySource // nil if it needs no key
	signer  *signer   // nil if requests are not signed

	transport    *http.Transport
	roundTripper http.RoundTripper
	wrapped      bool // the round tripper is the caller's: it may write to what it is given

	credentials atomic.Pointer[credentials]
	keyless     atomic.Int64 // until when it rests, in ns since 1970, since its key did not come
	blocks      keyBlocks
	pacers      pacers
	limits      Timeouts // with the defaults filled in
	health      *healths
	slots       *slots.Slots // of a local endpoint; nil if requests are not counted
	running     atomic.Int32 // attempts under way
	recent      recent.Log
	where       string // where in the order of endpoints it stands

	mu   sync.Mutex
	urls map[string]*url.URL // by the codec's path
}

// credentials is a key with what follows from it.
type credentials struct {
	secret  Secret
	id      string      // a hash of the key, "" without one
	account string      // the configured name, else id
	header  http.Header // shared by all requests: never written to
	// confidential is what of it all must not stand in an error, even if a server echoes it.
	confidential []string
}

// keyPatience is how long a key's source may take, before another endpoint is asked.
const keyPatience = 5 * time.Second

// patiently asks a source of the caller's.
func (e *endpoint) patiently(ctx context.Context) (Secret, error) {
	if l, is := e.KeySource.(literal); is {
		return l.Secret(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, keyPatience)
	defer cancel()
	secret, err := e.KeySource.Secret(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		e.keyless.Store(time.Now().Add(keyRest).UnixNano())
	}
	return secret, err
}

// keyRest is how long an endpoint is left alone whose key did not come, so that not every call waits for it.
const keyRest = 10 * time.Second

func (e *endpoint) isKeyless() bool {
	until := e.keyless.Load()
	return until != 0 && time.Now().UnixNano() < until
}

// credentialsNow reads the key, which may have changed since the last call.
func (e *endpoint) credentialsNow(ctx context.Context) (*credentials, error) {
	var secret Secret
	if e.keys != nil {
		var err error
		if e.KeySource == nil {
			secret, err = e.keys.Secret(ctx) // from the environment or a file
		} else {
			secret, err = e.patiently(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
	if c := e.credentials.Load(); c != nil && c.secret == secret {
		return c, nil
	}
	c := &credentials{secret: secret, header: e.header(secret), confidential: e.confidential(secret)}
	if e.keys != nil {
		if fault := keyFault(secret.Reveal()); fault != "" {
			return nil, errors.New("the key " + fault)
		}
		sum := sha256.Sum256([]byte(secret.Reveal()))
		c.id = hex.EncodeToString(sum[:8])
	}
	c.account = cmp.Or(e.Account, c.id)
	e.credentials.Store(c)
	return c, nil
}

// header builds what every request of this endpoint carries.
func (e *endpoint) header(secret Secret) http.Header {
	h := http.Header{
		"Content-Type":    {"application/json"},
		"Accept-Encoding": {"identity"},
		"User-Agent":      {"holdfast"},
	}
	maps.Copy(h, e.dialect.Header)
	for name, value := range e.Header {
		h.Set(name, value)
	}
	if e.keys == nil {
		return h
	}
	name, prefix := e.keyHeader()
	h.Set(name, prefix+secret.Reveal())
	return h
}

// confidential lists the key, and what of the endpoint's own settings looks like one by its name.
func (e *endpoint) confidential(secret Secret) []string {
	var list []string
	add := func(value string) {
		if len(value) >= leastSecret {
			list = append(list, value)
		}
	}
	if !secret.IsZero() {
		list = append(list, secret.Reveal())
	}
	for name, value := range e.Header {
		if namesSecret.MatchString(name) {
			add(value)
		}
	}
	for name, values := range e.base.Query() {
		if namesSecret.MatchString(name) {
			add(values[0])
		}
	}
	if proxy, err := url.Parse(e.Proxy); err == nil {
		password, _ := proxy.User.Password()
		add(password)
	}
	return list
}

// namesSecret matches the names of headers and query parameters that carry a secret.
var namesSecret = regexp.MustCompile(`(?i)auth|token|key|secret|cookie|passw|sig|code`)

// leastSecret is the length from which a setting is taken for a secret: "true" and "1" stand in many a message.
const leastSecret = 6

func (e *endpoint) keyHeader() (name, prefix string) {
	switch {
	case e.KeyHeader == "":
		return e.dialect.KeyHeader, e.dialect.KeyPrefix
	case e.KeyPrefix == "" && strings.EqualFold(e.KeyHeader, "Authorization"):
		return e.KeyHeader, "Bearer "
	}
	return e.KeyHeader, e.KeyPrefix
}

// maxURLs bounds the prepared URLs of an endpoint; a dialect has a handful, or one for each model.
const maxURLs = 64

// url joins the codec's path to the endpoint's URL. Both may carry a query. It is kept for the next request unless it is of one answer only.
func (e *endpoint) url(path string, kept bool) (*url.URL, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if u, ok := e.urls[path]; ok {
		return u, nil
	}
	rel, err := url.Parse(path)
	if err != nil {
		return nil, err
	}
	u := *e.base
	u.RawPath = strings.TrimSuffix(e.base.EscapedPath(), "/") + rel.EscapedPath()
	u.Path = strings.TrimSuffix(e.base.Path, "/") + rel.Path
	u.RawQuery = strings.Trim(e.base.RawQuery+"&"+rel.RawQuery, "&")
	if kept && len(e.urls) < maxURLs {
		if e.urls == nil {
			e.urls = map[string]*url.URL{}
		}
		e.urls[path] = &u
	}
	return &u, nil
}

// exchange is one request to one endpoint, encoded and ready to be sent, once or again.
type exchange struct {
	endpoint    *endpoint
	candidate   *candidate
	adapter     AIServiceAdapter
	target      Target
	credentials *credentials
	why         string
	notes       []string
	method      string
	url         *url.URL
	header      http.Header // beyond the shared one; nil for most
	buffer      *[]byte     // where the body was encoded, from the pool
	body        []byte
	trace       httptrace.ClientTrace
	out         atomic.Int32 // how many sendings the transport may still read the body for
	sent        atomic.Bool  // whether the transport began to write the request
	run         run
}

var bodies = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledBody keeps a rare huge request from staying in memory for ever.
const maxPooledBody = 1 << 20

// release gives the body's memory back, unless the transport may still read from it.
func (x *exchange) release() {
	if x.buffer == nil || x.out.Load() != 0 || cap(x.body) > maxPooledBody {
		return
	}
	*x.buffer = x.body[:0]
	bodies.Put(x.buffer)
	x.buffer, x.body = nil, nil
}

// request builds the HTTP request and signs it. The body is not copied: every request reads the same bytes.
func (x *exchange) request(ctx context.Context) (*http.Request, error) {
	e := x.endpoint
	header := x.credentials.header
	if len(x.header) > 0 || e.signer != nil || e.wrapped {
		header = header.Clone()
		maps.Copy(header, x.header)
	}
	req := (&http.Request{
		Method:        cmp.Or(x.method, http.MethodPost),
		URL:           x.url,
		Host:          e.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		ContentLength: int64(len(x.body)),
	}).WithContext(ctx)
	if err := x.sign(ctx, req); err != nil {
		return nil, err
	}
	return req, nil
}

// sign proves who is asking. It is called again for every repeat.
func (x *exchange) sign(ctx context.Context, req *http.Request) error {
	if x.endpoint.signer == nil {
		return nil
	}
	if err := x.endpoint.signer.sign(ctx, req, x.body); err != nil {
		return &Error{Kind: KindSecret, Field: "signing", Phase: PhaseBeforeSend, Err: err}
	}
	return nil
}

// watch returns a context that lets the exchange know when the transport begins and ends to write it.
func (x *exchange) watch(ctx context.Context) context.Context {
	clock := x.run.clock
	x.trace = httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { x.out.Add(1) },
		WroteHeaders: func() { x.sent.Store(true) },
		WroteRequest: func(httptrace.WroteRequestInfo) { x.out.Add(-1); clock.sent() },
	}
	return httptrace.WithClientTrace(ctx, &x.trace)
}

// open returns a reader over the body for one sending through a transport that need not know of traces.
func (x *exchange) open() *bodyReader {
	x.out.Add(1)
	return &bodyReader{x: x, rest: x.body}
}

// bodyReader reads an exchange's body. GetBody is never set on a request, so that the transport does not send again behind
// our back. A transport that gives up closes the body while it may still be reading on another goroutine: Close waits for
// that Read, and none afterwards touches memory that may be another request's by then.
type bodyReader struct {
	x      *exchange
	mu     sync.Mutex
	rest   []byte
	closed bool
}

func (b *bodyReader) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	b.x.sent.Store(true)
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Len lets go-retryablehttp know the length without reading.
func (b *bodyReader) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.rest)
}

func (b *bodyReader) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed, b.rest = true, nil
		b.x.out.Add(-1)
	}
	return nil
}
