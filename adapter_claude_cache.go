package holdfast

import (
	"fmt"
)

// mark writes a cache mark. The last four of the prompt count: each covers all that stands before it. A long one must not stand
// behind a short one.
func (e *claudeEncoder) mark(hint CacheHint, place string, at ...int) {
	if hint == "" {
		return
	}
	name := func() string {
		args := make([]any, len(at))
		for i, n := range at {
			args[i] = n
		}
		return fmt.Sprintf(place, args...)
	}
	if e.unmarked > 0 {
		e.unmarked--
		e.note(name() + ": Claude takes 4 marks, and later ones cover more")
		return
	}
	long := hint == CacheLong
	if long && e.short {
		e.note(name() + ": kept for the short time, as a mark before it is")
		long = false
	}
	e.short = !long
	e.raw("cache_control", `{"type":"ephemeral"`)
	if long {
		e.out = append(e.out, `,"ttl":"1h"`...)
	}
	e.out = append(e.out, '}')
}

// countCacheHints counts the cache hints of the request.
func (e *claudeEncoder) countCacheHints() int {
	n := 0
	for i := range e.req.Tools {
		if e.req.Tools[i].Cache != "" {
			n++
		}
	}
	for _, t := range e.req.System {
		if t.Cache != "" {
			n++
		}
	}
	for _, m := range e.req.Messages {
		for _, p := range m.Parts {
			if cacheHint(p) != "" {
				n++
			}
		}
	}
	return n
}
