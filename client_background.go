package holdfast

import (
	"context"
	"sync"
)

// background is what a client runs beside its calls: probes. Close ends and awaits it.
type background struct {
	mu     sync.Mutex
	closed bool
	stop   map[*context.CancelFunc]struct{}
	all    sync.WaitGroup
}

// inBackground runs f beside the calls, with the values of a call's context but neither its deadline nor its end: f sees to its own, and its
// context ends when the client is closed. It reports false, and runs nothing, if that has happened.
func (c *Client) inBackground(ctx context.Context, f func(context.Context)) bool {
	b := &c.beside
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		cancel()
		return false
	}
	if b.stop == nil {
		b.stop = map[*context.CancelFunc]struct{}{}
	}
	b.stop[&cancel] = struct{}{}
	b.all.Go(func() {
		defer func() {
			cancel()
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.stop, &cancel)
		}()
		f(ctx)
	})
	return true
}

// close ends what runs, lets nothing begin any more, and waits.
func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	for cancel := range b.stop {
		(*cancel)()
	}
	b.mu.Unlock()
	b.all.Wait()
}
