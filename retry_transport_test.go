package holdfast_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
)

// Each fault of the way to a provider, made with real sockets, TLS and DNS packets: the call goes on to the next endpoint,
// and the Trail names the fault by its meaning.
func TestTransportFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault func(t *testing.T) holdfast.Config // with the faulty endpoint first
		kind  holdfast.Kind
		sent  bool
	}{
		{"DNS: no such host", dnsFault(3), holdfast.KindDNS, false},
		{"DNS: SERVFAIL", dnsFault(2), holdfast.KindDNS, false},
		{"DNS: REFUSED", dnsFault(5), holdfast.KindDNS, false},
		{"refused", refused, holdfast.KindRefused, false},
		{"FIN before headers", rawServer(func(c net.Conn) { readRequest(c) }), holdfast.KindReset, true},
		{"RST before headers", rawServer(func(c net.Conn) {
			readRequest(c)
			_ = c.(*net.TCPConn).SetLinger(0)
		}), holdfast.KindReset, true},
		{"malformed answer", rawServer(func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n")
		}), holdfast.KindMalformed, true},
		{"body cut by Content-Length", rawServer(func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"reply\":\"hal")
		}), holdfast.KindTruncated, true},
		{"body cut in a chunk", rawServer(func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"reply\"")
		}), holdfast.KindTruncated, true},
		{"TLS: unknown authority", tlsFault(func(*httptest.Server, *holdfast.Config) {}), holdfast.KindTLS, false},
		{"TLS: another host's certificate", tlsFault(func(s *httptest.Server, c *holdfast.Config) {
			c.TLS = trusting(s)
			c.Endpoints[0].ServerName = "bank.test"
		}), holdfast.KindTLS, false},
		{"TLS: handshake refused", tlsFault(func(s *httptest.Server, c *holdfast.Config) {
			c.TLS = trusting(s)
			s.TLS.MinVersion = tls.VersionTLS13
			c.TLS.MaxVersion = tls.VersionTLS12
		}), holdfast.KindHandshake, false},
		{"HTTP on a TLS port", func(t *testing.T) holdfast.Config {
			s := serve(t, answering(`{"reply":"hi"}`))
			return config(strings.Replace(s.URL, "http:", "https:", 1))
		}, holdfast.KindIntercepted, false},
		{"proxy refused", func(t *testing.T) holdfast.Config {
			c := config("http://provider.test")
			c.Endpoints[0].Proxy = "http://" + closedPort(t)
			return c
		}, holdfast.KindProxy, false},
		{"proxy wants a password", func(t *testing.T) holdfast.Config {
			c := config("https://provider.test")
			c.Endpoints[0].Proxy = serve(t, status(407, "text/plain", "")).URL
			return c
		}, holdfast.KindProxy, false},
		{"proxy refuses", func(t *testing.T) holdfast.Config {
			c := config("https://provider.test")
			c.Endpoints[0].Proxy = serve(t, status(403, "text/plain", "")).URL
			return c
		}, holdfast.KindProxy, false},
		{"signing secret missing", func(t *testing.T) holdfast.Config {
			c := config(serve(t, answering(`{"reply":"hi"}`)).URL)
			c.Endpoints[0].Signing = &holdfast.Signing{ClientID: "me", Secret: "file:" + filepath.Join(t.TempDir(), "secret")}
			return c
		}, holdfast.KindSecret, false},
		{"a page with 200", fault(200, "text/html; charset=utf-8", "<html>Log in</html>"), holdfast.KindIntercepted, true},
		{"plain text with 200", fault(200, "text/plain", "hello"), holdfast.KindIntercepted, true},
		{"an empty 200", fault(200, "application/json", ""), holdfast.KindIntercepted, true},
		{"not the protocol", fault(200, "application/json", `[]`), holdfast.KindMalformed, true},
		{"not JSON", fault(200, "application/json", `{"reply":`), holdfast.KindMalformed, true},
		{"a page with 401", fault(401, "text/html", "<html>Proxy</html>"), holdfast.KindKey, true},
		{"a page with 404", fault(404, "text/html", "<html>nginx</html>"), holdfast.KindPath, true},
		{"a page with 502", fault(502, "text/html", "<html>Bad gateway</html>"), holdfast.KindGateway, true},
		{"a captive portal", fault(511, "text/html", "<html>Wi-Fi</html>"), holdfast.KindIntercepted, true},
		{"not gzip", func(t *testing.T) holdfast.Config {
			return config(serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				answering(`{"reply":"hi"}`)(w, nil)
			}).URL)
		}, holdfast.KindMalformed, true},
		{"larger than the limit", func(t *testing.T) holdfast.Config {
			c := config(serve(t, answering(`{"reply":"`+strings.Repeat("x", 5000)+`"}`)).URL)
			c.MaxAnswerBytes = 4096
			return c
		}, holdfast.KindAnswerTooLarge, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conf := c.fault(t)
			conf.Retry.MaxAttempts = 2
			well := serve(t, answering(`{"reply":"well"}`))
			conf.Endpoints = append(conf.Endpoints, holdfast.Endpoint{
				Name: "well", Provider: "acme", URL: well.URL, KeySource: holdfast.Literal("k2"), Proxy: "direct",
			})
			answer, err := newClient(t, conf).Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("How are you?")})
			if err != nil {
				t.Fatal(err)
			}
			if got := answer.Text(); got != "well" {
				t.Errorf("got the answer %q, want %q", got, "well")
			}
			first := answer.Trail.Attempts[0]
			if first.Kind != c.kind || first.Sent != c.sent {
				t.Errorf("got %q (%s), sent %v; want %q, sent %v", first.Kind, first.Error, first.Sent, c.kind, c.sent)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int32
	thief := serve(t, func(w http.ResponseWriter, r *http.Request) { stolen.Add(1) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL, code) })
		_, err := newClient(t, config(s.URL)).Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Hi")})
		if !errors.Is(err, holdfast.KindRedirect) {
			t.Errorf("%d: got %v, want a redirect error", code, err)
		}
	}
	if stolen.Load() > 0 {
		t.Errorf("%d requests went where a redirect pointed", stolen.Load())
	}
}

func TestUnaskedGzip(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, `{"reply":"unpacked"}`)
		_ = z.Close()
	})
	answer, err := newClient(t, config(s.URL)).Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Hi")})
	if err != nil || answer.Text() != "unpacked" {
		t.Errorf("got %v, %v", answer, err)
	}
}

func TestGzipBomb(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 8<<20))
	_ = z.Close()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	conf := config(s.URL)
	conf.MaxAnswerBytes = 1 << 20
	_, err := newClient(t, conf).Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Hi")})
	if !errors.Is(err, holdfast.KindAnswerTooLarge) {
		t.Errorf("got %v, want an answer that is too large", err)
	}
}

func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conf := config("http://provider.test")
		conf.Timeouts.Connect = 3 * time.Second
		conf.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		client := newClient(t, conf)
		begun := time.Now()
		_, err := client.Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Hi")})
		if !errors.Is(err, holdfast.KindConnectTimeout) || time.Since(begun) != 3*time.Second {
			t.Errorf("got %v after %v, want a connect timeout after 3s", err, time.Since(begun))
		}
	})
}

func config(url string) holdfast.Config {
	return holdfast.Config{
		Adapters:  map[string]holdfast.AIServiceAdapter{"acme": acme{}},
		Endpoints: []holdfast.Endpoint{{Name: "faulty", Provider: "acme", URL: url, KeySource: holdfast.Literal("k1")}},
	}
}

func newClient(t *testing.T, conf holdfast.Config) *holdfast.Client {
	t.Helper()
	client, err := holdfast.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func answering(body string) http.HandlerFunc { return status(200, "application/json", body) }

func status(code int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func fault(code int, kind, body string) func(*testing.T) holdfast.Config {
	return func(t *testing.T) holdfast.Config { return config(serve(t, status(code, kind, body)).URL) }
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

func refused(t *testing.T) holdfast.Config { return config("http://" + closedPort(t)) }

// rawServer speaks as the given function does, and then closes the connection.
func rawServer(speak func(net.Conn)) func(*testing.T) holdfast.Config {
	return func(t *testing.T) holdfast.Config {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				speak(c)
				_ = c.Close()
			}
		}()
		return config("http://" + l.Addr().String())
	}
}

func readRequest(c net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

func tlsFault(change func(*httptest.Server, *holdfast.Config)) func(*testing.T) holdfast.Config {
	return func(t *testing.T) holdfast.Config {
		s := httptest.NewUnstartedServer(answering(`{"reply":"intercepted"}`))
		s.Config.ErrorLog = nil
		s.StartTLS()
		t.Cleanup(s.Close)
		conf := config(s.URL)
		change(s, &conf)
		return conf
	}
}

func trusting(s *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// dnsFault resolves names through a real DNS server that answers every question with the given code (RFC 1035 §4.1.1).
func dnsFault(code byte) func(*testing.T) holdfast.Config {
	return func(t *testing.T) holdfast.Config {
		server, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		go func() {
			buf := make([]byte, 512)
			for {
				n, from, err := server.ReadFrom(buf)
				if err != nil {
					return
				}
				buf[2] |= 0x80       // an answer
				buf[3] = 0x80 | code // recursion available, the code
				clear(buf[6:12])     // no records
				_, _ = server.WriteTo(buf[:questionEnd(buf[:n])], from)
			}
		}()
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
		}}
		conf := config("http://provider.test")
		conf.Dial = (&net.Dialer{Resolver: resolver}).DialContext
		return conf
	}
}

// questionEnd finds where the one question of a DNS message ends.
func questionEnd(msg []byte) int {
	i := 12
	for i < len(msg) && msg[i] != 0 {
		i += int(msg[i]) + 1
	}
	return min(i+5, len(msg))
}
