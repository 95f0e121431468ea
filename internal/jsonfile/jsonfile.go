// Package jsonfile reads a JSON file that a person wrote into a Go struct, and reports everything that is wrong with it at once.
//
// It is strict where encoding/json is lenient: unknown and repeated keys, text behind the document and letter case are faults.
// Files may hold secrets, so a message quotes keys but never a value.
package jsonfile

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a file. An Unmarshaler that returns a Fault as its error has it reported below the
// path of its own value; any other error of an Unmarshaler is left out, since it might quote the value.
type Fault struct {
	// Path names the value as the file spells it, such as "endpoints[1].url"; "" is the document itself.
	Path string
	// Message says what is wrong and what would be right. It quotes no value.
	Message string
}

// Error returns the path and the message.
func (f Fault) Error() string {
	if f.Path == "" {
		return f.Message
	}
	return f.Path + ": " + f.Message
}

const (
	maxDepth  = 100
	maxFaults = 100
)

var byteOrderMark = []byte("\xEF\xBB\xBF")

// Read decodes what src holds, which may be at most limit bytes, as [Decode] does. The error is that of reading src.
func Read(src io.Reader, limit int, into any) ([]Fault, error) {
	data, err := io.ReadAll(io.LimitReader(src, min(int64(limit), math.MaxInt64-1)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return []Fault{{Message: fmt.Sprintf("is larger than %d bytes", limit)}}, nil
	}
	return Decode(data, into), nil
}

// Decode reads one JSON document into the struct that into points to and returns every fault, in the order of the file; what
// into holds is of use only if there is none. Fields are named by their json tags as for encoding/json, but in exactly
// that spelling, and these rules hold:
//
//   - null stands for a key that is absent, and leaves the field as it was; a null in a list is a fault.
//   - A [time.Duration] is a string such as "1m30s".
//   - A document may be nested 100 deep.
//   - A byte order mark at the start is skipped.
//
// Behind a syntax error nothing can be judged: it is the last fault reported. Of more than 100 faults the first 100 are reported.
func Decode(data []byte, into any) []Fault {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return []Fault{{Message: "cannot be decoded: the program gave no pointer to a struct"}}
	}
	p := &parser{data: bytes.TrimPrefix(data, byteOrderMark), faults: faults{room: maxFaults}}
	root := p.document()
	b := &binder{faults: p.faults, data: p.data}
	b.faults.room += maxFaults
	if root != nil && b.want(root, nil, isObject) {
		b.bind(root, v.Elem(), nil)
	}
	found := b.faults.list()
	if p.syntax != nil {
		found = append(found, *p.syntax)
	}
	return found
}

// faults collects faults with the place in the document where each was found.
type faults struct {
	all  []located
	room int
	more bool
}

type located struct {
	Fault
	at int
}

// full reports whether no fault found from here on can be among those reported. Two passes find faults, so that the first of
// them leaves room for those of the second.
func (f *faults) full() bool { return len(f.all) >= f.room }

func (f *faults) add(fault Fault, at int) {
	if f.full() {
		f.more = true
		return
	}
	f.all = append(f.all, located{fault, at})
}

// list returns the first faults in the order of the file.
func (f *faults) list() []Fault {
	slices.SortStableFunc(f.all, func(a, b located) int { return cmp.Compare(a.at, b.at) })
	var list []Fault
	for _, l := range f.all[:min(len(f.all), maxFaults)] {
		list = append(list, l.Fault)
	}
	if f.more || len(f.all) > maxFaults {
		list = append(list, Fault{Message: "there are more faults than these"})
	}
	return list
}

// path is a way down the document: each step a key or an index.
type path struct {
	up    *path
	key   string
	index int // of a list, if key is not set
	isKey bool
}

func (p *path) String() string {
	var steps []string
	for ; p != nil; p = p.up {
		switch {
		case !p.isKey:
			steps = append(steps, fmt.Sprintf("[%d]", p.index))
		case !isPlain(p.key):
			steps = append(steps, "["+quoteKey(p.key)+"]")
		case p.up != nil:
			steps = append(steps, "."+p.key)
		default:
			steps = append(steps, p.key)
		}
	}
	var b strings.Builder
	for i := len(steps) - 1; i >= 0; i-- {
		b.WriteString(steps[i])
	}
	return b.String()
}

// top returns the first step of the path.
func (p *path) top() *path {
	for p != nil && p.up != nil {
		p = p.up
	}
	return p
}

// isPlain reports whether a key needs no quotes in a path.
func isPlain(key string) bool {
	for _, c := range []byte(key) {
		if fits := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '-'; !fits {
			return false
		}
	}
	return key != "" && len(key) <= maxKey
}

const maxKey = 64

// quoteKey quotes a key, which may be any text, so that it fits in a message of one line.
func quoteKey(key string) string {
	if len(key) > maxKey {
		cut := maxKey
		for cut > 0 && key[cut]&0xC0 == 0x80 {
			cut--
		}
		return fmt.Sprintf("%q…", key[:cut])
	}
	return fmt.Sprintf("%q", key)
}
