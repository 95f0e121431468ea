package rawh2_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast/internal/memhttp"
	"github.com/holdfast-ai/holdfast/internal/rawh2"
)

// serve starts a server and returns a client of it, which the caller closes by the function returned, in the bubble.
func serve(script func(*rawh2.Stream)) (*rawh2.Server, *http.Client, func()) {
	n := new(memhttp.Network)
	s := rawh2.Serve(n, "a.test", script)
	tr := n.Transport()
	tr.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second}
	return s, &http.Client{Transport: tr}, func() {
		tr.CloseIdleConnections()
		s.Close()
		n.Close()
	}
}

func post(c *http.Client, url, body string) (string, error) {
	res, err := c.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.Header.Get("Content-Type") + " " + res.Proto + " " + res.Status[:3] + " " + string(text), err
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, client, end := serve(func(st *rawh2.Stream) {
			body := st.Body()
			st.Head(429, "text/plain")
			st.Send(body)
			st.End()
		})
		defer end()
		long := strings.Repeat("abcdefg", 50_000) // more than a frame and more than a window
		for _, body := range []string{"", "short", long} {
			got, err := post(client, s.URL, body)
			if want := "text/plain HTTP/2.0 429 " + body; got != want || err != nil {
				t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
			}
		}
		if len(s.Conns()) != 1 || len(s.Streams()) != 3 || s.Streams()[2].ID != 5 {
			t.Errorf("got %d streams on %d connections, want 3 on 1", len(s.Streams()), len(s.Conns()))
		}
	})
}

func TestWaysToEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*rawh2.Stream)
		want string // "" for an answer without an error
	}{
		{"in order", (*rawh2.Stream).End, ""},
		{"a reset", func(s *rawh2.Stream) { s.Reset(rawh2.InternalError) }, "INTERNAL_ERROR; received from peer"},
		{"GOAWAY, then the rest", func(s *rawh2.Stream) { s.Conn.GoAway(s.ID, rawh2.NoError); s.End() }, ""},
		{"GOAWAY and the end", func(s *rawh2.Stream) { s.Conn.GoAway(s.ID, rawh2.NoError); s.Conn.Close() }, "server sent GOAWAY"},
		{"the end", func(s *rawh2.Stream) { s.Conn.Close() }, "unexpected EOF"},
		{"broken off", func(s *rawh2.Stream) { s.Conn.Break() }, "connection reset"},
		{"silence", func(s *rawh2.Stream) { s.Conn.Silence() }, "client connection lost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, client, end := serve(func(st *rawh2.Stream) {
					st.Head(200, "text/plain")
					st.Send("begun")
					tt.end(st)
				})
				defer end()
				got, err := post(client, s.URL, "hello")
				if tt.want == "" && (got != "text/plain HTTP/2.0 200 begun" || err != nil) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("got %q, %v, want the error %q", got, err, tt.want)
				}
			})
		})
	}
}

func TestClientLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, client, end := serve(func(st *rawh2.Stream) {
			st.Head(200, "text/plain")
			<-st.Gone()
		})
		defer end()
		res, err := client.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		synctest.Wait()
		if code, is := s.Streams()[0].ResetBy(); !is || code != rawh2.Cancel {
			t.Errorf("got %v, %v, want a reset with CANCEL", code, is)
		}
		time.Sleep(time.Minute)
		if got := s.Conns()[0].Pings(); got < 3 {
			t.Errorf("got %d pings in a minute of silence, want some every 15 s", got)
		}
	})
}
