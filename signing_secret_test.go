package holdfast

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const testSecret = "s3cr3t-Value-Of-The-Key"

// holders are values that hold a secret in every way a struct of the caller might.
func holders() map[string]any {
	s := NewSecret(testSecret)
	type exported struct{ S Secret }
	type unexported struct{ s Secret }
	return map[string]any{
		"plain":      s,
		"pointer":    &s,
		"exported":   exported{s},
		"pointed to": &exported{s},
		"unexported": unexported{s},
		"deep":       map[string][]any{"k": {exported{s}, &unexported{s}}},
		"key":        map[Secret]int{s: 1},
		"any":        struct{ v any }{s},
		"source":     Literal(testSecret),
		"signer":     &signer{secrets: Literal(testSecret)},
		"config":     Config{Endpoints: []Endpoint{{KeySource: Literal(testSecret), Signing: &Signing{SecretSource: Literal(testSecret)}}}},
		"read file":  &keyFile{secret: s},
		"error":      fmt.Errorf("with %v", s),
	}
}

// leaks reports whether the secret shows in text, plainly or as the hexadecimal that %x prints.
func leaks(text string) bool {
	low, decimals := strings.ToLower(text), fmt.Sprintf("%d", []byte(testSecret))
	return strings.Contains(text, testSecret) || strings.Contains(low, fmt.Sprintf("%x", testSecret)) ||
		strings.Contains(low, fmt.Sprintf("% x", testSecret)) || strings.Contains(text, decimals)
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	for name, v := range holders() {
		for verb := rune('A'); verb <= 'z'; verb++ {
			for _, flags := range []string{"", "+", "#", " ", "-40", "040", ".3", "#+"} {
				format := "%" + flags + string(verb)
				if got := fmt.Sprintf(format, v); leaks(got) {
					t.Errorf("%s, %s: got %s", name, format, got)
				}
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v, slog.Group("g", "v", v))
		asJSON, _ := json.Marshal(v) // some cannot be encoded, which is no leak
		asXML, _ := xml.Marshal(v)
		var asGob bytes.Buffer
		_ = gob.NewEncoder(&asGob).Encode(v)
		for how, got := range map[string]string{"slog": log.String(), "JSON": string(asJSON), "XML": string(asXML), "gob": asGob.String()} {
			if leaks(got) {
				t.Errorf("%s, %s: got %s", name, how, got)
			}
		}
	}
	if !leaks(fmt.Sprintf("%x", testSecret)) || !leaks("a "+testSecret) {
		t.Error("the test does not see a leak")
	}
}

func TestSecretPrintsAsRedacted(t *testing.T) {
	t.Parallel()
	s := NewSecret(testSecret)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%08.3f", "%z"} {
		if got := fmt.Sprintf(format, s); got != "[redacted]" {
			t.Errorf("%s: got %s, want [redacted]", format, got)
		}
	}
	if got, want := fmt.Sprint(s, &s, struct{ S Secret }{s}), "[redacted] [redacted] {[redacted]}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got, err := json.Marshal(map[string]any{"s": s, "m": map[Secret]int{s: 1}})
	if want := `{"m":{"[redacted]":1},"s":"[redacted]"}`; string(got) != want || err != nil {
		t.Errorf("JSON: got %s, %v, want %s", got, err, want)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "s", s, "in", struct{ S Secret }{s})
	if want := `"s":"[redacted]","in":{"S":"[redacted]"}`; !strings.Contains(log.String(), want) {
		t.Errorf("slog: got %s, want %s", log.String(), want)
	}
	if s.String() != redacted || s.GoString() != redacted {
		t.Errorf("got %q, %q, want [redacted]", s.String(), s.GoString())
	}
}

func TestSecretValue(t *testing.T) {
	t.Parallel()
	a, b := NewSecret(testSecret), NewSecret(strings.Clone(testSecret))
	if a != b || a == NewSecret("another") || a.Reveal() != testSecret {
		t.Errorf("secrets of one value must be equal, and tell it: got %q", a.Reveal())
	}
	if (Secret{}) != NewSecret("") || (Secret{}).Reveal() != "" || !NewSecret("").IsZero() || a.IsZero() {
		t.Error("the zero Secret must be the empty one")
	}
}

func TestKeyRefFaults(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{
		"", testSecret, "sk-" + testSecret, "ENV:" + testSecret, "env:" + testSecret, "env:", "env:1A", "env:A B", " env:A",
		"file:", "file:" + testSecret, "file:./" + testSecret, "file://host", "literal:" + testSecret, "file:/a\x00b",
	} {
		source, err := keyRef(ref)
		if ref == "file://host" {
			if err != nil { // an absolute path with an idle slash
				t.Errorf("%q: got %v, want none", ref, err)
			}
			continue
		}
		if err == nil || source != nil {
			t.Errorf("%q: got no fault", ref)
		} else if leaks(err.Error()) {
			t.Errorf("%q: the fault quotes it: %v", ref, err)
		}
	}
	want := "is neither env:NAME nor file:PATH; a literal key is given in code with Literal"
	if _, err := keyRef(testSecret); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func source(t *testing.T, ref string) KeySource {
	t.Helper()
	s, err := keyRef(ref)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantKey(t *testing.T, s KeySource, want string) {
	t.Helper()
	if got, err := s.Secret(context.Background()); got.Reveal() != want || err != nil {
		t.Errorf("got %q, %v, want %q", got.Reveal(), err, want)
	}
}

func wantKeyFault(t *testing.T, s KeySource, want string) {
	t.Helper()
	got, err := s.Secret(context.Background())
	if err == nil || !strings.Contains(err.Error(), want) || leaks(err.Error()) || !got.IsZero() {
		t.Errorf("got %q, %v, want an error with %q and without the value", got.Reveal(), err, want)
	}
}

// Not parallel: it sets the environment.
func TestEnvKey(t *testing.T) {
	s := source(t, "env:HOLDFAST_TEST_KEY_1")
	wantKeyFault(t, s, "HOLDFAST_TEST_KEY_1 is not set")
	t.Setenv("HOLDFAST_TEST_KEY_1", testSecret)
	wantKey(t, s, testSecret)
	t.Setenv("HOLDFAST_TEST_KEY_1", "rotated")
	wantKey(t, s, "rotated")
	t.Setenv("HOLDFAST_TEST_KEY_1", "")
	wantKeyFault(t, s, "is empty")
	t.Setenv("HOLDFAST_TEST_KEY_1", testSecret+"\r\nX-Injected: 1")
	wantKeyFault(t, s, "control character")
}

func TestLiteral(t *testing.T) {
	t.Parallel()
	wantKey(t, Literal(testSecret), testSecret)
	wantKeyFault(t, Literal(""), "is empty")
}

func TestFileKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	s := source(t, "file:"+path)
	write := func(data string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantKeyFault(t, s, "no such file")
	for data, want := range map[string]string{
		"plain": "plain", "line\n": "line", "dos\r\n": "dos", "schlüssel": "schlüssel", "a b": "a b",
		strings.Repeat("x", maxKeyFile-1) + "\n": strings.Repeat("x", maxKeyFile-1),
	} {
		write(data)
		wantKey(t, s, want)
	}
	for data, want := range map[string]string{
		"": "is empty", "\n": "is empty", testSecret + "\n\n": "control character", testSecret + "\nmore": "control character",
		"\x00" + testSecret: "control character", strings.Repeat(testSecret, maxKeyFile): "larger than 64 KiB",
	} {
		write(data)
		wantKeyFault(t, s, want)
	}
	wantKeyFault(t, source(t, "file:"+filepath.Dir(path)), "not a regular file")
	wantKeyFault(t, source(t, "file:/dev/zero"), "not a regular file")
}

// A file is read again when it changed, also when the new content has the same length and the file the same time: as long as
// it is that young, or when it was renamed into place.
func TestFileKeyChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "key")
		s := source(t, "file:"+path)
		write := func(to, data string, age time.Duration) {
			t.Helper()
			if err := os.WriteFile(to, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-age)
			if err := os.Chtimes(to, at, at); err != nil {
				t.Fatal(err)
			}
		}
		write(path, "one", 0)
		wantKey(t, s, "one")
		write(path, "two", 0) // the same size in the same instant
		wantKey(t, s, "two")
		time.Sleep(time.Minute)
		wantKey(t, s, "two")
		write(path, "six", 0)
		wantKey(t, s, "six")
		write(path, "old", time.Hour)
		wantKey(t, s, "old")
		write(path+".new", "new", time.Hour)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		wantKey(t, s, "new")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Secret(t.Context()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want no such file", err)
		}
	})
}

// A settled file costs one stat.
func TestFileKeyIsKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	hour := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, hour, hour); err != nil {
		t.Fatal(err)
	}
	s := source(t, "file:"+path)
	wantKey(t, s, "kept")
	first := s.(*fileKey).last.Load()
	wantKey(t, s, "kept")
	if s.(*fileKey).last.Load() != first {
		t.Error("the file was read again")
	}
}
