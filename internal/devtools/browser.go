// Package devtools drives a headless Chromium over the pipe of its DevTools protocol, so that tests see pages as people do.
package devtools

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// Browser is a Chromium that runs with a profile of its own. Safe for concurrent use.
type Browser struct {
	command *exec.Cmd
	profile string
	to      *os.File
	ended   chan struct{} // closed when the browser said its last

	mu      sync.Mutex
	last    int // id of a call
	waiting map[int]chan<- message
	tabs    map[string]*Tab // by session
}

// message is what goes either way: a call, its result, or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Find returns the path of a Chromium or Chrome.
func Find() (string, error) {
	var err error
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		path, e := exec.LookPath(name)
		if e == nil {
			return path, nil
		}
		err = errors.Join(err, e)
	}
	return "", err
}

// quiet keeps the browser from everything but the pages that it is asked for. The sandbox needs rights that containers seldom have; the
// pages are our own.
var quiet = []string{
	"--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
	"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--no-default-browser-check",
	"--hide-scrollbars", "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
}

// Start runs the browser at a path until Close, or until the context ends.
func Start(ctx context.Context, path string) (*Browser, error) {
	profile, err := os.MkdirTemp("", "devtools")
	if err != nil {
		return nil, err
	}
	b := &Browser{profile: profile, ended: make(chan struct{}), waiting: map[int]chan<- message{}, tabs: map[string]*Tab{}}
	b.command = exec.CommandContext(ctx, path, slices.Concat(quiet, []string{"--user-data-dir=" + profile, "about:blank"})...)
	from, err := b.start()
	if err != nil {
		_ = os.RemoveAll(profile)
		return nil, err
	}
	go b.listen(from)
	return b, nil
}

// start starts the command with the two pipes of the protocol, which it knows as 3 and 4, and returns the end to read from.
func (b *Browser) start() (from *os.File, err error) {
	theirs, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	from, answers, err := os.Pipe()
	if err != nil {
		to.Close()
		return nil, err
	}
	defer answers.Close()
	b.to, b.command.ExtraFiles = to, []*os.File{theirs, answers}
	if err := b.command.Start(); err != nil {
		to.Close()
		from.Close()
		return nil, err
	}
	return from, nil
}

// Close ends the browser and removes its profile.
func (b *Browser) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.call(ctx, "", "Browser.close", nil, nil); err != nil {
		_ = b.command.Process.Kill()
	}
	<-b.ended
	b.to.Close()
	err := b.command.Wait()
	_ = os.RemoveAll(b.profile) // a child that is about to end may still write there
	return err
}

// listen takes what the browser says to those who wait for it. Messages end with a zero byte.
func (b *Browser) listen(from *os.File) {
	defer close(b.ended)
	defer from.Close()
	r := bufio.NewReader(from)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) == nil {
			b.take(m)
		}
	}
}

func (b *Browser) take(m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.ID == 0 {
		if t := b.tabs[m.Session]; t != nil {
			t.events = append(t.events, Event{m.Method, m.Params})
		}
		return
	}
	if c := b.waiting[m.ID]; c != nil {
		delete(b.waiting, m.ID)
		c <- m
	}
}

// call asks the browser, or one of its tabs, to do something and waits for the result.
func (b *Browser) call(ctx context.Context, session, method string, params, result any) error {
	answer := make(chan message, 1)
	m := message{Session: session, Method: method}
	var err error
	if params != nil {
		if m.Params, err = json.Marshal(params); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.last++
	m.ID = b.last
	b.waiting[m.ID] = answer
	text, err := json.Marshal(m)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m = <-answer:
	case <-b.ended:
		select {
		case m = <-answer: // its last
		default:
			return fmt.Errorf("devtools: %s: the browser ended", method)
		}
	case <-ctx.Done():
		return fmt.Errorf("devtools: %s: %w", method, ctx.Err())
	}
	if m.Error != nil {
		return fmt.Errorf("devtools: %s: %s", method, m.Error.Message)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(m.Result, result)
}
