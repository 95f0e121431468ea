package holdfast_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/holdfast-ai/holdfast"
)

// macOf is the scheme's one sentence, written without the package.
func macOf(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

var errBackend = errors.New("secret store down at 10.9.8.7")

// secrets knows client1; of "down" it cannot tell.
func secrets(_ context.Context, id string) (holdfast.Secret, error) {
	switch id {
	case "client1":
		return holdfast.NewSecret("the secret"), nil
	case "down":
		return holdfast.Secret{}, errBackend
	}
	return holdfast.Secret{}, nil
}

func request(t testing.TB, body io.Reader, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/messages", body)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestVerifierMiddleware(t *testing.T) {
	t.Parallel()
	const body = `{"ask":"why"}`
	good := macOf("the secret", []byte(body))
	const id, sig = "X-Client-ID", "X-Signature"
	tests := []struct {
		name    string
		body    io.Reader
		header  []string
		max     int64
		status  int
		message string
	}{
		{"good", strings.NewReader(body), []string{id, "client1", sig, good}, 0, 200, ""},
		{"exactly at the limit", strings.NewReader(body), []string{id, "client1", sig, good}, int64(len(body)), 200, ""},
		{"unknown length", io.MultiReader(strings.NewReader(body)), []string{id, "client1", sig, good}, 0, 200, ""},
		{"byte by byte", iotest.OneByteReader(strings.NewReader(body)), []string{id, "client1", sig, good}, 0, 200, ""},
		{"empty body", http.NoBody, []string{id, "client1", sig, macOf("the secret", nil)}, 0, 200, ""},
		{"wrong body", strings.NewReader(body + "\n"), []string{id, "client1", sig, good}, 0, 401, "unknown client or wrong signature"},
		{"wrong secret", strings.NewReader(body), []string{id, "client1", sig, macOf("another", []byte(body))}, 0, 401, "unknown client or wrong signature"},
		{"unknown client", strings.NewReader(body), []string{id, "client2", sig, good}, 0, 401, "unknown client or wrong signature"},
		{"unknown client, empty secret", strings.NewReader(body), []string{id, "client2", sig, macOf("", []byte(body))}, 0, 401, "unknown client or wrong signature"},
		{"client in capitals", strings.NewReader(body), []string{id, "CLIENT1", sig, good}, 0, 401, "unknown client or wrong signature"},
		{"not signed", strings.NewReader(body), nil, 0, 401, "the request is not signed"},
		{"no signature", strings.NewReader(body), []string{id, "client1"}, 0, 401, "the request is not signed"},
		{"no client", strings.NewReader(body), []string{sig, good}, 0, 401, "the request is not signed"},
		{"two clients", strings.NewReader(body), []string{id, "client1", id, "client2", sig, good}, 0, 401, "the request is not signed"},
		{"same client twice", strings.NewReader(body), []string{id, "client1", id, "client1", sig, good}, 0, 401, "the request is not signed"},
		{"two signatures", strings.NewReader(body), []string{id, "client1", sig, good, sig, strings.Repeat("0", 64)}, 0, 401, "the request is not signed"},
		{"folded clients", strings.NewReader(body), []string{id, "client1, client2", sig, good}, 0, 401, "malformed"},
		{"capitals", strings.NewReader(body), []string{id, "client1", sig, strings.ToUpper(good)}, 0, 401, "malformed"},
		{"short", strings.NewReader(body), []string{id, "client1", sig, good[:62]}, 0, 401, "malformed"},
		{"long", strings.NewReader(body), []string{id, "client1", sig, good + "00"}, 0, 401, "malformed"},
		{"space", strings.NewReader(body), []string{id, "client1", sig, " " + good}, 0, 401, "malformed"},
		{"no hexadecimal", strings.NewReader(body), []string{id, "client1", sig, strings.Repeat("g", 64)}, 0, 401, "malformed"},
		{"empty values", strings.NewReader(body), []string{id, "", sig, ""}, 0, 401, "malformed"},
		{"too large", strings.NewReader(body), []string{id, "client1", sig, good}, int64(len(body)) - 1, 413, "larger than 12 bytes"},
		{"too large, unknown length", io.MultiReader(strings.NewReader(body)), []string{id, "client1", sig, good}, int64(len(body)) - 1, 413, "larger than 12 bytes"},
		{"outer limit", http.MaxBytesReader(nil, io.NopCloser(strings.NewReader(body)), 5), []string{id, "client1", sig, good}, 0, 413, "larger than 5 bytes"},
		{"body breaks", io.MultiReader(strings.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF)), []string{id, "client1", sig, good}, 0, 400, "could not be read"},
		{"lookup fails", strings.NewReader(body), []string{id, "down", sig, good}, 0, 503, "cannot be checked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			v := &holdfast.Verifier{Secrets: secrets, MaxBody: tt.max, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			var reached bool
			next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				reached = true
				if got, ok := holdfast.ClientID(r.Context()); got != "client1" || !ok {
					t.Errorf("got the client %q, want client1", got)
				}
				if got, err := io.ReadAll(r.Body); (string(got) != body && tt.body != http.NoBody) || err != nil || r.Body.Close() != nil {
					t.Errorf("next read %q, %v, want the body", got, err)
				}
			})
			w := httptest.NewRecorder()
			v.Middleware(next).ServeHTTP(w, request(t, tt.body, tt.header...))
			if w.Code != tt.status || reached != (tt.status == 200) {
				t.Fatalf("got %d, reached %v, want %d", w.Code, reached, tt.status)
			}
			if tt.status == 200 {
				return
			}
			checkRefusal(t, w.Result(), tt.message)
			if logged := strings.Contains(log.String(), errBackend.Error()); logged != (tt.status == 503) {
				t.Errorf("got the log %q", log.String())
			}
		})
	}
}

// checkRefusal wants the JSON error, and nothing in it that only the gateway may know.
func checkRefusal(t *testing.T, resp *http.Response, message string) {
	t.Helper()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Error struct{ Type, Message string }
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	types := map[int]string{401: "unauthorized", 400: "invalid_request", 413: "request_too_large", 503: "unavailable"}
	if answer.Error.Type != types[resp.StatusCode] || !strings.Contains(answer.Error.Message, message) {
		t.Errorf("got %s, want %q", raw, message)
	}
	if bytes.Contains(raw, []byte("10.9.8.7")) || bytes.Contains(raw, []byte("client2")) {
		t.Errorf("the answer tells too much: %s", raw)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("got the content type %q", got)
	}
	if got := resp.Header.Get("WWW-Authenticate"); (got == "body-hmac") != (resp.StatusCode == http.StatusUnauthorized) {
		t.Errorf("got WWW-Authenticate %q with %d", got, resp.StatusCode)
	}
}

func TestUnknownClientAndWrongSignatureAreAlike(t *testing.T) {
	t.Parallel()
	v := &holdfast.Verifier{Secrets: secrets}
	var answers []*httptest.ResponseRecorder
	for _, id := range []string{"client1", "client2"} {
		w := httptest.NewRecorder()
		r := request(t, strings.NewReader("body"), "X-Client-ID", id, "X-Signature", strings.Repeat("0", 64))
		v.Middleware(http.NotFoundHandler()).ServeHTTP(w, r)
		answers = append(answers, w)
	}
	a, b := answers[0], answers[1]
	if a.Code != b.Code || a.Body.String() != b.Body.String() || fmt.Sprint(a.Header()) != fmt.Sprint(b.Header()) {
		t.Errorf("got %v %s and %v %s, want the same", a.Code, a.Body, b.Code, b.Body)
	}
	_, errKnown := v.Verify(request(t, strings.NewReader("x"), "X-Client-ID", "client1", "X-Signature", strings.Repeat("0", 64)))
	_, errUnknown := v.Verify(request(t, strings.NewReader("x"), "X-Client-ID", "nobody", "X-Signature", strings.Repeat("0", 64)))
	if errKnown == nil || errUnknown == nil || errKnown.Error() != errUnknown.Error() {
		t.Errorf("got %v and %v, want the same", errKnown, errUnknown)
	}
}

// An unknown client costs as many allocations, of the same work, as a wrong signature: the MAC is computed for it too.
func TestUnknownClientCostsTheSame(t *testing.T) {
	v := &holdfast.Verifier{Secrets: secrets}
	cost := func(id string) float64 {
		body := bytes.Repeat([]byte("x"), 4096)
		h := http.Header{"X-Client-Id": {id}, "X-Signature": {strings.Repeat("0", 64)}}
		return testing.AllocsPerRun(200, func() {
			r := &http.Request{Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
			if _, err := v.Verify(r); err == nil {
				t.Fatal("accepted")
			}
		})
	}
	if known, unknown := cost("client1"), cost("nobody1"); known != unknown {
		t.Errorf("got %v allocations for a known client, %v for an unknown one, want the same", known, unknown)
	}
}

func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	v := &holdfast.Verifier{Secrets: secrets}
	body := []byte(`{"model":"smart","n":1}`)
	mac := macOf("the secret", body)
	verify := func(body []byte, mac string) error {
		_, err := v.Verify(request(t, bytes.NewReader(body), "X-Client-ID", "client1", "X-Signature", mac))
		return err
	}
	if err := verify(body, mac); err != nil {
		t.Fatal(err)
	}
	for i := range body {
		for bit := range 8 {
			bent := bytes.Clone(body)
			bent[i] ^= 1 << bit
			if verify(bent, mac) == nil {
				t.Errorf("bit %d of byte %d: accepted", bit, i)
			}
		}
		if verify(body[:i], mac) == nil || verify(append(bytes.Clone(body[:i]), body[i+1:]...), mac) == nil {
			t.Errorf("byte %d: accepted when cut or left out", i)
		}
	}
	for i := range mac {
		for _, c := range []byte("0123456789abcdefABCDEF g") {
			if bent := mac[:i] + string(c) + mac[i+1:]; bent != mac && verify(body, bent) == nil {
				t.Errorf("digit %d as %c: accepted", i, c)
			}
		}
	}
}

func TestVerifierWithoutConfiguration(t *testing.T) {
	t.Parallel()
	signed := func() *http.Request {
		return request(t, strings.NewReader("x"), "X-Client-ID", "client1", "X-Signature", macOf("the secret", []byte("x")))
	}
	for name, v := range map[string]*holdfast.Verifier{
		"no Secrets":     {},
		"unknown scheme": {Secrets: secrets, Schemes: []string{"rot13"}},
	} {
		_, err := v.Verify(signed())
		var e *holdfast.VerifyError
		if !errors.As(err, &e) || e.Status != 503 || e.Err == nil {
			t.Errorf("%s: got %v, want 503", name, err)
		}
	}
	v := &holdfast.Verifier{Secrets: secrets, Schemes: []string{"body-hmac"}}
	if id, err := v.Verify(signed()); id != "client1" || err != nil {
		t.Errorf("named scheme: got %q, %v", id, err)
	}
	if id, ok := holdfast.ClientID(t.Context()); id != "" || ok {
		t.Errorf("got %q, %v, want no client in an empty context", id, ok)
	}
	if _, err := (&holdfast.Verifier{Secrets: secrets}).Verify(&http.Request{Header: http.Header{
		"X-Client-Id": {"client1"}, "X-Signature": {macOf("the secret", nil)},
	}}); err != nil {
		t.Errorf("nil body: got %v", err)
	}
}

func TestVerifierGivesTheCause(t *testing.T) {
	t.Parallel()
	v := &holdfast.Verifier{Secrets: secrets}
	_, err := v.Verify(request(t, strings.NewReader("x"), "X-Client-ID", "down", "X-Signature", strings.Repeat("0", 64)))
	if !errors.Is(err, errBackend) {
		t.Errorf("got %v, want the lookup's error beneath", err)
	}
}

// Over a real connection: a body in chunks, and one whose Content-Length promises more than comes.
func TestVerifierOverHTTP(t *testing.T) {
	t.Parallel()
	v := &holdfast.Verifier{Secrets: secrets, MaxBody: 1 << 20}
	statuses := make(chan int, 1)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })).ServeHTTP(rec, r)
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
		statuses <- rec.Code
	}))
	t.Cleanup(gateway.Close)
	body := bytes.Repeat([]byte("chunk "), 20_000)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gateway.URL, struct{ io.Reader }{bytes.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("x-client-id", "client1")
	req.Header.Set("x-signature", macOf("the secret", body))
	resp, err := gateway.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	echo, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil || <-statuses != 200 || !bytes.Equal(echo, body) {
		t.Errorf("chunked: got %d with %d bytes, %v, want 200 and the body", resp.StatusCode, len(echo), err)
	}

	conn, err := net.Dial("tcp", gateway.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: g\r\nX-Client-ID: client1\r\nX-Signature: %s\r\nContent-Length: 10\r\n\r\nabc", macOf("the secret", []byte("abc")))
	if err != nil || conn.Close() != nil {
		t.Fatal(err)
	}
	if got := <-statuses; got != 400 {
		t.Errorf("cut off: got %d, want 400", got)
	}
}

// FuzzVerify holds that only the true pair of headers is accepted, and that nothing panics.
func FuzzVerify(f *testing.F) {
	body := []byte("body")
	mac := macOf("the secret", body)
	f.Add("client1", mac)
	f.Add("client1 ", strings.ToUpper(mac))
	f.Add("", "")
	f.Add("client1,client1", mac+","+mac)
	f.Add("\x00", mac[:63]+"é")
	v := &holdfast.Verifier{Secrets: secrets}
	f.Fuzz(func(t *testing.T, id, signature string) {
		r := &http.Request{Header: http.Header{"X-Client-Id": {id}, "X-Signature": {signature}}, Body: io.NopCloser(bytes.NewReader(body))}
		got, err := v.Verify(r)
		if accepted := err == nil; accepted != (id == "client1" && signature == mac) || accepted != (got == "client1") {
			t.Errorf("%q, %q: got %q, %v", id, signature, got, err)
		}
	})
}

// The client signs, the gateway verifies, and a repeat of the request is signed again. A wrong secret is told as a bad key.
func TestClientAndGateway(t *testing.T) {
	t.Parallel()
	v := &holdfast.Verifier{Secrets: secrets}
	var calls atomic.Int32
	gateway := httptest.NewServer(v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"fault":"busy"}`)
			return
		}
		id, _ := holdfast.ClientID(r.Context())
		_, _ = fmt.Fprintf(w, `{"reply":"hello %s"}`, id)
	})))
	t.Cleanup(gateway.Close)
	ask := func(secret string) (*holdfast.ChatResponse, error) {
		client, err := holdfast.New(holdfast.Config{
			Adapters: map[string]holdfast.AIServiceAdapter{"acme": acme{}},
			Endpoints: []holdfast.Endpoint{{
				Name: "gateway", Provider: "acme", URL: gateway.URL, Proxy: "direct",
				Signing: &holdfast.Signing{ClientID: "client1", SecretSource: holdfast.Literal(secret)},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		return client.Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Who am I?")})
	}
	answer, err := ask("the secret")
	if err != nil || answer.Text() != "hello client1" || calls.Load() != 2 {
		t.Fatalf("got %v, %v in %d calls, want hello client1 in two", answer, err, calls.Load())
	}
	if _, err := ask("another"); holdfast.KindOf(err) != holdfast.KindKey {
		t.Errorf("wrong secret: got %v, want a bad key", err)
	}
}

// A gateway lets through what its clients have signed: here a client that is not in Go would do the same.
func ExampleVerifier_Middleware() {
	clients := map[string]holdfast.Secret{"client1": holdfast.NewSecret("the secret")}
	verifier := &holdfast.Verifier{
		Secrets: func(_ context.Context, clientID string) (holdfast.Secret, error) {
			return clients[clientID], nil // the zero Secret: no such client
		},
	}
	gateway := httptest.NewServer(verifier.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := holdfast.ClientID(r.Context())
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s said %s", id, body)
	})))
	defer gateway.Close()

	const body = `{"model":"smart"}`
	for _, secret := range []string{"the secret", "another"} {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(body))
		req, err := http.NewRequest(http.MethodPost, gateway.URL, strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("X-Client-ID", "client1")
		req.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
		resp, err := gateway.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		answer, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		fmt.Println(resp.StatusCode, strings.TrimSpace(string(answer)))
	}
	// Output:
	// 200 client1 said {"model":"smart"}
	// 401 {"error":{"type":"unauthorized","message":"unknown client or wrong signature"}}
}
