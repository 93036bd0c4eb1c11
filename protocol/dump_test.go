package protocol_test

import (
	"fmt"
	"reflect"
	"strings"
)

// dump writes a value for people and for golden files: one member a line, what
// is zero left out.
func dump(v any) string {
	var b strings.Builder
	dumpValue(&b, reflect.ValueOf(v), 0)
	return b.String()
}

func dumpValue(b *strings.Builder, v reflect.Value, depth int) {
	indent := strings.Repeat("  ", depth)
	if s, ok := v.Interface().(fmt.Stringer); ok && v.Kind() != reflect.Pointer {
		fmt.Fprintf(b, "%s\n", s)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		dumpValue(b, v.Elem(), depth)
	case reflect.Struct:
		fmt.Fprintf(b, "%s\n", v.Type().Name())
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				fmt.Fprintf(b, "%s  %s: ", indent, v.Type().Field(i).Name)
				dumpValue(b, v.Field(i), depth+1)
			}
		}
	case reflect.Array:
		fmt.Fprintf(b, "%x\n", v.Interface())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			fmt.Fprintf(b, "%x\n", v.Bytes())
			return
		}
		fmt.Fprintf(b, "%d\n", v.Len())
		for i := range v.Len() {
			fmt.Fprintf(b, "%s  - ", indent)
			dumpValue(b, v.Index(i), depth+1)
		}
	case reflect.String:
		fmt.Fprintf(b, "%q\n", v.String())
	default:
		fmt.Fprintf(b, "%v\n", v.Interface())
	}
}
