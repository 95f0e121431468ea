// Unbreakable shows an answer being read while the providers behind it break, one after the other:
//
//	go run ./examples/unbreakable         a scripted show in three acts
//	go run ./examples/unbreakable -kill   Enter kills the provider that is answering
//
// The providers run in this process and break as real ones do: there is no key, and no network but the loopback interface. The client
// is told nothing of what is to come. The program fails unless every answer arrives whole, byte for byte.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	s := show{out: os.Stdout, colour: isTerminal(os.Stdout)}
	flag.DurationVar(&s.pace, "pace", 30*time.Millisecond, "the time between two words")
	fast := flag.Bool("fast", false, "hurry: a pace of 2ms")
	kill := flag.Bool("kill", false, "kill providers yourself: Enter kills the one that is answering")
	flag.Parse()
	if *fast {
		s.pace = 2 * time.Millisecond
	}
	acts := scripted()
	if *kill {
		acts, s.kills = []act{yours()}, os.Stdin
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := s.run(ctx, acts)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// show is how the acts are shown.
type show struct {
	out    io.Writer
	colour bool
	pace   time.Duration // between two words of an answer
	kills  io.Reader     // each line kills the provider that is answering; nil in a scripted show
}

// run plays the acts. An act that fails does not keep the next ones from being shown.
func (s *show) run(ctx context.Context, acts []act) error {
	var failures []error
	for i, a := range acts {
		if err := s.play(ctx, a); err != nil {
			failures = append(failures, fmt.Errorf("act %d: %w", i+1, err))
		}
	}
	return errors.Join(failures...)
}

// isTerminal reports whether f may be written to in colour. See https://no-color.org.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
