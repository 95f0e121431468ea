package main

import (
	"time"

	"github.com/holdfast-ai/holdfast"
	"github.com/holdfast-ai/holdfast/holdfasttest"
)

// act is one question and those who may answer it.
type act struct {
	title   string
	request holdfast.ChatRequest
	cast    []role // best first
}

// role is a provider: who it is, what it says, and what goes wrong with that, each fault in the place of one request. Whatever it is
// asked beyond them, it answers well.
type role struct {
	name, provider, model string
	says                  string
	calls                 []holdfasttest.ToolCall
	faults                []holdfasttest.Reply
}

// The models differ in how an answer that broke off can go on.
const (
	resumable = "gemini-4-argon"            // its provider gives tokens to resume the answer from
	prefilled = "claude-haiku-4-5-20251001" // goes on with any text that a request ends in
	closed    = "claude-opus-5-5"           // neither
	otherwise = "gpt-6-sol"                 // neither
	local     = "llama3.2"                  // as prefilled, behind llama.cpp
)

func scripted() []act { return []act{goesOn(), beginsAnew(), callsTool()} }

// goesOn breaks an answer wherever it goes. The reader gets it without a gap and with no word twice.
func goesOn() act {
	return act{
		title:   "One answer, and everything that breaks a stream",
		request: holdfast.ChatRequest{Messages: holdfast.Ask("How does kelp hold on in a storm?")},
		cast: []role{
			{name: "gemini", provider: "gemini", model: resumable, says: kelp, faults: []holdfasttest.Reply{
				{Fault: holdfasttest.CutRST, After: 22, Checkpoints: 4}, // two words behind a token: they come again, unseen
				{Fault: holdfasttest.EndEarly, After: 18},               // the connection ends in order, the answer does not
				{Fault: holdfasttest.Redirect},                          // a proxy wants somebody to sign in
			}},
			{name: "claude-eu", provider: "claude", model: prefilled, says: kelp, faults: []holdfasttest.Reply{
				{Fault: holdfasttest.KeepAlivesOnly, After: 20, KeepAlive: 100 * time.Millisecond}, // pings, and no word
			}},
			{name: "claude-us", provider: "claude", model: prefilled, says: kelp, faults: []holdfasttest.Reply{
				{BeforeFirst: 20 * time.Second}, // claude-asia is asked beside it, and is faster
				{Fault: holdfasttest.ErrorInStream, After: 20, Error: holdfasttest.Overloaded},
			}},
			{name: "claude-asia", provider: "claude", model: prefilled, says: kelp, faults: []holdfasttest.Reply{
				{Fault: holdfasttest.MalformedEvent, After: 20},
			}},
			{name: "this-machine", provider: "llama.cpp", model: local, says: kelp},
		},
	}
}

// beginsAnew breaks an answer that no model here goes on with. A reader that can take back what it has shown gets another one.
func beginsAnew() act {
	return act{
		title:   "No model here takes the rest: the answer begins anew, and the reader is told",
		request: holdfast.ChatRequest{Messages: holdfast.Ask("How does a limpet hold on?"), Rescue: holdfast.RescueReset},
		cast: []role{
			{name: "claude", provider: "claude", model: closed, says: limpet, faults: []holdfasttest.Reply{
				{Fault: holdfasttest.CutFIN, After: 14},
			}},
			{name: "openai", provider: "openai", model: otherwise, says: limpetToo},
		},
	}
}

// callsTool breaks a tool call inside its arguments. Half a call is never shown: somebody could run it.
func callsTool() act {
	calls := []holdfasttest.ToolCall{{Name: "close_gate", Args: `{"gate":"north basin, outer tide gate","percent":50}`}}
	return act{
		title: "A tool call is cut inside its arguments: the reader sees it whole or not at all",
		request: holdfast.ChatRequest{
			Messages: holdfast.Ask("Close the outer tide gate of the north basin by half."),
			Tools:    []holdfast.Tool{{Name: "close_gate", Schema: []byte(`{"type":"object","properties":{"gate":{"type":"string"},"percent":{"type":"integer"}}}`)}},
		},
		cast: []role{
			{name: "claude", provider: "claude", model: closed, calls: calls, faults: []holdfasttest.Reply{
				{Fault: holdfasttest.CutRST, After: 3},
			}},
			{name: "openai", provider: "openai", model: otherwise, calls: calls},
		},
	}
}

// yours is an act in which nothing breaks by itself.
func yours() act {
	a := goesOn()
	a.title = "Press Enter to kill the provider that is answering"
	for i := range a.cast {
		a.cast[i].faults = nil
	}
	a.cast[0].faults = []holdfasttest.Reply{{Checkpoints: 4}}
	return a
}

const (
	kelp = "Kelp has no roots. What grips the rock is the holdfast, a knot of fingers, haptera, that grow over one another, year upon year, " +
		"until they fill every crack beneath them. They take nothing up: the blades drink the sea themselves. The holdfast holds, and that " +
		"is all it does. A storm tears at it with every wave — first this way, then that — and each finger carries a little of the load. " +
		"When one breaks, the ones beside it take over; nothing above them needs to know. Growth covers the wound within weeks. So a frond " +
		"of Lessonia or of Saccharina, as long as a ship, may ride out ten winters on a boulder no wider than a plate. And in the gaps of " +
		"the knot live crabs, brittle stars and the young of a hundred species: the calmest place on the whole coast. " +
		"Norwegians call it tareskog, «skogen under bølgene»: the forest beneath the waves."
	limpet    = "A limpet clamps its shell to the rock with a broad, muscular foot, and a film of mucus between the two does much of the holding."
	limpetToo = "It has a strong foot that works like a suction cup, and a glue besides. Its shell is ground to fit one place on the rock, " +
		"to which it comes home after every tide."
)
