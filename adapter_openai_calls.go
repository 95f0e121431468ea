package holdfast

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// chatCall is a tool call whose pieces are being joined. Its key with the [AnswerWriter] is its position in the decoder's list.
type chatCall struct {
	index int // the server's number of it, -1 if it gives none
	id    string
	name  string
	args  jsonProgress
	extra bool
}

// chatFragment is one element of tool_calls, as it stands in the chunk.
type chatFragment struct {
	index    int
	indexed  bool // index was there
	id       []byte
	function []byte
	extra    []byte
}

// toolCalls reads an array of fragments, or a lone one.
func (d *chatDecoder) toolCalls(raw []byte, out *AnswerWriter) {
	s := jsonscan.New(raw)
	if s.Kind() == jsonscan.Object {
		d.fragment(readFragment(&s), out)
		return
	}
	for ok := s.Array(); ok && s.NextElem(); {
		if s.Kind() != jsonscan.Object {
			s.Skip()
			continue
		}
		d.fragment(readFragment(&s), out)
	}
}

func readFragment(s *jsonscan.Scanner) chatFragment {
	var f chatFragment
	for ok := s.Object(); ok && s.NextKey(); {
		switch string(s.Key()) {
		case "index":
			if s.Kind() == jsonscan.Number {
				f.index, f.indexed = s.Int(), true
			} else {
				s.Skip()
			}
		case "id":
			if raw := s.Raw(); isText(raw) {
				f.id = raw
			}
		case "function":
			f.function = s.Raw()
		case "extra_content":
			f.extra = s.Raw()
		default:
			s.Skip()
		}
	}
	return f
}

// fragment joins a piece to its call, or begins one.
func (d *chatDecoder) fragment(f chatFragment, out *AnswerWriter) {
	var name, args []byte
	s := jsonscan.New(f.function)
	if s.Kind() == jsonscan.Object {
		for ok := s.Object(); ok && s.NextKey(); {
			switch string(s.Key()) {
			case "name":
				name = s.Raw()
			case "arguments":
				args = s.Raw()
			default:
				s.Skip()
			}
		}
	}
	word, id := "", ""
	if isText(name) {
		in := jsonscan.New(name)
		word = in.String()
	}
	if f.id != nil {
		in := jsonscan.New(f.id)
		id = in.String()
	}
	hasArgs := len(args) > 0 && string(args) != "null" && string(args) != `""`
	key := d.callFor(&f, id, word, hasArgs)
	if key < 0 {
		key = d.newCall(&f, id, word, out)
	} else {
		d.rename(key, word, out)
	}
	if hasArgs {
		d.arguments(key, args, out)
	}
	d.keepExtra(key, f.extra, out)
}

// callFor finds the call that a fragment goes on with, -1 if it begins one. Servers number calls, or give ids, or neither; some
// number all of them 0; some repeat the id or the name in every fragment, and some make a new id for each.
func (d *chatDecoder) callFor(f *chatFragment, id, name string, hasArgs bool) int {
	if d.whole {
		return -1
	}
	last := len(d.calls) - 1
	if f.indexed {
		for ; last >= 0 && d.calls[last].index != f.index; last-- {
		}
	} else if id != "" {
		if i := slices.IndexFunc(d.calls, func(c chatCall) bool { return c.id == id }); i >= 0 {
			return i
		}
		if last < 0 || name != "" || d.calls[last].args.whole() {
			return -1
		}
		return last
	}
	if last < 0 {
		return -1
	}
	c := &d.calls[last]
	switch {
	case name == "":
		return last
	case id != "" && c.id != "" && id != c.id:
		return -1
	case hasArgs && c.args.whole():
		return -1
	case !f.indexed && c.name != "" && name != c.name:
		return -1
	}
	return last
}

func (d *chatDecoder) newCall(f *chatFragment, id, name string, out *AnswerWriter) int {
	key := len(d.calls)
	if slices.ContainsFunc(d.calls, func(c chatCall) bool { return c.id == id }) {
		id = "" // given twice: no conversation could hold both
	}
	c := chatCall{index: -1, id: id, name: name}
	if f.indexed {
		c.index = f.index
	}
	d.calls = append(d.calls, c)
	if id == "" {
		// The same answer gives the same id, and another answer another.
		id = "call_" + foldID("\x00"+d.seed+"\x00"+name+"\x00"+strconv.Itoa(key), "", 24)
	}
	out.ToolCall(key, id, name)
	return key
}

// rename takes a name that comes late, again, or in pieces.
func (d *chatDecoder) rename(key int, name string, out *AnswerWriter) {
	c := &d.calls[key]
	if name == "" || name == c.name || c.args.begun {
		return
	}
	c.name += name
	out.keep(len(c.name))
	if call := out.OpenToolCall(key); call != nil {
		call.Name = c.name
	}
}

// arguments takes a piece of the arguments, which come as a string or, from some servers, as the object itself.
func (d *chatDecoder) arguments(key int, raw []byte, out *AnswerWriter) {
	if raw[0] == '"' {
		raw = d.unquote(raw)
	}
	d.calls[key].args.feed(raw)
	out.ToolArgs(key, raw)
}

// keepExtra keeps what has to come back with the call: the thought signatures of Gemini's compatible endpoint.
func (d *chatDecoder) keepExtra(key int, raw []byte, out *AnswerWriter) {
	if len(raw) == 0 || raw[0] != '{' || d.calls[key].extra || !isObject(raw) {
		return
	}
	if call := out.OpenToolCall(key); call != nil {
		d.calls[key].extra = true
		kept := append(append([]byte(`{"extra_content":`), raw...), '}')
		call.Extra, call.Origin = Extra{d.profile.name(): bytes.Clone(kept)}, out.Origin()
	}
}

// named reports whether every call has a name.
func (d *chatDecoder) named() bool {
	return !slices.ContainsFunc(d.calls, func(c chatCall) bool { return c.name == "" })
}

// jsonProgress follows the brackets of a JSON value that comes in pieces.
type jsonProgress struct {
	depth           int
	begun           bool
	quoted, escaped bool
}

func (p *jsonProgress) feed(piece []byte) {
	for _, c := range piece {
		switch {
		case p.escaped:
			p.escaped = false
		case p.quoted && c == '\\':
			p.escaped = true
		case c == '"':
			p.quoted, p.begun = !p.quoted, true
		case p.quoted:
		case c == '{', c == '[':
			p.depth++
			p.begun = true
		case c == '}', c == ']':
			p.depth--
		}
	}
}

// whole reports whether the value has come to its end.
func (p *jsonProgress) whole() bool { return p.begun && !p.quoted && p.depth <= 0 }
