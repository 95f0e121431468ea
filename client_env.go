package holdfast

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// envProviders are the providers that FromEnv looks for, in the order in which it lists them.
var envProviders = []struct {
	provider string
	keys     []string // the first that is set counts
	url      string   // overrides the provider's URL
	model    string   // the default model (provider's model pages, November 2026)
	families []string // what the names of its models begin with
}{
	{"claude", []string{"ANTHROPIC_API_KEY"}, "ANTHROPIC_BASE_URL", "claude-opus-5-5", []string{"claude-"}},
	{"openai", []string{"OPENAI_API_KEY"}, "OPENAI_BASE_URL", "gpt-6-sol", []string{"gpt-", "o1", "o3", "o4"}},
	{"gemini", []string{"GOOGLE_API_KEY", "GEMINI_API_KEY"}, "", "gemini-4-argon", []string{"gemini-"}},
}

// localServers are where FromEnv looks for a model on this machine.
var localServers = []struct{ provider, url string }{
	{"ollama", "http://127.0.0.1:11434/v1"},
	{"lmstudio", "http://127.0.0.1:1234/v1"},
}

// localWait bounds the look at each local server. Nobody listening is known at once.
const localWait = 500 * time.Millisecond

// FromEnv returns a configuration of whatever it finds: Claude with ANTHROPIC_API_KEY, OpenAI with OPENAI_API_KEY, Gemini with
// GOOGLE_API_KEY or GEMINI_API_KEY (ANTHROPIC_BASE_URL and OPENAI_BASE_URL are heeded), each asked in this order, and, as the last
// resort, a model served by Ollama (OLLAMA_HOST is heeded) or LM Studio on this machine, for which it looks on the loopback
// interface.
//
// Requests may name a provider's model, such as "claude-sonnet-5-5", which only that provider is then asked for (and the local model), or none, for each
// provider's default.
func FromEnv() Config {
	var c Config
	for i, p := range envProviders {
		for _, key := range p.keys {
			if os.Getenv(key) == "" {
				continue
			}
			e := Endpoint{Name: p.provider, Provider: p.provider, Key: "env:" + key, Tier: i, Models: map[string]string{defaultModel: p.model}}
			if p.url != "" {
				e.URL = os.Getenv(p.url)
			}
			for _, family := range p.families {
				e.Models[family+"*"] = "*"
			}
			c.Endpoints = append(c.Endpoints, e)
			break
		}
	}
	for _, s := range localServers {
		url := s.url
		if host := os.Getenv("OLLAMA_HOST"); s.provider == "ollama" && host != "" {
			url = ollamaURL(host)
		}
		if model := firstModel(url); model != "" {
			c.Endpoints = append(c.Endpoints, Endpoint{
				Name: s.provider, Provider: s.provider, URL: url, Local: true, Models: map[string]string{"*": model},
			})
			break
		}
	}
	return c
}

// ollamaURL reads OLLAMA_HOST, which may lack the scheme and the port.
func ollamaURL(host string) string {
	if !strings.Contains(host, "://") {
		host = "http://" + host
	}
	host = strings.TrimSuffix(host, "/")
	if rest := host[strings.Index(host, "://")+3:]; !strings.Contains(rest, ":") {
		host += ":11434"
	}
	return strings.Replace(host, "//0.0.0.0", "//127.0.0.1", 1) + "/v1"
}

// firstModel asks a local server for its models and returns the first, "" if there is no such server.
func firstModel(url string) string {
	ctx, cancel := context.WithTimeout(context.Background(), localWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/models", nil)
	if err != nil {
		return ""
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if resp.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&list) != nil || len(list.Data) == 0 {
		return ""
	}
	return list.Data[0].ID
}
