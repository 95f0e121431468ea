package holdfasttest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/holdfast-ai/holdfast/internal/memhttp"
)

// A provider is one API, all but the network.
type provider interface {
	// read understands a request, or says how the provider refuses it.
	read(s *Server, r *http.Request, body []byte) (*ask, *problem)
	// problem returns an error in the provider's words: a named one, or that of a status.
	problem(e Error, status int, model string) problem
	// render returns the body of an error.
	render(p *problem, n int) []byte
	// header sets what the provider sends with every answer.
	header(h http.Header, n int, p *problem)
	// limit is the largest request accepted, in bytes.
	limit() int64
}

// An ask is a request that was understood.
type ask struct {
	model  string
	stream bool
	size   int // of what the model reads, in bytes
	fields map[string]any
	form   form
	// prefill is the text of the last turn, if it is one that the model is to continue.
	prefill string
	// left is what to say instead of the reply's content: what a client missed of an answer that was kept. had is how many
	// events of its stream the client has.
	left *answer
	had  int
	// server is the number of the server that is asked.
	server int64
	// plain is the whole answer to a request that is no question, such as the list of models.
	plain any
}

// A form is how an API shapes its answers.
type form interface {
	whole(a *answer) any
	events(a *answer) []event
	// failure is an error as the event of that number of a stream.
	failure(p *problem, n, number int) event
	// ping is a sign of life of a stream.
	ping() event
}

// A failing form has answers that say that they failed.
type failing interface {
	failed(a *answer, p *problem) object
}

func canFail(a *answer) bool {
	_, ok := a.ask.form.(failing)
	return ok
}

// event is one event of a stream. An empty one is a comment.
type event struct {
	name, data string
	part       part
}

// part tells what an event is to the faults.
type part int

const (
	frame      part = iota
	content         // a piece of content
	closing         // begins the end of the stream
	terminator      // proves that the answer is whole
	done            // [DONE]
)

func newEvent(p part, name string, data any) event { return event{name, string(encode(data)), p} }

// An exchange is a request being answered.
type exchange struct {
	s   *Server
	w   http.ResponseWriter
	r   *http.Request
	n   int
	log *Request
}

// refuse answers an error that no script asked for.
func (x *exchange) refuse(p *problem) {
	x.note(func(r *Request) { r.Refused = p.message })
	x.fail(&answer{}, p)
}

func (x *exchange) note(f func(*Request)) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	f(x.log)
}

func (x *exchange) fail(a *answer, p *problem) {
	if _, err := strconv.ParseFloat(a.RetryAfter, 64); err == nil {
		p.retry = a.RetryAfter
	}
	x.head(a, p.status, "application/json", p)
	body := x.s.provider.render(p, x.n)
	if a.ask != nil && inPieces(a.ask.form) {
		body = slices.Concat([]byte("["), body, []byte("\n]\n"))
	}
	x.body(a, body)
}

// plain answers a request that is no question.
func (x *exchange) plain(v any) {
	a := &answer{}
	x.head(a, http.StatusOK, "application/json", nil)
	x.body(a, encode(v))
}

// play gives the answer, with everything that is to go wrong.
func (x *exchange) play(a *answer) {
	if !x.wait(a.BeforeHeaders, nil) {
		return
	}
	e := a.Error
	if e == "" {
		e = Overloaded
	}
	p := x.s.provider.problem(e, 0, a.Model)
	switch a.Fault {
	case ResetBeforeHeaders:
		x.hangUp(true)
	case CloseBeforeHeaders:
		x.hangUp(false)
	case HTML, Redirect:
		x.page(a)
	case EmptyBody:
		x.head(a, status(a), x.contentType(a), nil)
		x.body(a, nil)
	case ErrorIn200:
		x.head(a, status(a), "application/json", nil)
		x.body(a, x.s.provider.render(&p, x.n))
	default:
		x.speak(a, &p)
	}
}

// speak gives an answer whose headers are as they should be.
func (x *exchange) speak(a *answer, p *problem) {
	switch {
	case a.Body != "":
		x.head(a, status(a), x.contentType(a), nil)
		x.body(a, []byte(a.Body))
	case (a.Fault == ErrorInStream || a.Fault == Failed && !canFail(a)) && !a.ask.stream:
		x.head(a, http.StatusOK, "application/json", nil)
		x.body(a, x.s.provider.render(p, x.n))
	case a.Fault != ErrorInStream && a.Fault != Failed && (a.Error != "" || a.Status >= 400):
		p := x.s.provider.problem(a.Error, a.Status, a.Model)
		x.fail(a, &p)
	case a.ask.stream:
		x.stream(a, p)
	default:
		body := encode(a.ask.form.whole(a))
		if f, ok := a.ask.form.(failing); ok && a.Fault == Failed {
			body = encode(f.failed(a, p))
		}
		x.head(a, status(a), "application/json", nil)
		x.body(a, body)
	}
}

func status(a *answer) int { return cmpOr(a.Status, http.StatusOK) }

func (x *exchange) contentType(a *answer) string {
	if a.ask.stream && status(a) < 400 {
		return "text/event-stream; charset=utf-8"
	}
	return "application/json"
}

// page answers as someone who stands between.
func (x *exchange) page(a *answer) {
	h := x.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	code := status(a)
	if a.Fault == Redirect {
		h.Set("Location", loginPage)
		code = cmpOr(a.Status, http.StatusTemporaryRedirect)
	}
	x.begin(a, code)
	_, err := x.w.Write([]byte(page))
	x.finish(err)
}

// head sets the headers. The status goes out with the body.
func (x *exchange) head(a *answer, code int, contentType string, p *problem) {
	h := x.w.Header()
	h.Set("Content-Type", contentType)
	x.s.provider.header(h, x.n, p)
	if p != nil {
		for name, value := range p.header {
			h.Set(name, value)
		}
	}
	if a.Gzip {
		h.Set("Content-Encoding", "gzip")
	}
	a.Status = code
}

func (x *exchange) begin(a *answer, code int) {
	h := x.w.Header()
	if a.RetryAfter != "" {
		h.Set("Retry-After", a.RetryAfter)
	}
	for name, values := range a.Header {
		if name = http.CanonicalHeaderKey(name); values == nil {
			h.Del(name)
		} else {
			h[name] = values
		}
	}
	x.note(func(r *Request) { r.Status = code })
	x.w.WriteHeader(code)
}

// body sends a whole body, or what the fault leaves of it.
func (x *exchange) body(a *answer, body []byte) {
	if a.Gzip {
		body = zip(body)
	}
	if a.Fault == MalformedEvent && len(body) > 0 {
		body = append(bytes.Clone(body[:len(body)/2]), '}', ']')
	}
	length, out := len(body), body
	switch a.Fault {
	case WrongLength:
		length += 100
	case EndEarly, NoTerminator:
		length, out = len(body)/2, body[:len(body)/2]
	case CutFIN, CutRST, Stall:
		out = body[:len(body)/2]
	case KeepAlivesOnly:
		length, out = -1, nil
	}
	if length >= 0 {
		x.w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	x.begin(a, a.Status)
	if a.BeforeFirst > 0 {
		x.flush()
	}
	if !x.wait(a.BeforeFirst, nil) {
		return
	}
	if err := x.write(a, out); err != nil {
		return
	}
	x.strike(a, func() error { return x.write(a, []byte("\n")) })
	x.finish(nil)
}

func zip(body []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, _ = z.Write(body) // into memory
	_ = z.Close()
	return buf.Bytes()
}

// strike does what ends the sending early. It returns if the fault is of another kind.
func (x *exchange) strike(a *answer, ping func() error) {
	switch a.Fault {
	case CutFIN, CutRST:
		x.flush()
		x.hangUp(a.Fault == CutRST)
	case Stall:
		x.flush()
		<-x.r.Context().Done()
		panic(http.ErrAbortHandler)
	case KeepAlivesOnly:
		every := a.KeepAlive
		if every <= 0 {
			every = 10 * time.Second
		}
		x.flush()
		for x.wait(every, nil) && ping() == nil {
			x.flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// settling is how long HTTP/2 is given to send what was written, which its server does in a goroutine of its own.
const settling = 10 * time.Millisecond

// hangUp closes the connection and ends the handler.
func (x *exchange) hangUp(reset bool) {
	if x.r.ProtoMajor == 2 {
		x.pause(settling)
	}
	x.note(func(r *Request) { r.Done = true })
	c := memhttp.Conn(x.r)
	if c == nil {
		c, _, _ = http.NewResponseController(x.w).Hijack() // nil on HTTP/2
	}
	if c != nil {
		if l, ok := c.(interface{ SetLinger(int) error }); ok && reset {
			_ = l.SetLinger(0)
		}
		_ = c.Close()
	}
	panic(http.ErrAbortHandler)
}

// wait waits, with signs of life if there are any. It reports whether the client is still there.
func (x *exchange) wait(d time.Duration, alive *lifeSigns) bool {
	ctx := x.r.Context()
	for d > 0 && ctx.Err() == nil {
		step := d
		if alive != nil && alive.every > 0 {
			step = min(d, alive.every)
		}
		x.pause(step)
		if d -= step; d > 0 && alive.send() != nil {
			return false
		}
	}
	return ctx.Err() == nil
}

type lifeSigns struct {
	every time.Duration
	send  func() error
}

// pause passes the time, unless the client leaves.
func (x *exchange) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-x.r.Context().Done():
	}
}

func (x *exchange) write(a *answer, b []byte) error {
	if a.Framing&ByteByByte == 0 {
		_, err := x.w.Write(b)
		return err
	}
	for c := range slices.Chunk(b, 1) {
		if _, err := x.w.Write(c); err != nil {
			return err
		}
		x.flush()
	}
	return nil
}

func (x *exchange) flush() { _ = http.NewResponseController(x.w).Flush() }

func (x *exchange) finish(err error) {
	x.note(func(r *Request) { r.Done = err == nil && x.r.Context().Err() == nil })
}

func requestID(prefix string, n int) string { return fmt.Sprintf("%s%022d", prefix, n) }
