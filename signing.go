package holdfast

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Signing has an endpoint's requests signed, for gateways that want proof of who is asking. The gateway's half is
// [Verifier].
type Signing struct {
	// Scheme is how requests are signed; empty means "body-hmac".
	//
	// body-hmac sends the headers X-Client-ID and X-Signature: the lower-case hexadecimal HMAC-SHA256 of the exact bytes of
	// the body, keyed by the client's secret. It proves who wrote the body. It protects neither path nor headers, and a
	// request that was overheard can be sent again: use it over TLS.
	Scheme string `json:"scheme,omitempty"`
	// ClientID is the name under which the gateway knows the secret: up to 256 visible ASCII characters, no comma.
	ClientID string `json:"client_id"`
	// Secret refers to the secret: "env:NAME" or "file:/path". A file is read again when it changes.
	Secret string `json:"secret,omitempty"`
	// SecretSource gives the secret in code instead.
	SecretSource KeySource `json:"-"`
	// Signer is a scheme of your own, in place of Scheme.
	Signer Signer `json:"-"`
}

// Signer is the client's half of a signing scheme. It is safe for concurrent use.
type Signer interface {
	// Sign sets the scheme's headers on req, proving that the holder of secret sends it as clientID. It is called for
	// every sending, repeats included, and replaces what an earlier call has set: a time or a nonce is never sent twice.
	// body is exactly what will be sent; req.Body is not to be read. Neither is kept.
	Sign(req *http.Request, body []byte, clientID string, secret Secret) error
}

// scheme is both halves of a signing scheme. A further scheme is one more type and one more line in schemes.
type scheme interface {
	Signer
	// claim reads from the headers who the request says it is from, with what proof. present is false if the request
	// bears no header of this scheme; err tells a client what is wrong with those it bears.
	claim(h http.Header) (c claim, present bool, err error)
	// proven reports whether the claim holds for the body under a secret, in a time that does not depend on where the
	// proof is wrong.
	proven(r *http.Request, body []byte, c claim, secret Secret) bool
}

// claim is what a request says of its sender, unproven.
type claim struct {
	clientID string
	mac      [sha256.Size]byte
}

const schemeBodyHMAC = "body-hmac"

var schemes = map[string]scheme{
	schemeBodyHMAC: &bodyHMAC{},
}

func schemeNames() string { return strings.Join(slices.Sorted(maps.Keys(schemes)), ", ") }

// signer signs the requests of one endpoint.
type signer struct {
	scheme   Signer
	clientID string
	secrets  KeySource
}

// newSigner checks a configuration. The secret is read when it is needed.
func newSigner(config *Signing) (*signer, []Fault) {
	var faults []Fault
	fault := func(field, message string) { faults = append(faults, Fault{Field: field, Message: message}) }
	s := &signer{scheme: config.Signer, clientID: config.ClientID, secrets: config.SecretSource}
	name := cmp.Or(config.Scheme, schemeBodyHMAC)
	switch known, ok := schemes[name]; {
	case config.Signer != nil && config.Scheme != "":
		fault("scheme", "and Signer are both given: give one")
	case config.Signer != nil:
	case ok:
		s.scheme = known
	default:
		fault("scheme", fmt.Sprintf("%q is not known: %s", name, schemeNames()))
	}
	switch {
	case config.ClientID == "":
		fault("client_id", "is required")
	case !isClientID(config.ClientID):
		fault("client_id", "must be up to 256 visible ASCII characters without a comma")
	}
	switch {
	case config.Secret != "" && config.SecretSource != nil:
		fault("secret", "and SecretSource are both given: give one")
	case config.SecretSource != nil:
	case config.Secret == "":
		fault("secret", "is required: for instance \"env:NAME\"")
	default:
		var err error
		if s.secrets, err = keyRef(config.Secret); err != nil {
			fault("secret", err.Error())
		}
	}
	return s, faults
}

// sign reads the secret, which may have changed, and signs.
func (s *signer) sign(ctx context.Context, req *http.Request, body []byte) error {
	secret, err := s.secrets.Secret(ctx)
	if err != nil {
		return fmt.Errorf("signing secret: %w", err)
	}
	if secret.IsZero() {
		return errors.New("signing secret: is empty")
	}
	return s.scheme.Sign(req, body, s.clientID, secret)
}

const maxClientID = 256

func isClientID(s string) bool {
	return s != "" && len(s) <= maxClientID &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ',' })
}

// The headers of body-hmac as net/http spells them. Header names are the same in any case.
const (
	headerClientID  = "X-Client-Id"
	headerSignature = "X-Signature"
)

// bodyHMAC is the scheme "body-hmac".
type bodyHMAC struct {
	macs sync.Pool // of *preparedMAC: a client signs with the same secret again and again
}

// preparedMAC is an HMAC-SHA256 that can be used again for the same secret without hashing the key.
type preparedMAC struct {
	secret Secret
	hash   hash.Hash
	mac    [sha256.Size]byte
}

func prepareMAC(secret Secret) *preparedMAC {
	return &preparedMAC{secret: secret, hash: hmac.New(sha256.New, []byte(secret.Reveal()))}
}

// sum puts the MAC of a body into p.mac.
func (p *preparedMAC) sum(body []byte) {
	p.hash.Reset()
	_, _ = p.hash.Write(body) // a hash.Hash never fails
	p.hash.Sum(p.mac[:0])
}

// Sign sets X-Client-ID and X-Signature.
func (b *bodyHMAC) Sign(req *http.Request, body []byte, clientID string, secret Secret) error {
	p, _ := b.macs.Get().(*preparedMAC)
	if p == nil || p.secret != secret {
		p = prepareMAC(secret)
	}
	p.sum(body)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], p.mac[:])
	b.macs.Put(p)
	values := []string{clientID, string(text[:])}
	req.Header[headerClientID] = values[0:1:1]
	req.Header[headerSignature] = values[1:2:2]
	return nil
}

var (
	errNotSigned = errors.New("the request is not signed: exactly one X-Client-ID and one X-Signature are required")
	errForm      = errors.New("the signature is malformed: X-Client-ID must be visible ASCII, X-Signature 64 lower-case hexadecimal digits")
)

func (*bodyHMAC) claim(h http.Header) (c claim, present bool, err error) {
	ids, signatures := h[headerClientID], h[headerSignature]
	if len(ids) == 0 && len(signatures) == 0 {
		return c, false, nil
	}
	if len(ids) != 1 || len(signatures) != 1 {
		return c, true, errNotSigned
	}
	text := signatures[0]
	if !isClientID(ids[0]) || len(text) != 2*sha256.Size || strings.Trim(text, "0123456789abcdef") != "" {
		return c, true, errForm
	}
	if _, err := hex.Decode(c.mac[:], []byte(text)); err != nil {
		return c, true, errForm
	}
	c.clientID = ids[0]
	return c, true, nil
}

// proven prepares the MAC anew: a prepared one would answer faster for a client that was seen lately.
func (*bodyHMAC) proven(_ *http.Request, body []byte, c claim, secret Secret) bool {
	p := prepareMAC(secret)
	p.sum(body)
	return hmac.Equal(p.mac[:], c.mac[:])
}
