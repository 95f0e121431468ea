package holdfasttest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// A server that is overloaded, then answers.
func ExampleNewServer() {
	s := holdfasttest.NewServer(holdfasttest.Claude)
	defer s.Close()
	s.Script(
		holdfasttest.Reply{Error: holdfasttest.Overloaded, RetryAfter: "2"},
		holdfasttest.Reply{Text: "Because of Rayleigh scattering."},
	)

	ask := `{"model":"claude-opus-5-5","max_tokens":100,"messages":[{"role":"user","content":"Why is the sky blue?"}]}`
	for range 2 {
		req, _ := http.NewRequest(http.MethodPost, s.URL+"/v1/messages", strings.NewReader(ask))
		req.Header.Set("X-Api-Key", "any")
		req.Header.Set("Anthropic-Version", "2023-06-01")
		res, err := s.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Println(res.StatusCode, res.Header.Get("Retry-After"), strings.Contains(string(body), "Rayleigh"))
	}
	fmt.Println(len(s.Requests()), "requests for", s.Requests()[0].Model)
	// Output:
	// 529 2 false
	// 200  true
	// 2 requests for claude-opus-5-5
}
