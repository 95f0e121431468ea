package holdfasttest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// met is what a client sees of an answer.
type met struct {
	err    error // before the headers
	cut    error // in the body
	status int
	header http.Header
	body   string
	text   string
	whole  bool
}

func meet(t *testing.T, c *http.Client, s *holdfasttest.Server, i int, stream bool) met {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return meetWithin(ctx, c, s, i, stream)
}

func meetWithin(ctx context.Context, c *http.Client, s *holdfasttest.Server, i int, stream bool) met {
	path, body := question(i, stream)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := ask(ctx, c, ways[i].dialect, s.URL+path, body)
	if err != nil {
		return met{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	m := met{cut: err, status: res.StatusCode, header: res.Header, body: string(b)}
	if stream {
		m.text, m.whole = said(i, m.body)
	}
	return m
}

// overHTTP2 reports whether a client broke off a stream instead of a connection.
func overHTTP2(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "stream error") || strings.Contains(err.Error(), "http2"))
}

func cut(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || overHTTP2(err)
}

func TestStreamFaults(t *testing.T) {
	t.Parallel()
	const full = "one two three four"
	tests := []struct {
		fault holdfasttest.Fault
		good  func(met) bool
	}{
		{holdfasttest.ResetBeforeHeaders, func(m met) bool { return m.err != nil }},
		{holdfasttest.CloseBeforeHeaders, func(m met) bool { return m.err != nil }},
		{holdfasttest.CutFIN, func(m met) bool { return cut(m.cut) && m.text == "one two " && !m.whole }},
		{holdfasttest.CutRST, func(m met) bool {
			return cut(m.cut) && (m.text == "one two " || m.text == "one " || m.text == "") && !m.whole
		}},
		{holdfasttest.EndEarly, func(m met) bool { return m.cut == nil && m.text == "one two " && !m.whole }},
		{holdfasttest.MalformedEvent, func(m met) bool { return m.cut == nil && m.text == full && strings.Contains(m.body, `"content":`+"\n") }},
		{holdfasttest.NoTerminator, func(m met) bool { return m.cut == nil && m.text == full && !m.whole }},
		{holdfasttest.ErrorInStream, func(m met) bool {
			return m.cut == nil && m.text == "one two " && !m.whole && (strings.Contains(m.body, `"error":{`) || strings.Contains(m.body, `"type":"error"`))
		}},
		{holdfasttest.ErrorIn200, func(m met) bool { return m.status == 200 && strings.Contains(m.body, `"error":`) }},
		{holdfasttest.HTML, func(m met) bool {
			return m.status == 200 && strings.Contains(m.body, "<html>") && strings.HasPrefix(m.header.Get("Content-Type"), "text/html")
		}},
		{holdfasttest.Redirect, func(m met) bool { return m.status == 307 && m.header.Get("Location") != "" }},
		{holdfasttest.EmptyBody, func(m met) bool { return m.status == 200 && m.body == "" && m.cut == nil }},
		{holdfasttest.WrongLength, func(m met) bool { return m.cut != nil && m.text == full }},
		{holdfasttest.HugeFrame, func(m met) bool {
			return m.cut == nil && m.whole && len(m.text) == len(full)+100_000 && strings.HasPrefix(m.text, "one two hold")
		}},
	}
	for i, w := range ways {
		for _, p := range places {
			t.Run(w.name+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				p.run(t, w.dialect, func(t *testing.T, s *holdfasttest.Server, c *http.Client) {
					for _, tt := range tests {
						s.Script(holdfasttest.Reply{Text: full, Fault: tt.fault, After: 2, Size: 100_000})
						if m := meet(t, c, s, i, true); !tt.good(m) {
							t.Errorf("%s: got %+v", tt.fault, m)
						}
					}
				})
			})
		}
	}
}

func TestBodyFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault holdfasttest.Fault
		good  func(met) bool
	}{
		{holdfasttest.CutFIN, func(m met) bool { return cut(m.cut) && m.body != "" }},
		{holdfasttest.CutRST, func(m met) bool { return cut(m.cut) }},
		{holdfasttest.EndEarly, func(m met) bool { return m.cut == nil && m.body != "" && !strings.HasSuffix(m.body, "}") }},
		{holdfasttest.MalformedEvent, func(m met) bool { return m.cut == nil && strings.HasSuffix(m.body, "}]") }},
		{holdfasttest.ErrorInStream, func(m met) bool { return m.status == 200 && strings.Contains(m.body, `"error":{`) }},
		{holdfasttest.WrongLength, func(m met) bool { return m.cut != nil && strings.HasSuffix(m.body, "}") }},
		{holdfasttest.HugeFrame, func(m met) bool { return len(m.body) > 100_000 && m.cut == nil }},
		{holdfasttest.EmptyBody, func(m met) bool { return m.body == "" && m.cut == nil && m.header.Get("Content-Length") == "0" }},
	}
	for i, w := range ways {
		for _, p := range places {
			t.Run(w.name+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				p.run(t, w.dialect, func(t *testing.T, s *holdfasttest.Server, c *http.Client) {
					for _, tt := range tests {
						s.Script(holdfasttest.Reply{Fault: tt.fault, Size: 100_000})
						if m := meet(t, c, s, i, false); !tt.good(m) {
							t.Errorf("%s: got %+v", tt.fault, m)
						}
					}
				})
			})
		}
	}
}

// TestSilence is about answers that stop without an end; the client gives up.
func TestSilence(t *testing.T) {
	t.Parallel()
	for i, w := range ways {
		for _, p := range places {
			if strings.HasPrefix(p.name, "loopback") {
				continue
			}
			t.Run(w.name+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				p.run(t, w.dialect, func(t *testing.T, s *holdfasttest.Server, c *http.Client) {
					for _, fault := range []holdfasttest.Fault{holdfasttest.Stall, holdfasttest.KeepAlivesOnly} {
						for _, stream := range []bool{true, false} {
							s.Script(holdfasttest.Reply{Fault: fault, After: 2})
							start := time.Now()
							m := meet(t, c, s, i, stream)
							if !errors.Is(m.cut, context.DeadlineExceeded) {
								t.Errorf("%s: got %+v, want the deadline", fault, m)
							}
							if got, want := time.Since(start), time.Minute; got != want {
								t.Errorf("%s: waited %v, want %v", fault, got, want)
							}
							s.Wait()
							log := s.Requests()
							if last := log[len(log)-1]; !last.Aborted || last.Done || stream && last.Chunks != 2 {
								t.Errorf("%s: got %+v, want an aborted request", fault, last)
							}
						}
					}
				})
			})
		}
	}
}

func TestStallEndsWithTheServer(t *testing.T) {
	t.Parallel()
	s := holdfasttest.NewServer(holdfasttest.Claude)
	s.Script(holdfasttest.Reply{Fault: holdfasttest.Stall, After: 1})
	path, body := question(0, true)
	res, err := ask(t.Context(), s.Client(), holdfasttest.Claude, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	s.Close()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("got a whole body from a server that was closed")
	}
}

func TestDelays(t *testing.T) {
	t.Parallel()
	for i, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			places[2].run(t, w.dialect, func(t *testing.T, s *holdfasttest.Server, c *http.Client) {
				r := holdfasttest.Reply{
					Text: "one two three", BeforeHeaders: time.Second, BeforeFirst: 10 * time.Second, Between: 3 * time.Second,
					KeepAlive: 4 * time.Second,
				}
				s.Always(r)
				start := time.Now()
				path, body := question(i, true)
				res, err := ask(t.Context(), c, w.dialect, s.URL+path, body)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if got, want := time.Since(start), time.Second; got != want {
					t.Errorf("headers after %v, want %v", got, want)
				}
				b, err := io.ReadAll(res.Body)
				if got, want := time.Since(start), 17*time.Second; got != want || err != nil {
					t.Errorf("end after %v, %v, want %v", got, err, want)
				}
				if text, whole := said(i, string(b)); text != r.Text || !whole {
					t.Errorf("got %q, whole %v, want %q", text, whole, r.Text)
				}
				start = time.Now()
				meet(t, c, s, i, false)
				if got, want := time.Since(start), 11*time.Second; got != want {
					t.Errorf("body after %v, want %v", got, want)
				}
			})
		})
	}
}

func TestFraming(t *testing.T) {
	t.Parallel()
	const want = "Grüß dich 🌍 there"
	framings := map[string]holdfasttest.Framing{
		"CRLF": holdfasttest.CRLF, "CR": holdfasttest.CR, "BOM": holdfasttest.BOM, "byte by byte": holdfasttest.ByteByByte,
		"split": holdfasttest.SplitRunes, "no space": holdfasttest.NoSpace, "comments": holdfasttest.Comments,
		"fields": holdfasttest.ManyFields, "no last blank": holdfasttest.NoLastBlank,
		"all": holdfasttest.CRLF | holdfasttest.BOM | holdfasttest.SplitRunes | holdfasttest.NoSpace | holdfasttest.Comments | holdfasttest.ManyFields,
	}
	marks := map[string]string{
		"CRLF": "\r\n\r\n", "CR": "\r\r", "BOM": "\ufeff", "no space": "data:{", "comments": "\n: keep-alive", "fields": "\nretry: 3000\n",
	}
	for i, w := range ways {
		for name, f := range framings {
			t.Run(w.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				places[2].run(t, w.dialect, func(t *testing.T, s *holdfasttest.Server, c *http.Client) {
					s.Script(holdfasttest.Reply{Text: want, Framing: f})
					m := meet(t, c, s, i, true)
					if m.text != want || !m.whole || m.cut != nil || !strings.Contains(m.body, marks[name]) {
						t.Errorf("got %+v, want %q", m, want)
					}
					if name == "no last blank" && strings.HasSuffix(m.body, "\n\n") {
						t.Errorf("got %q, want no blank line at the end", m.body)
					}
				})
			})
		}
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	for i, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			s := holdfasttest.NewServer(w.dialect)
			defer s.Close()
			s.Always(holdfasttest.Reply{Text: "squeezed", Gzip: true})
			if m := meet(t, s.Client(), s, i, true); m.text != "squeezed" || !m.whole {
				t.Errorf("got %+v, want the text", m)
			}
			if m := meet(t, s.Client(), s, i, false); !strings.Contains(m.body, "squeezed") {
				t.Errorf("got %+v, want the text", m)
			}
			c := s.Client()
			c.Transport.(*http.Transport).DisableCompression = true
			if m := meet(t, c, s, i, false); !strings.HasPrefix(m.body, "\x1f\x8b") || m.header.Get("Content-Encoding") != "gzip" {
				t.Errorf("got %+v, want gzip unasked", m)
			}
		})
	}
}

func TestOneMissingDone(t *testing.T) {
	t.Parallel()
	s := holdfasttest.NewServer(holdfasttest.OpenAI)
	defer s.Close()
	for fault, want := range map[holdfasttest.Fault]bool{"": true, holdfasttest.NoDone: false} {
		s.Script(holdfasttest.Reply{Fault: fault})
		m := meet(t, s.Client(), s, 1, true)
		if got := strings.Contains(m.body, "[DONE]"); got != want || !m.whole {
			t.Errorf("%q: got done %v, whole %v, want %v", fault, got, m.whole, want)
		}
	}
}
