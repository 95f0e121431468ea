// Package clone copies plain data, with all that it reaches through pointers, slices, maps and interfaces.
package clone

import "reflect"

// Of returns a copy of v: what is written to one of them is not seen in the other. What cannot be copied is shared: functions, channels, and
// whatever fields that are not exported lead to. Data must not contain itself.
func Of[T any](v T) T {
	detach(reflect.ValueOf(&v).Elem())
	return v
}

// detach replaces all that v, which can be set, shares with what it was copied from.
func detach(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		if v.IsNil() {
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		own := reflect.New(v.Type().Elem())
		own.Elem().Set(v.Elem())
		detach(own.Elem())
		v.Set(own)
	case reflect.Interface:
		v.Set(copyOf(v.Elem()))
	case reflect.Slice:
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		detachAll(own)
		v.Set(own)
	case reflect.Array:
		detachAll(v)
	case reflect.Map:
		own := reflect.MakeMapWithSize(v.Type(), v.Len())
		for each := v.MapRange(); each.Next(); {
			own.SetMapIndex(each.Key(), copyOf(each.Value()))
		}
		v.Set(own)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				detach(f)
			}
		}
	}
}

// copyOf returns a copy of a value that cannot be set.
func copyOf(v reflect.Value) reflect.Value {
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	detach(own)
	return own
}

// detachAll detaches the elements of a slice or an array, unless they share nothing, as bytes do.
func detachAll(v reflect.Value) {
	if k := v.Type().Elem().Kind(); k <= reflect.Complex128 || k == reflect.String {
		return
	}
	for i := range v.Len() {
		detach(v.Index(i))
	}
}
