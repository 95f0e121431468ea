package main

import (
	"errors"
	"iter"
	"strings"
	"sync/atomic"

	"github.com/holdfast-ai/holdfast"
)

// reader reads an answer as any program does, and keeps what it was shown.
type reader struct {
	screen  screen
	shown   strings.Builder        // the text since the last EventReset
	told    int                    // the first attempt of the Trail that is still to be marked
	speaker atomic.Pointer[string] // the endpoint that is answering
}

// read shows a stream on the screen, with a mark wherever it was saved.
func (r *reader) read(stream iter.Seq2[holdfast.Event, error]) (*holdfast.ChatResponse, error) {
	defer r.screen.endLine()
	for event, err := range stream {
		if err != nil {
			return nil, err
		}
		switch event.Type {
		case holdfast.EventStart, holdfast.EventHop:
			r.meet(event.Response)
		case holdfast.EventReset:
			r.shown.Reset()
			if event.Response != nil { // nil if the provider itself takes back what it said
				r.meet(event.Response)
			}
			r.screen.restart()
		case holdfast.EventText:
			r.shown.WriteString(event.Delta)
			r.screen.say(event.Delta)
		case holdfast.EventBlockEnd:
			if call, ok := event.Part.(*holdfast.ToolCall); ok {
				r.screen.say(call.Name + " " + string(call.Args))
			}
		case holdfast.EventEnd:
			return event.Response, nil
		}
	}
	return nil, errors.New("the stream ended without its EventEnd")
}

// meet marks who broke since the last time, and how; and who answers now, and why.
func (r *reader) meet(now *holdfast.ChatResponse) {
	why := ""
	for i, a := range now.Trail.Attempts {
		switch {
		case i < r.told:
		case a.Kind == "" && a.Endpoint == now.Endpoint:
			r.told, why = i, ": "+a.Why
		case a.Kind != "" && a.Kind != holdfast.KindLost:
			r.screen.mark(red, "✗", a.Endpoint+": "+a.Error)
		}
	}
	r.screen.mark(green, "→", now.Endpoint+why)
	r.screen.speaker = now.Endpoint
	r.speaker.Store(&now.Endpoint)
}
