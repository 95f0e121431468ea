package holdfast

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
	"unique"
)

// redacted is all that a Secret shows of itself.
const redacted = "[redacted]"

// Secret holds a key or another secret. It prints as [redacted] whatever formats it: fmt under every verb, JSON, text, slog.
// Where a formatter cannot ask, as with an unexported field under %+v, it finds an address and not the value.
// [Secret.Reveal] is the only way to the value. Secrets compare with ==, in constant time. The zero Secret is empty.
type Secret struct {
	// The handle keeps the value behind a pointer, for formatters that print by reflection and for ==.
	value unique.Handle[string]
}

// NewSecret wraps a value. It is for a [KeySource] of your own.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{unique.Make(value)}
}

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s == (Secret{}) {
		return ""
	}
	return s.value.Value()
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s == Secret{} }

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (Secret) GoString() string { return redacted }

// Format writes "[redacted]" under every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns "[redacted]". There is no way back: configurations hold references, not secrets.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]" as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalBinary returns "[redacted]", for encoding/gob too.
func (Secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// KeySource gives a key or a signing secret. It is asked before every request, for a signing secret once more for each repeat in place, so
// that a rotated one is taken up at once; one that has to fetch it should keep it. It must return when ctx ends, which is the call's: one that
// does not holds up the call, and Close. Safe for concurrent use. Its error appears in the [Trail] and must not hold the secret.
type KeySource interface {
	Secret(ctx context.Context) (Secret, error)
}

// Literal is a key given in code.
func Literal(key string) KeySource { return literal{NewSecret(key)} }

type literal struct{ secret Secret }

func (l literal) Secret(context.Context) (Secret, error) {
	if l.secret.IsZero() {
		return Secret{}, errors.New("the key is empty")
	}
	return l.secret, nil
}

// keyRef reads a reference to a key. Its errors do not quote what is no reference: it may be the key itself.
func keyRef(ref string) (KeySource, error) {
	if name, ok := strings.CutPrefix(ref, "env:"); ok {
		if !isEnvName(name) {
			return nil, errors.New("env: must be followed by the name of an environment variable: letters, digits and _")
		}
		return envKey(name), nil
	}
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
			return nil, errors.New("file: must be followed by an absolute path")
		}
		return &fileKey{path: path}, nil
	}
	return nil, errors.New("is neither env:NAME nor file:PATH; a literal key is given in code with Literal")
}

func isEnvName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || (c|0x20 >= 'a' && c|0x20 <= 'z')
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// envKey is the name of an environment variable, read at every call.
type envKey string

func (name envKey) Secret(context.Context) (Secret, error) {
	value, ok := os.LookupEnv(string(name))
	if !ok {
		return Secret{}, fmt.Errorf("environment variable %s is not set", string(name))
	}
	if fault := keyFault(value); fault != "" {
		return Secret{}, fmt.Errorf("environment variable %s %s", string(name), fault)
	}
	return NewSecret(value), nil
}

// maxKeyFile bounds a file that holds a key.
const maxKeyFile = 64 << 10

// fileKey is a file that holds a key. It is looked at on every call and read again when it changed: secrets are mounted into
// containers as files that are replaced under the running process.
type fileKey struct {
	path string
	last atomic.Pointer[keyFile]
}

// keyFile is the file as it was read.
type keyFile struct {
	info   os.FileInfo
	secret Secret
	// settled is false while the file is so young that it could change again without showing another time or size.
	settled bool
}

func (f *fileKey) Secret(context.Context) (Secret, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return Secret{}, err // names the path only
	}
	if k := f.last.Load(); k != nil && k.settled && sameFile(info, k.info) {
		return k.secret, nil
	}
	if !info.Mode().IsRegular() {
		return Secret{}, fmt.Errorf("%s is not a regular file", f.path)
	}
	return f.read()
}

func (f *fileKey) read() (Secret, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return Secret{}, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return Secret{}, err
	}
	raw, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return Secret{}, err
	}
	if len(raw) > maxKeyFile {
		return Secret{}, fmt.Errorf("%s is larger than %d KiB", f.path, maxKeyFile>>10)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	if fault := keyFault(value); fault != "" {
		return Secret{}, fmt.Errorf("%s %s", f.path, fault)
	}
	k := &keyFile{info: info, secret: NewSecret(value), settled: time.Since(info.ModTime()) > 2*time.Second}
	f.last.Store(k)
	return k.secret, nil
}

func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// keyFault says what is wrong with a key that was read, or "". What a header cannot carry is no key.
func keyFault(value string) string {
	switch {
	case value == "":
		return "is empty"
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "holds a line break or another control character"
	}
	return ""
}
