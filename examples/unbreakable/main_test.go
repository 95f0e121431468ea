package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

// TestScripted demands whole answers only: where they break and who saves them is another matter on a machine so slow that providers in good
// health are late.
func TestScripted(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := show{out: &out, pace: time.Millisecond}
	if err := s.run(t.Context(), scripted()); err != nil {
		t.Errorf("got the error %v\n%s", err, &out)
	}
	if got := strings.Count(out.String(), "arrived whole"); got != len(scripted()) {
		t.Errorf("got %d whole answers, want %d, in\n%s", got, len(scripted()), &out)
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	out := newSpectator(30, 3)
	s := show{out: out, pace: 5 * time.Millisecond, kills: out.kills}
	if err := s.run(t.Context(), []act{yours()}); err != nil {
		t.Errorf("got the error %v\n%s", err, out)
	}
	if !strings.Contains(out.String(), "to continue it as a prefill") {
		t.Errorf("nobody was killed in\n%s", out)
	}
}

// TestKillAll leaves nobody who could finish the answer, which must not pass for a success.
func TestKillAll(t *testing.T) {
	t.Parallel()
	out := newSpectator(4, 30)
	s := show{out: out, pace: 10 * time.Millisecond, kills: out.kills}
	if err := s.run(t.Context(), []act{yours()}); err == nil {
		t.Errorf("got no error from\n%s", out)
	}
}

// spectator watches the show and presses Enter now and then.
type spectator struct {
	strings.Builder
	kills          *io.PipeReader
	enter          *io.PipeWriter
	writes         int
	every, presses int
}

func newSpectator(every, presses int) *spectator {
	s := &spectator{every: every, presses: presses}
	s.kills, s.enter = io.Pipe()
	return s
}

func (s *spectator) Write(p []byte) (int, error) {
	if s.writes++; s.writes%s.every == 0 && s.presses > 0 {
		if _, err := s.enter.Write([]byte("\n")); err != nil {
			return 0, err
		}
		if s.presses--; s.presses == 0 {
			s.enter.Close()
		}
	}
	return s.Builder.Write(p)
}
