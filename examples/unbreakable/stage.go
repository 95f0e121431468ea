package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// play asks the question of an act, shows the answer and its Trail, and checks it.
func (s *show) play(ctx context.Context, a act) error {
	servers, config := a.open(s.pace)
	for _, server := range servers {
		defer server.Close()
	}
	client, err := holdfast.New(config)
	if err != nil {
		return err
	}
	defer client.Close()

	r := &reader{screen: screen{out: s.out, colour: s.colour}}
	r.screen.title(a.title)
	if s.kills != nil {
		go killAtEachLine(s.kills, r, servers)
	}
	answer, err := r.read(client.Stream(ctx, &a.request))
	fmt.Fprintf(s.out, "\n%s\n\n", trailOf(answer, err))
	if err != nil {
		return err
	}
	return a.check(r, answer)
}

// open starts the providers of an act, and returns them by name, with all that the client is told.
func (a act) open(pace time.Duration) (map[string]*holdfasttest.Server, holdfast.Config) {
	servers := map[string]*holdfasttest.Server{}
	config := holdfast.Config{
		// Less patient than the defaults, so that the show is short.
		Timeouts: holdfast.Timeouts{Hedge: 300 * time.Millisecond, BetweenContent: 500 * time.Millisecond},
		// The first act takes all of the default of 8, and a slow machine may add hedges to that.
		Retry: holdfast.RetryPolicy{MaxAttempts: 16},
	}
	for _, r := range a.cast {
		server, endpoint := r.start(pace)
		servers[r.name] = server
		config.Endpoints = append(config.Endpoints, endpoint)
	}
	return servers, config
}

// start starts a provider on the loopback interface, and returns how the client reaches it.
func (r role) start(pace time.Duration) (*holdfasttest.Server, holdfast.Endpoint) {
	dialect, path := holdfasttest.Claude, ""
	switch r.provider {
	case "gemini":
		dialect, path = holdfasttest.Gemini, "/v1beta"
	case "openai":
		dialect, path = holdfasttest.OpenAI, "/v1"
	case "llama.cpp":
		dialect, path = holdfasttest.Local, "/v1"
	}
	server := holdfasttest.NewServer(dialect)
	for _, reply := range r.faults {
		reply.Text, reply.ToolCalls, reply.Between = r.says, r.calls, pace
		server.Script(reply)
	}
	server.Always(holdfasttest.Reply{Text: r.says, ToolCalls: r.calls, Between: pace})
	return server, holdfast.Endpoint{
		Name: r.name, Provider: r.provider, URL: server.URL + path, KeySource: holdfast.Literal("a-key"),
		Models: map[string]string{"default": r.model}, Local: dialect == holdfasttest.Local,
	}
}

// trailOf returns the Trail of a call. A call that fails has one as well.
func trailOf(answer *holdfast.ChatResponse, err error) holdfast.Trail {
	if e, ok := errors.AsType[*holdfast.Error](err); ok {
		return e.Trail
	}
	if answer == nil {
		return holdfast.Trail{}
	}
	return answer.Trail
}

// check compares what the reader was shown, and what the answer holds, with what the model was to say.
func (a act) check(r *reader, answer *holdfast.ChatResponse) error {
	who := slices.IndexFunc(a.cast, func(r role) bool { return r.name == answer.Endpoint })
	want := a.cast[who]
	if got := r.shown.String(); got != want.says || answer.Text() != want.says {
		return fmt.Errorf("not the text of %d bytes: %d were shown, the answer has %d", len(want.says), len(got), len(answer.Text()))
	}
	calls := answer.ToolCalls()
	if len(calls) != len(want.calls) || len(calls) > 0 && string(calls[0].Args) != want.calls[0].Args {
		return errors.New("the tool call did not arrive as it was made")
	}
	what, size := "text", len(want.says)
	if len(calls) > 0 {
		what, size = "call", len(calls[0].Args)
	}
	fmt.Fprintln(r.screen.out, r.screen.in(green, fmt.Sprintf("The %s arrived whole: %d bytes, equal to the original.", what, size)))
	return nil
}

// killAtEachLine closes the provider that is answering. It ends with the process: a read from a terminal cannot be called off.
func killAtEachLine(lines io.Reader, r *reader, servers map[string]*holdfasttest.Server) {
	for in := bufio.NewScanner(lines); in.Scan(); {
		if name := r.speaker.Load(); name != nil {
			servers[*name].Close()
		}
	}
}
