package holdfast

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// signed returns the two headers that body-hmac sets.
func signed(t testing.TB, id, secret string, body []byte) (clientID, signature string) {
	t.Helper()
	s, faults := newSigner(&Signing{ClientID: id, SecretSource: Literal(secret)})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway.example/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.sign(t.Context(), req, body); err != nil {
		t.Fatal(err)
	}
	if len(req.Header) != 2 {
		t.Errorf("got the headers %v, want two", req.Header)
	}
	return req.Header.Get("X-Client-ID"), req.Header.Get("X-Signature")
}

// The vectors of RFC 4231 for HMAC-SHA-256 (case 5 is of a truncated MAC and compared so).
func TestBodyHMACVectors(t *testing.T) {
	t.Parallel()
	tests := []struct{ key, data, want string }{
		{strings.Repeat("\x0b", 20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{strings.Repeat("\xaa", 20), strings.Repeat("\xdd", 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
		{
			"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19",
			strings.Repeat("\xcd", 50), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
		},
		{strings.Repeat("\x0c", 20), "Test With Truncation", "a3b6167473100ee06e0c796c2955552b"},
		{
			strings.Repeat("\xaa", 131), "Test Using Larger Than Block-Size Key - Hash Key First",
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
		},
		{
			strings.Repeat("\xaa", 131), "This is a test using a larger than block-size key and a larger than block-size data. " +
				"The key needs to be hashed before being used by the HMAC algorithm.",
			"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
		},
	}
	for i, tt := range tests {
		for range 2 { // the second time with a prepared MAC
			id, got := signed(t, "client1", tt.key, []byte(tt.data))
			if got[:len(tt.want)] != tt.want || len(got) != 64 || id != "client1" {
				t.Errorf("case %d: got %s of %q, want %s", i+1, got, id, tt.want)
			}
		}
	}
}

// accepts is a verifier that knows nothing of ours: X-Signature is the lower-case hexadecimal HMAC-SHA256 of the exact bytes
// of the body, keyed by the secret of the client that X-Client-ID names.
func accepts(secrets map[string]string, h http.Header, body []byte) bool {
	secret, ok := secrets[h.Get("X-Client-ID")]
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return ok && hmac.Equal([]byte(h.Get("X-Signature")), []byte(hex.EncodeToString(mac.Sum(nil))))
}

var signedBodies = map[string][]byte{
	"empty":    nil,
	"JSON":     []byte(`{"model":"smart","messages":[{"role":"user","content":"Why is the sky blue?"}]}`),
	"new line": []byte("a\nb\r\n"),
	"binary":   {0, 1, 2, 0xff, 0xfe},
	"large":    bytes.Repeat([]byte("0123456789abcdef"), 1<<16),
}

func TestIndependentVerifierAccepts(t *testing.T) {
	t.Parallel()
	for name, body := range signedBodies {
		id, signature := signed(t, "client1", "the secret", body)
		h := http.Header{}
		h.Set("X-Client-ID", id)
		h.Set("X-Signature", signature)
		if !accepts(map[string]string{"client1": "the secret"}, h, body) {
			t.Errorf("%s: not accepted", name)
		}
		if accepts(map[string]string{"client1": "another"}, h, body) {
			t.Errorf("%s: accepted under another secret", name)
		}
	}
}

func TestOpenSSLAgrees(t *testing.T) {
	t.Parallel()
	for name, body := range signedBodies {
		cmd := exec.CommandContext(t.Context(), "openssl", "dgst", "-sha256", "-hmac", "the secret", "-hex", "-r")
		cmd.Stdin = bytes.NewReader(body)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("openssl is needed for this test: %v", err)
		}
		want, _, _ := strings.Cut(string(out), " ")
		if _, got := signed(t, "client1", "the secret", body); got != want {
			t.Errorf("%s: got %s, openssl says %s", name, got, want)
		}
	}
}

func TestSigningFaults(t *testing.T) {
	t.Parallel()
	good := Signing{ClientID: "client1", Secret: "env:X"}
	tests := []struct {
		name   string
		change func(*Signing)
		want   string
	}{
		{"good", func(*Signing) {}, ""},
		{"named scheme", func(s *Signing) { s.Scheme = "body-hmac" }, ""},
		{"own signer", func(s *Signing) { s.Signer = &bodyHMAC{} }, ""},
		{"unknown scheme", func(s *Signing) { s.Scheme = "Body-HMAC" }, `scheme: "Body-HMAC" is not known: body-hmac`},
		{"both schemes", func(s *Signing) { s.Scheme, s.Signer = "body-hmac", &bodyHMAC{} }, "scheme: and Signer are both given: give one"},
		{"no client", func(s *Signing) { s.ClientID = "" }, "client_id: is required"},
		{"client", func(s *Signing) { s.ClientID = "a\nb" }, "client_id: must be up to 256 visible ASCII characters without a comma"},
		{"comma", func(s *Signing) { s.ClientID = "a,b" }, "client_id: must be up to 256 visible ASCII characters without a comma"},
		{"long client", func(s *Signing) { s.ClientID = strings.Repeat("a", 257) }, "client_id: must be up to 256 visible ASCII characters without a comma"},
		{"no secret", func(s *Signing) { s.Secret = "" }, `secret: is required: for instance "env:NAME"`},
		{"two secrets", func(s *Signing) { s.SecretSource = Literal("x") }, "secret: and SecretSource are both given: give one"},
		{
			"literal", func(s *Signing) { s.Secret = testSecret },
			"secret: is neither env:NAME nor file:PATH; a literal key is given in code with Literal",
		},
		{
			"all at once", func(s *Signing) { *s = Signing{Scheme: "x"} },
			`scheme: "x" is not known: body-hmac` + "\n" + "client_id: is required\n" + `secret: is required: for instance "env:NAME"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config := good
			tt.change(&config)
			_, faults := newSigner(&config)
			got := make([]string, 0, len(faults))
			for _, f := range faults {
				got = append(got, f.String())
			}
			if got := strings.Join(got, "\n"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

type failingSource struct{ err error }

func (f failingSource) Secret(context.Context) (Secret, error) { return Secret{}, f.err }

func TestSignNeedsASecret(t *testing.T) {
	t.Parallel()
	broken := errors.New("vault sealed")
	for _, err := range []error{broken, nil} {
		s, _ := newSigner(&Signing{ClientID: "c", SecretSource: failingSource{err}})
		req := &http.Request{Header: http.Header{}}
		got := s.sign(t.Context(), req, []byte("body"))
		if got == nil || (err != nil && !errors.Is(got, err)) || len(req.Header) != 0 {
			t.Errorf("%v: got %v and %v, want an error and nothing signed", err, got, req.Header)
		}
	}
}

// rotating gives another secret at every call.
type rotating struct{ n int }

func (r *rotating) Secret(context.Context) (Secret, error) {
	r.n++
	return NewSecret(fmt.Sprintf("secret %d", r.n)), nil
}

func TestSigningAgainReplacesTheHeaders(t *testing.T) {
	t.Parallel()
	s, _ := newSigner(&Signing{ClientID: "client1", SecretSource: &rotating{}})
	req := &http.Request{Header: http.Header{}}
	body := []byte("body")
	for n := 1; n <= 3; n++ {
		if err := s.sign(t.Context(), req, body); err != nil {
			t.Fatal(err)
		}
		if !accepts(map[string]string{"client1": fmt.Sprintf("secret %d", n)}, req.Header, body) ||
			len(req.Header.Values("X-Signature")) != 1 || len(req.Header.Values("X-Client-ID")) != 1 {
			t.Errorf("call %d: got %v, want one signature by the secret of now", n, req.Header)
		}
	}
}

func TestSignAllocatesLittle(t *testing.T) {
	s, _ := newSigner(&Signing{ClientID: "client1", SecretSource: Literal("the secret")})
	req := &http.Request{Header: http.Header{}}
	body := signedBodies["JSON"]
	// The least of many runs: a collection, and at random the race detector, empties the pool of prepared MACs.
	least := math.Inf(1)
	for range 50 {
		least = min(least, testing.AllocsPerRun(1, func() {
			if err := s.sign(context.Background(), req, body); err != nil {
				t.Fatal(err)
			}
		}))
	}
	if least > 2 { // the signature, and the slice for both headers' values
		t.Errorf("got %v allocations, want at most 2", least)
	}
}

func BenchmarkSign(b *testing.B) {
	s, _ := newSigner(&Signing{ClientID: "client1", SecretSource: Literal("the secret")})
	req := &http.Request{Header: http.Header{}}
	body := signedBodies["JSON"]
	b.ReportAllocs()
	for b.Loop() {
		if err := s.sign(b.Context(), req, body); err != nil {
			b.Fatal(err)
		}
	}
}
