package holdfast

import (
	"fmt"
	"slices"
	"strings"
)

// hinted reports whether a field may be left out where the provider does not know it. Indices do not count: "tools.strict" is
// each tool's. What holds a field stands for it too: "reasoning" for "reasoning.effort".
func (r *ChatRequest) hinted(field string) bool {
	return len(r.Hints) > 0 && slices.ContainsFunc(r.Hints, func(hint string) bool {
		rest, ok := strings.CutPrefix(withoutIndices(field), withoutIndices(hint))
		return ok && hint != "" && (rest == "" || rest[0] == '.')
	})
}

// withoutIndices turns "tools[2].strict" into "tools.strict".
func withoutIndices(path string) string {
	before, rest, found := strings.Cut(path, "[")
	if !found {
		return path
	}
	_, after, _ := strings.Cut(rest, "]")
	return before + withoutIndices(after)
}

// cacheHint returns a part's cache hint.
func cacheHint(p Part) CacheHint {
	switch p := p.(type) {
	case *Text:
		return p.Cache
	case *Image:
		return p.Cache
	case *Document:
		return p.Cache
	case *Audio:
		return p.Cache
	case *ToolResult:
		return resultHint(p)
	}
	return ""
}

// resultHint returns the cache hint of a result: its own, or one of its parts', since it is kept as a whole.
func resultHint(r *ToolResult) CacheHint {
	hint := r.Cache
	for _, p := range r.Parts {
		if h := cacheHint(p); h != "" && hint != CacheLong {
			hint = h
		}
	}
	return hint
}

// strayNotes names what texts carry beside their words though no model wrote them: it means nothing to any provider.
func (r *ChatRequest) strayNotes() []string {
	var notes []string
	for i, t := range r.System {
		if len(t.Extra) > 0 {
			notes = append(notes, fmt.Sprintf("system[%d].extra", i))
		}
	}
	for i := range r.Messages {
		if r.Messages[i].Role == RoleAssistant {
			continue
		}
		for j, p := range r.Messages[i].Parts {
			switch p := p.(type) {
			case *Text:
				if len(p.Extra) > 0 {
					notes = append(notes, place{i, j, -1}.String()+".extra")
				}
			case *ToolResult:
				for k, inner := range p.Parts {
					if t, ok := inner.(*Text); ok && len(t.Extra) > 0 {
						notes = append(notes, place{i, j, k}.String()+".extra")
					}
				}
			}
		}
	}
	return notes
}
