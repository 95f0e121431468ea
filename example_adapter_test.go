package holdfast_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/holdfast-ai/holdfast"
)

// acme is a provider of one's own. It takes {"model","prompt","stream"} and answers {"reply","tokens"}, or as a stream
// a {"piece"} an event and {"done":true} at the end.
type acme struct{}

type acmeRequest struct {
	Model  string `json:"model"`
	Prompt string `json:"prompt"`
	Stream bool   `json:"stream"`
}

type acmeAnswer struct {
	Reply  string `json:"reply"`
	Piece  string `json:"piece"`
	Done   bool   `json:"done"`
	Tokens int    `json:"tokens"`
	Fault  string `json:"fault"`
}

func (acme) Dialect() holdfast.Dialect {
	return holdfast.Dialect{Name: "acme", KeyHeader: "Authorization", KeyPrefix: "Bearer "}
}

func (acme) Encode(dst []byte, req *holdfast.ChatRequest, to holdfast.Target) (holdfast.Encoded, error) {
	if len(req.Tools) > 0 {
		return holdfast.Encoded{}, holdfast.Unsupported("tools", "acme has no tools")
	}
	last := req.Messages[len(req.Messages)-1]
	body, err := json.Marshal(acmeRequest{to.Model, last.Text(), to.Stream})
	return holdfast.Encoded{Path: "/generate", Body: append(dst, body...)}, err
}

func (acme) Decode(body []byte, out *holdfast.AnswerWriter) error {
	var a acmeAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return holdfast.Malformed("not JSON")
	}
	out.Start("", out.From().Model)
	out.Text([]byte(a.Reply))
	finish(a, out)
	return nil
}

func (acme) DecodeStream() holdfast.StreamDecoder { return acmeStream{} }

func (acme) DecodeError(status int, _ http.Header, body []byte) *holdfast.Error {
	var a acmeAnswer
	if json.Unmarshal(body, &a) != nil || a.Fault == "" {
		return nil
	}
	kind := holdfast.KindServer
	if a.Fault == "busy" {
		kind = holdfast.KindOverloaded
	}
	return &holdfast.Error{Kind: kind, Code: a.Fault}
}

type acmeStream struct{}

func (acmeStream) Decode(f holdfast.Frame, out *holdfast.AnswerWriter) error {
	var a acmeAnswer
	if err := json.Unmarshal(f.Data, &a); err != nil {
		return holdfast.Malformed("an event is not JSON")
	}
	out.Start("", out.From().Model)
	out.Text([]byte(a.Piece))
	if a.Done {
		finish(a, out)
	}
	return nil
}

func (acmeStream) End(*holdfast.AnswerWriter) {} // without {"done":true} the answer is not whole

func finish(a acmeAnswer, out *holdfast.AnswerWriter) {
	out.Usage(holdfast.Usage{Output: a.Tokens, Exact: true})
	out.Stop(holdfast.Stop{Reason: holdfast.StopEndTurn})
	out.Done()
}

// A provider of one's own gains everything that the built-in ones have: here it is busy, and its second address answers.
func ExampleAIServiceAdapter() {
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"fault":"busy"}`)
	}))
	defer busy.Close()
	well := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: {\"piece\":\"All \"}\n\ndata: {\"piece\":\"well.\"}\n\ndata: {\"done\":true,\"tokens\":3}\n\n")
	}))
	defer well.Close()

	client, err := holdfast.New(holdfast.Config{
		Adapters: map[string]holdfast.AIServiceAdapter{"acme": acme{}},
		Endpoints: []holdfast.Endpoint{
			{Name: "first", Provider: "acme", URL: busy.URL, KeySource: holdfast.Literal("k1")},
			{Name: "second", Provider: "acme", URL: well.URL, KeySource: holdfast.Literal("k2")},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	for event, err := range client.Stream(context.Background(), &holdfast.ChatRequest{Messages: holdfast.Ask("How are you?")}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(event.Text())
		if event.Type == holdfast.EventEnd {
			fmt.Printf("\n%d tokens\n", event.Response.Usage.Output)
			for _, a := range event.Response.Trail.Attempts {
				fmt.Printf("%s: %d %s\n", a.Endpoint, a.Status, a.Kind)
			}
		}
	}
	// Output:
	// All well.
	// 3 tokens
	// first: 503 overloaded
	// second: 200
}
