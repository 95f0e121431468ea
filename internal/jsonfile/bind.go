package jsonfile

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// binder sets Go values from nodes.
type binder struct {
	faults faults
	data   []byte
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	rawType      = reflect.TypeFor[json.RawMessage]()
)

func (b *binder) fault(n *node, at *path, format string, args ...any) {
	b.faults.add(Fault{at.String(), fmt.Sprintf(format, args...)}, n.at)
}

// want reports whether n is of a kind, and a fault if not.
func (b *binder) want(n *node, at *path, k kind) bool {
	if n.kind != k {
		b.fault(n, at, "expected %s, found %s", k, n.kind)
	}
	return n.kind == k
}

func (b *binder) bind(n *node, v reflect.Value, at *path) {
	if n.kind == isNull {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		b.bind(n, v.Elem(), at)
		return
	}
	switch v.Type() {
	case durationType:
		b.duration(n, v, at)
		return
	case rawType:
		v.SetBytes(slices.Clone(b.data[n.at:n.end]))
		return
	}
	if b.own(n, v, at) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		b.object(n, v, at)
	case reflect.Map:
		b.table(n, v, at)
	case reflect.Slice:
		b.list(n, v, at)
	case reflect.Interface:
		b.any(n, v, at)
	default:
		b.scalar(n, v, at)
	}
}

func (b *binder) scalar(n *node, v reflect.Value, at *path) {
	switch v.Kind() {
	case reflect.String:
		if b.want(n, at, isString) {
			v.SetString(n.text)
		}
	case reflect.Bool:
		if b.want(n, at, isBool) {
			v.SetBool(b.data[n.at] == 't')
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		b.whole(n, v, at)
	case reflect.Float32, reflect.Float64:
		if !b.want(n, at, isNumber) {
			return
		}
		f, err := strconv.ParseFloat(string(b.data[n.at:n.end]), v.Type().Bits())
		if err != nil {
			b.fault(n, at, "is out of range")
			return
		}
		v.SetFloat(f)
	default:
		b.fault(n, at, "cannot be set in a file")
	}
}

func (b *binder) whole(n *node, v reflect.Value, at *path) {
	if !b.want(n, at, isNumber) {
		return
	}
	digits := string(b.data[n.at:n.end])
	if strings.ContainsAny(digits, ".eE") {
		b.fault(n, at, "expected a whole number, written without a point or exponent")
		return
	}
	bits := v.Type().Bits()
	if v.CanInt() {
		i, err := strconv.ParseInt(digits, 10, bits)
		if err != nil {
			b.fault(n, at, "is out of range: must lie between %d and %d", int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits))
			return
		}
		v.SetInt(i)
		return
	}
	u, err := strconv.ParseUint(digits, 10, bits)
	if err != nil && digits != "-0" {
		b.fault(n, at, "is out of range: must lie between 0 and %d", uint64(math.MaxUint64)>>(64-bits))
		return
	}
	v.SetUint(u)
}

func (b *binder) duration(n *node, v reflect.Value, at *path) {
	switch n.kind {
	case isNumber:
		b.fault(n, at, `a bare number has no unit: write "30s"`)
	case isString:
		d, err := time.ParseDuration(n.text)
		if err != nil {
			b.fault(n, at, `expected a duration such as "30s", "1m30s" or "250ms"`)
			return
		}
		v.SetInt(int64(d))
	default:
		b.fault(n, at, `expected a duration such as "30s", found %s`, n.kind)
	}
}

// own lets a type read itself and reports whether it does.
func (b *binder) own(n *node, v reflect.Value, at *path) bool {
	if v.Kind() == reflect.Interface || !v.CanAddr() {
		return false
	}
	var err error
	switch into := v.Addr().Interface().(type) {
	case json.Unmarshaler:
		err = into.UnmarshalJSON(b.data[n.at:n.end])
	case encoding.TextUnmarshaler:
		if !b.want(n, at, isString) {
			return true
		}
		err = into.UnmarshalText([]byte(n.text))
	default:
		return false
	}
	var f Fault
	switch {
	case errors.As(err, &f):
		f.Path = join(at.String(), f.Path)
		b.faults.add(f, n.at)
	case err != nil:
		b.fault(n, at, "is not a valid %s", v.Type().Name())
	}
	return true
}

func join(above, below string) string {
	if above == "" || below == "" || below[0] == '[' {
		return above + below
	}
	return above + "." + below
}

func (b *binder) any(n *node, v reflect.Value, at *path) {
	var value any
	if v.NumMethod() > 0 {
		b.fault(n, at, "cannot be set in a file")
		return
	}
	if err := json.Unmarshal(b.data[n.at:n.end], &value); err != nil {
		b.fault(n, at, "holds a number that is out of range")
		return
	}
	v.Set(reflect.ValueOf(value))
}

func (b *binder) list(n *node, v reflect.Value, at *path) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b.bytes(n, v, at)
		return
	}
	if !b.want(n, at, isList) {
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.elems), len(n.elems))
	for i, e := range n.elems {
		below := &path{up: at, index: i}
		if e.kind == isNull {
			b.fault(e, below, "is null: remove it from the list")
			continue
		}
		b.bind(e, list.Index(i), below)
	}
	v.Set(list)
}

func (b *binder) bytes(n *node, v reflect.Value, at *path) {
	if !b.want(n, at, isString) {
		return
	}
	raw, err := base64.StdEncoding.DecodeString(n.text)
	if err != nil {
		b.fault(n, at, "expected a string in base64")
		return
	}
	v.SetBytes(raw)
}

func (b *binder) table(n *node, v reflect.Value, at *path) {
	if v.Type().Key().Kind() != reflect.String {
		b.fault(n, at, "cannot be set in a file")
		return
	}
	if !b.want(n, at, isObject) {
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(v.Type(), len(n.members)))
	}
	for _, m := range n.members {
		if m.value.kind == isNull {
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		b.bind(m.value, value, &path{up: at, key: m.key, isKey: true})
		v.SetMapIndex(reflect.ValueOf(m.key).Convert(v.Type().Key()), value)
	}
}

func (b *binder) object(n *node, v reflect.Value, at *path) {
	if !b.want(n, at, isObject) {
		return
	}
	known := fieldsOf(v.Type())
	for _, m := range n.members {
		below := &path{up: at, key: m.key, isKey: true}
		index, ok := known[m.key]
		if !ok {
			b.faults.add(Fault{below.String(), unknown(m.key, known)}, m.at)
			continue
		}
		if m.value.kind == isNull {
			continue
		}
		b.bind(m.value, reach(v, index), below)
	}
}

// reach returns a field, making the embedded structs on the way to it.
func reach(v reflect.Value, index []int) reflect.Value {
	for i, x := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v
}

func unknown(key string, known map[string][]int) string {
	for _, name := range sortedKeys(known) {
		if near(key, name) {
			return fmt.Sprintf("is no known key: did you mean %q?", name)
		}
	}
	return "is no known key"
}
