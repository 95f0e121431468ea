package holdfast_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// without clears what FromEnv looks at, and points it at a local server that is not there.
func without(t *testing.T) {
	t.Helper()
	for _, name := range []string{"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "FALLBACK_ENDPOINT"} {
		t.Setenv(name, "")
	}
	t.Setenv("OLLAMA_HOST", closedPort(t))
}

func TestFromEnv(t *testing.T) {
	without(t)
	claude, openai := holdfasttest.NewServer(holdfasttest.Claude), holdfasttest.NewServer(holdfasttest.OpenAI)
	defer claude.Close()
	defer openai.Close()
	t.Setenv("ANTHROPIC_API_KEY", "k1")
	t.Setenv("ANTHROPIC_BASE_URL", claude.URL)
	t.Setenv("OPENAI_API_KEY", "k2")
	t.Setenv("OPENAI_BASE_URL", openai.URL+"/v1")
	client := newClient(t, holdfast.FromEnv())
	for _, c := range []struct{ model, want string }{{"", "claude"}, {"claude-sonnet-5-5", "claude"}, {"gpt-6-sol", "openai"}} {
		answer, err := client.Chat(t.Context(), &holdfast.ChatRequest{Model: c.model, Messages: holdfast.Ask("Hi")})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Endpoint != c.want {
			t.Errorf("the model %q: got %s, want %s", c.model, answer.Endpoint, c.want)
		}
	}
	if _, err := client.Chat(t.Context(), &holdfast.ChatRequest{Model: "mistral-large", Messages: holdfast.Ask("Hi")}); holdfast.KindOf(err) != holdfast.KindNoEndpoint {
		t.Errorf("a model nobody maps: got %v, want no endpoint", err)
	}
}

func TestFromEnvFindsALocalServer(t *testing.T) {
	without(t)
	local := holdfasttest.NewServer(holdfasttest.Local)
	defer local.Close()
	local.Models("qwen3.7:8b")
	t.Setenv("OLLAMA_HOST", strings.TrimPrefix(local.URL, "http://"))
	conf := holdfast.FromEnv()
	if len(conf.Endpoints) != 1 || !conf.Endpoints[0].Local || conf.Endpoints[0].Models["*"] != "qwen3.7:8b" {
		t.Fatalf("got %+v, want the local server with its model", conf.Endpoints)
	}
	answer, err := newClient(t, conf).Chat(t.Context(), &holdfast.ChatRequest{Messages: holdfast.Ask("Hi")})
	if err != nil || answer.Endpoint != "ollama" {
		t.Errorf("got %v, %v", answer, err)
	}
}

func TestFromEnvWithNothing(t *testing.T) {
	without(t)
	_, err := holdfast.New(holdfast.FromEnv())
	if err == nil || !strings.Contains(err.Error(), "ANTHROPIC_API_KEY") {
		t.Errorf("got %v, want an error that says what to set", err)
	}
}

// A page on a local port is no model.
func TestFromEnvIsNotFooled(t *testing.T) {
	without(t)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>my blog")) })
	t.Setenv("OLLAMA_HOST", s.URL)
	if got := holdfast.FromEnv().Endpoints; len(got) != 0 {
		t.Errorf("got %+v, want nothing", got)
	}
}
