package holdfast

import (
	"fmt"
	"strings"
)

// place is where in a request a part stands. It becomes words only when a note or an error needs them.
type place struct {
	message, part int
	// inner is the index within a tool result, -1 outside.
	inner int
}

// nowhere is no place.
var nowhere = place{message: -1}

func (p place) String() string {
	s := fmt.Sprintf("messages[%d].parts[%d]", p.message, p.part)
	if p.inner >= 0 {
		s += fmt.Sprintf(".parts[%d]", p.inner)
	}
	return s
}

// within returns the place of a part of the tool result that stands at p.
func (p place) within(inner int) place { return place{p.message, p.part, inner} }

// elsewhere refuses a file that was uploaded to a provider other than the target, which speaks the dialect.
func (t Target) elsewhere(at place, dialect string, f *FileRef) error {
	if f.Provider == dialect || f.Provider == t.Provider {
		return nil
	}
	return Unsupported(at.String()+".file", "the file was uploaded to another provider")
}

// errNothingLeft refuses a conversation of which only what other providers can read is left.
func errNothingLeft() error {
	return Unsupported("messages", "nothing of them can be sent to this provider")
}

// mediaType returns a media type in lower case and without parameters.
func mediaType(mime string) string {
	mime, _, _ = strings.Cut(mime, ";")
	return strings.ToLower(strings.TrimSpace(mime))
}
