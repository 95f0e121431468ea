package holdfast_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-ai/holdfast"
)

func TestKeysAreDisabled(t *testing.T) {
	t.Parallel()
	t.Run("of an account by its hash", func(t *testing.T) { t.Parallel(); keyIsDisabled(t, "") })
	t.Run("of a named account", func(t *testing.T) { t.Parallel(); keyIsDisabled(t, "ours") })
}

func keyIsDisabled(t *testing.T, account string) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		key := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(key, []byte("sk-old-0123456789\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &stage{plays: map[string][]play{"a": {fails(holdfast.KindKey, 401), replies("hi from a")}, "b": {replies("hi from b")}}}
		client := s.client(t, holdfast.Config{
			Logger:    slog.New(slog.NewTextHandler(&log, nil)),
			Endpoints: []holdfast.Endpoint{{Name: "a", Provider: "moody", URL: "http://a.test", Key: "file:" + key, Account: account}},
		}, "b/+")
		ask := func() *holdfast.ChatResponse {
			t.Helper()
			answer, err := client.Chat(t.Context(), hello)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		ask()
		second := ask()
		if got := strings.Join(s.log, " "); got != "a b b" {
			t.Errorf("asked: got %q, want the endpoint with the bad key only once", got)
		}
		if len(second.Trail.Skipped) != 1 || !strings.Contains(second.Trail.Skipped[0].Why, "key was disabled") {
			t.Errorf("the Trail does not say why: %+v", second.Trail.Skipped)
		}
		if !strings.Contains(log.String(), "bad key") || strings.Contains(log.String(), "0123456789") {
			t.Errorf("the operator was told: %s", log.String())
		}
		<-time.After(2 * time.Second)
		if err := os.WriteFile(key, []byte("sk-new-9876543210\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(key, time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := ask().Text(); got != "hi from a" {
			t.Errorf("with a new key: got %q, want the first endpoint again", got)
		}
	})
}

// A key source may give what no header can carry.
func TestUnusableKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "two\nlines"} {
		s := &stage{plays: map[string][]play{"a": {replies("hi")}, "b": {replies("hi")}}}
		client := s.client(t, holdfast.Config{Endpoints: []holdfast.Endpoint{
			{Name: "a", Provider: "moody", URL: "http://a.test", KeySource: keySource(key)},
		}}, "b")
		answer, err := client.Chat(t.Context(), hello)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(s.log, " "); got != "b" {
			t.Errorf("asked %q, want only the endpoint with a key", got)
		}
		skipped := answer.Trail.Skipped
		if len(skipped) != 1 || !strings.Contains(skipped[0].Why, string(holdfast.KindSecret)) || strings.Contains(skipped[0].Why, "lines") {
			t.Errorf("the Trail says %+v, want that the key cannot be used, without the key", skipped)
		}
	}
}

type keySource string

func (k keySource) Secret(context.Context) (holdfast.Secret, error) {
	return holdfast.NewSecret(string(k)), nil
}

func TestPagesDoNotDisableKeys(t *testing.T) {
	t.Parallel()
	for _, code := range []int{401, 402, 403} {
		s := &stage{plays: map[string][]play{"a": {says(code, "<html>", "Content-Type", "text/html"), replies("hi")}, "b": {replies("hi")}}}
		client := s.client(t, holdfast.Config{}, "a", "b/+")
		for range 2 {
			if _, err := client.Chat(t.Context(), hello); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(s.log, " "); got != "a b a" {
			t.Errorf("%d as a page: asked %q, want the endpoint again", code, got)
		}
	}
}

func TestParking(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   holdfast.Kind
		header []string
		rests  time.Duration
	}{
		{holdfast.KindBilling, nil, 10 * time.Minute},
		{holdfast.KindQuota, []string{"Retry-After", "3600"}, time.Hour},
		{holdfast.KindRateLimit, []string{"Retry-After", "30"}, 30 * time.Second},
		{holdfast.KindRateLimit, []string{"Retry-After", "600"}, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{plays: map[string][]play{"a": {fails(c.kind, 429, c.header...), replies("hi")}, "b": {replies("hi")}}}
			client := s.client(t, holdfast.Config{}, "a", "b/+")
			for _, pause := range []time.Duration{0, 0, c.rests - time.Second, 2*time.Second + c.rests/10} { // up to a tenth longer
				<-time.After(pause)
				if _, err := client.Chat(t.Context(), hello); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Join(s.log, " "); got != "a b b b a" {
				t.Errorf("%s: asked %q, want the endpoint again only after %v", c.kind, got, c.rests)
			}
		})
	}
}
