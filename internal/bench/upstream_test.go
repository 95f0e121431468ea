package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// upstreamVariable makes the test binary the upstream instead of running tests.
const upstreamVariable = "HOLDFAST_BENCH_UPSTREAM"

// upstreamURL is where the upstream listens.
var upstreamURL string

// startUpstream runs the upstream in a process of its own, so that its work does not count as the clients'.
func startUpstream() (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), upstreamVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	upstreamURL = strings.TrimSpace(line)
	return func() {
		in.Close()
		cmd.Wait() //nolint:errcheck // it ends when its input does; how is of no interest
	}, err
}

// serveUpstream is the upstream's main function. It ends with its standard input.
func serveUpstream() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", l.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // any end of the input will do
		os.Exit(0)
	}()
	log.Fatal(http.Serve(l, newUpstream()))
}

// upstream answers as the two providers do. Answers are prepared before the first request. A request is checked in full
// the first time its body is seen, and afterwards by comparing bytes.
type upstream struct {
	mux     http.ServeMux
	mu      sync.RWMutex
	checked map[string]bool
	bodies  sync.Pool
}

func newUpstream() *upstream {
	u := &upstream{checked: map[string]bool{}, bodies: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	for _, s := range append(scenarios, stream50000, unary501) {
		u.mux.HandleFunc("POST /"+s.name+"/v1/messages", u.handler(s, claude))
		u.mux.HandleFunc("POST /"+s.name+"/v1/chat/completions", u.handler(s, chat))
	}
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) { u.mux.ServeHTTP(w, r) }

func (u *upstream) handler(s scenario, d dialect) http.HandlerFunc {
	writes := [][]byte{unaryBody(d)}
	if s.chunks > 0 {
		writes = streamWrites(s, d)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if err := u.check(r, s, d); err != nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"type":"error","error":{"type":"invalid_request_error","message":%q}}`, err.Error())
			return
		}
		for _, kv := range responseHeaders(d) {
			w.Header()[kv[0]] = []string{kv[1]}
		}
		if s.chunks == 0 {
			w.Header().Set("Content-Type", "application/json")
			w.Write(writes[0]) //nolint:errcheck // the client will notice
			return
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		flusher := w.(http.Flusher)
		for _, b := range writes {
			if _, err := w.Write(b); err != nil {
				return
			}
			flusher.Flush()
		}
	}
}

func (u *upstream) check(r *http.Request, s scenario, d dialect) error {
	key := r.Header.Get("X-Api-Key")
	if d == chat {
		key = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	switch {
	case key != apiKey:
		return errors.New("the key is missing")
	case d == claude && r.Header.Get("Anthropic-Version") != "2023-06-01":
		return errors.New("anthropic-version is missing")
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		return errors.New("the content type is not JSON")
	}
	body := u.bodies.Get().(*bytes.Buffer)
	defer u.bodies.Put(body)
	body.Reset()
	if _, err := body.ReadFrom(r.Body); err != nil {
		return err
	}
	u.mu.RLock()
	seen := u.checked[string(body.Bytes())]
	u.mu.RUnlock()
	if seen {
		return nil
	}
	if err := checkBody(body.Bytes(), s, d); err != nil {
		return err
	}
	u.mu.Lock()
	u.checked[body.String()] = true
	u.mu.Unlock()
	return nil
}

// checkBody reads a request as the provider would.
func checkBody(body []byte, s scenario, d dialect) error {
	var got struct {
		Model         string `json:"model"`
		MaxTokens     int    `json:"max_tokens"`
		Stream        bool   `json:"stream"`
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return err
	}
	turns := s.turns()
	switch {
	case got.Model != d.model():
		return fmt.Errorf("unknown model %q", got.Model)
	case d == claude && got.MaxTokens <= 0:
		return errors.New("max_tokens is missing")
	case got.Stream != (s.chunks > 0):
		return errors.New("stream is wrong")
	case d == chat && got.Stream && !got.StreamOptions.IncludeUsage:
		return errors.New("stream_options.include_usage is missing")
	case len(got.Messages) != len(turns):
		return fmt.Errorf("got %d messages, want %d", len(got.Messages), len(turns))
	}
	for i, m := range got.Messages {
		if content, err := plainText(m.Content); err != nil || content != turns[i].text || m.Role != turns[i].role {
			return fmt.Errorf("message %d is not the one that was asked: %v", i, err)
		}
	}
	return nil
}

// plainText reads content given as a string or as text blocks.
func plainText(content json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(content, &s) == nil {
		return s, nil
	}
	var blocks []struct{ Type, Text string }
	if err := json.Unmarshal(content, &blocks); err != nil {
		return "", err
	}
	for _, b := range blocks {
		if b.Type != "text" {
			return "", fmt.Errorf("unexpected block %q", b.Type)
		}
		s += b.Text
	}
	return s, nil
}
