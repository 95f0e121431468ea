package holdfasttest

import "sync/atomic"

// A speech is what an answer says, apart from how it is sent.
type speech struct {
	thinking string
	chunks   []string
	calls    []ToolCall
	refusal  string
	stop     StopReason
}

func (a *answer) speech() speech {
	return speech{a.Thinking, a.chunks, a.ToolCalls, a.Refusal, a.StopReason}
}

func (a *answer) say(s speech) {
	a.Thinking, a.chunks, a.ToolCalls, a.Refusal, a.StopReason = s.thinking, s.chunks, s.calls, s.refusal, s.stop
}

// A keepingForm has answers that the server keeps, whole, whatever breaks the sending, so that a client can ask for what it missed.
type keepingForm interface {
	// key is what a client finds an answer by; empty if it is not kept.
	key(a *answer) string
}

// A pausingForm can end an answer early, to be gone on with.
type pausingForm interface {
	// pause leaves of an answer what is said before the pause.
	pause(a *answer)
}

func (s *Server) keep(a *answer) {
	f, ok := a.ask.form.(keepingForm)
	if !ok {
		return
	}
	if key := f.key(a); key != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.kept[key] = a
	}
}

// recall returns the answer of that key, nil if there is none.
func (s *Server) recall(key string) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[key]
}

// servers counts servers, so that none takes what another gave out for its own.
var servers atomic.Int64
