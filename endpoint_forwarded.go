package holdfast

import "strings"

// forwardedFor returns the "for" values of one Forwarded header line (RFC 7239, section 4), a value for each element: "" for
// one that has none. ok is false if the line is malformed. Values without quotes may hold what should be quoted, as in
// for=192.0.2.1:80 and for=[2001:db8::1]: servers send that.
func forwardedFor(line string) (hops []string, ok bool) {
	s := forwardedScanner{rest: line}
	for {
		hop, some, ok := s.element()
		if !ok {
			return nil, false
		}
		if some {
			hops = append(hops, hop)
		}
		if s.rest == "" {
			return hops, true
		}
		s.rest = s.rest[1:] // the comma
	}
}

// forwardedScanner reads a line from the left, since only so quotes are told from what stands in them.
type forwardedScanner struct{ rest string }

// element reads pairs up to a comma or the end. some reports whether there was any.
func (s *forwardedScanner) element() (hop string, some, ok bool) {
	seen := false
	for {
		s.space()
		if name := s.token(); name != "" {
			value, ok := s.value()
			if !ok {
				return "", false, false
			}
			some = true
			if strings.EqualFold(name, "for") {
				if seen {
					return "", false, false
				}
				hop, seen = value, true
			}
			s.space()
		}
		switch {
		case s.rest == "" || s.rest[0] == ',':
			return hop, some, true
		case s.rest[0] != ';':
			return "", false, false
		}
		s.rest = s.rest[1:]
	}
}

func (s *forwardedScanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

// token reads a parameter's name.
func (s *forwardedScanner) token() string {
	end := strings.IndexFunc(s.rest, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
	if end < 0 {
		end = len(s.rest)
	}
	name := s.rest[:end]
	s.rest = s.rest[end:]
	return name
}

// value reads an equals sign and what follows it, in quotes or not.
func (s *forwardedScanner) value() (string, bool) {
	after, ok := strings.CutPrefix(s.rest, "=")
	if !ok {
		return "", false
	}
	if quoted, ok := strings.CutPrefix(after, `"`); ok {
		s.rest = quoted
		return s.quoted()
	}
	end := strings.IndexAny(after, "\",; \t")
	if end < 0 {
		end = len(after)
	}
	s.rest = after[end:]
	return after[:end], end > 0
}

// quoted reads up to the closing quote.
func (s *forwardedScanner) quoted() (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; c {
		case '"':
			s.rest = s.rest[i+1:]
			return b.String(), true
		case '\\':
			if i++; i == len(s.rest) {
				return "", false
			}
			b.WriteByte(s.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
