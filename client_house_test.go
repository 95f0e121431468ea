package holdfast_test

import (
	"crypto/tls"
	"slices"
	"testing"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// house is a client with named endpoints over memory, each with a server of its own.
type house struct {
	network *holdfasttest.Network
	servers map[string]*holdfasttest.Server
	conf    holdfast.Config
	client  *holdfast.Client
}

func newHouse() *house {
	network := holdfasttest.NewNetwork()
	return &house{network: network, servers: map[string]*holdfasttest.Server{}, conf: holdfast.Config{Dial: network.Dial}}
}

// endpoint adds one that answers the replies, the last of them to all further requests.
func (h *house) endpoint(name string, s speaker, replies ...holdfasttest.Reply) *holdfasttest.Server {
	server := h.network.NewServer(name+".test", s.dialect)
	h.add(name, s, server, replies)
	return server
}

func (h *house) add(name string, s speaker, server *holdfasttest.Server, replies []holdfasttest.Reply) {
	if len(replies) > 0 {
		server.Script(replies[:len(replies)-1]...)
		server.Always(replies[len(replies)-1])
	}
	h.servers[name] = server
	h.conf.Endpoints = append(h.conf.Endpoints, holdfast.Endpoint{
		Name: name, Provider: s.provider, URL: server.URL + s.path, Proxy: "direct", KeySource: holdfast.Literal("key-of-" + name),
		Models: map[string]string{"default": s.model},
	})
}

func (h *house) open(t *testing.T) *holdfast.Client {
	t.Helper()
	h.client = newClient(t, h.conf)
	return h.client
}

// close ends everything, so that the bubble shows whatever was left behind.
func (h *house) close() {
	if h.client != nil { // else New refused the configuration, and the test has said so
		_ = h.client.Close()
	}
	for _, s := range h.servers {
		s.Close()
	}
	h.network.Close()
}

func speakerOf(name string) speaker {
	i := slices.IndexFunc(tableSpeakers, func(s tableSpeaker) bool { return s.name == name })
	return tableSpeakers[i].speaker
}

// read reads a stream and returns its text since the last reset, its types of event, its answer and its error.
func read(stream func(func(holdfast.Event, error) bool)) (text string, types []holdfast.EventType, answer *holdfast.ChatResponse, err error) {
	for event, e := range stream {
		if e != nil {
			return text, types, nil, e
		}
		if event.Type == holdfast.EventReset {
			text = ""
		}
		text += event.Text()
		types = append(types, event.Type)
		answer = event.Response
	}
	return text, types, answer, nil
}

// pieces cuts a text behind every n bytes, or a little later where a character ends.
func pieces(text string, n int) (list []string) {
	from := 0
	for i := range text {
		if i-from >= n {
			list, from = append(list, text[from:i]), i
		}
	}
	return append(list, text[from:])
}

// serve adds an endpoint with or without TLS and HTTP/2.
func (h *house) serve(secure bool, name string, s speaker, replies ...holdfasttest.Reply) {
	if !secure {
		h.endpoint(name, s, replies...)
		return
	}
	h.conf.TLS = &tls.Config{RootCAs: h.network.CA(), MinVersion: tls.VersionTLS12}
	h.add(name, s, h.network.NewTLSServer(name+".test", s.dialect), replies)
}
