package holdfast

import (
	"bytes"
	"encoding/json"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// claudeStop is what an answer says of its end.
type claudeStop struct {
	reason, sequence, category, explanation string
	refused                                 bool
}

// stopField takes a member that tells of the end of an answer, or one that is kept for the caller, and skips any other.
func (d *claudeDecoder) stopField(s *jsonscan.Scanner) {
	switch key := string(s.Key()); key {
	case "stop_reason":
		if b, ok := s.Bytes(); ok && len(b) > 0 {
			d.ended.reason = string(b)
		}
	case "stop_sequence":
		if s.Kind() == jsonscan.String {
			d.ended.sequence = s.String()
			return
		}
		s.Skip()
	case "stop_details", "container", "diagnostics", "context_management", "input_transformations":
		v := s.Valid()
		if v == nil || string(v) == "null" {
			return
		}
		if key == "stop_details" {
			d.stopDetails(v)
		}
		if d.extra == nil {
			d.extra = map[string]json.RawMessage{}
		}
		d.extra[key] = v
	default:
		s.Skip()
	}
}

func (d *claudeDecoder) stopDetails(raw []byte) {
	s := jsonscan.New(raw)
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "category":
			d.ended.category = s.String()
		case "explanation":
			d.ended.explanation = s.String()
		default:
			s.Skip()
		}
	}
}

var claudeStops = map[string]StopReason{
	"end_turn":                      StopEndTurn,
	"max_tokens":                    StopMaxTokens,
	"stop_sequence":                 StopSequence,
	"tool_use":                      StopToolUse,
	"pause_turn":                    StopPaused,
	"compaction":                    StopPaused, // goes on when sent back (unverified)
	"refusal":                       StopRefusal,
	"model_context_window_exceeded": StopContext,
}

// stop reports why the answer ended, if it said so or is whole. What a refused answer had said before is void.
func (d *claudeDecoder) stop(out *AnswerWriter, whole bool) {
	e := &d.ended
	if e.reason == "" && !whole {
		return
	}
	reason, ok := claudeStops[e.reason]
	if !ok {
		reason = StopUnknown
	}
	out.Stop(Stop{Reason: reason, Raw: e.reason, Sequence: e.sequence, Detail: e.category})
	if reason != StopRefusal || e.refused {
		return
	}
	e.refused = true
	d.open, d.pending = blockNone, false
	out.Discard()
	if e.explanation != "" {
		out.Refusal([]byte(e.explanation))
	}
}

// readUsage takes the counts that are there and leaves the others: counts of a stream are cumulative.
func (d *claudeDecoder) readUsage(raw []byte) {
	s := jsonscan.New(raw)
	if s.Kind() != jsonscan.Object {
		return
	}
	u := &d.usage
	uncached := u.Input - d.created - u.CacheRead
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "input_tokens":
			claudeCount(&s, &uncached)
		case "cache_creation_input_tokens":
			claudeCount(&s, &d.created)
		case "cache_read_input_tokens":
			claudeCount(&s, &u.CacheRead)
		case "output_tokens":
			claudeCount(&s, &u.Output)
		case "cache_creation":
			for ok := s.Object(); ok && s.NextKey(); {
				if string(s.Key()) == "ephemeral_1h_input_tokens" {
					claudeCount(&s, &u.CacheWriteLong)
					continue
				}
				s.Skip()
			}
		case "output_tokens_details":
			for ok := s.Object(); ok && s.NextKey(); {
				if string(s.Key()) == "thinking_tokens" {
					claudeCount(&s, &u.Reasoning)
					continue
				}
				s.Skip()
			}
		default:
			s.Skip()
		}
	}
	u.Input = uncached + d.created + u.CacheRead
	u.CacheWrite = max(d.created-u.CacheWriteLong, 0)
	if json.Valid(raw) {
		u.Raw = bytes.Clone(raw)
	}
}

// count takes a number of tokens; anything else changes nothing.
func claudeCount(s *jsonscan.Scanner, into *int) {
	if s.Kind() != jsonscan.Number {
		s.Skip()
		return
	}
	const most = 1 << 40 // keeps sums far from overflow
	*into = min(max(s.Int(), 0), most)
}
