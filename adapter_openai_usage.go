package holdfast

import (
	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// chatUsage is a usage object as it was read.
type chatUsage struct {
	prompt, completion, total, reasoning int
	cached, written, hits                int
	hasCached                            bool
}

// count reads a usage object. Servers send it in every chunk, in the last, behind it, or never; always as a running total, so
// the last one counts.
func (d *chatDecoder) count(s *jsonscan.Scanner, out *AnswerWriter) {
	raw := s.Raw()
	if len(raw) == 0 || raw[0] != '{' {
		return
	}
	var c chatUsage
	in := jsonscan.New(raw)
	c.read(&in)
	d.rawUsage = append(d.rawUsage[:0], raw...)
	u := c.usage(d.profile)
	d.final = (d.finished != "" || d.whole) && u.Input+u.Output > 0
	if d.counted && u.same(&d.usage) {
		return
	}
	d.counted, d.usage = true, u
	if !d.whole {
		out.Usage(u)
	}
}

// same compares the counts alone.
func (u *Usage) same(v *Usage) bool {
	return u.Input == v.Input && u.Output == v.Output && u.CacheRead == v.CacheRead && u.CacheWrite == v.CacheWrite && u.Reasoning == v.Reasoning
}

func (c *chatUsage) read(s *jsonscan.Scanner) {
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "prompt_tokens":
			c.prompt = tokens(s)
		case "completion_tokens":
			c.completion = tokens(s)
		case "total_tokens":
			c.total = tokens(s)
		case "prompt_cache_hit_tokens", "cached_tokens": // DeepSeek, Moonshot
			c.hits = tokens(s)
		case "prompt_tokens_details":
			for ok := s.Object(); ok && s.NextKey(); {
				switch string(s.Key()) {
				case "cached_tokens":
					c.cached, c.hasCached = tokens(s), true
				case "cache_write_tokens":
					c.written = tokens(s)
				default:
					s.Skip()
				}
			}
		case "completion_tokens_details":
			for ok := s.Object(); ok && s.NextKey(); {
				if string(s.Key()) == "reasoning_tokens" {
					c.reasoning = tokens(s)
				} else {
					s.Skip()
				}
			}
		default:
			s.Skip()
		}
	}
}

// tokens takes a count, held within what can be added up.
func tokens(s *jsonscan.Scanner) int { return min(max(0, s.Int()), 1<<30) }

// usage gives the neutral count. The total shows whether the reasoning stands inside of completion_tokens; where there is none,
// the server's habit does.
func (c *chatUsage) usage(p *chatProfile) Usage {
	beside := p.has(reasonsBeside)
	switch c.total {
	case 0:
	case c.prompt + c.completion:
		beside = false
	case c.prompt + c.completion + c.reasoning:
		beside = true
	}
	u := Usage{Input: c.prompt, CacheRead: c.cached, CacheWrite: c.written, Output: c.completion, Reasoning: c.reasoning}
	if !c.hasCached {
		u.CacheRead = c.hits
	}
	if beside {
		u.Output += c.reasoning
	}
	return u
}

// groq reads the place where Groq puts usage beside the usual one.
func (d *chatDecoder) groq(s *jsonscan.Scanner, out *AnswerWriter) {
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "usage":
			d.count(s, out)
		default:
			s.Skip()
		}
	}
}
