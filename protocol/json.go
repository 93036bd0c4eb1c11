package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// These bound what an error repeats of a request: the bytes of a name or value,
// and the steps of the pointer to it.
const (
	echoBytesMax = 64
	pathStepsMax = 32
)

// DecodeJSON reads one JSON document into the value that into points to, and
// refuses everything that two readers could take differently: members that
// into does not have (names are case-sensitive), a member given twice, text
// that is not UTF-8, a value of another type, a decimal point or exponent in
// an integer, and anything behind the document. Money is therefore never
// rounded on its way in, and no misspelt member is silently without effect
// (HTTP.md, "Rules for JSON").
//
// Null means that a member was left out; the document itself cannot be null.
// Every error is an *Error: unknown_field, out_of_range for a number that does
// not fit, or bad_json. It names the member in field, its RFC 6901 pointer in
// path and, within "lines", the line from 1; errors of syntax give position,
// the byte from 1. The limit of the body's size is the caller's.
//
// The rules need the member's names and types, which encoding/json checks too
// loosely (it folds case and keeps the last of two members), hence a walk of
// our own before it decodes.
func DecodeJSON(data []byte, into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return AsError(errors.New("DecodeJSON needs a pointer that is not nil"))
	}
	if err := checkJSONText(data); err != nil {
		return err
	}
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return badJSON("holds nothing but null")
	}
	w := jsonWalk{decoder: json.NewDecoder(bytes.NewReader(data)), members: map[reflect.Type]map[string]reflect.Type{}}
	w.decoder.UseNumber()
	if err := w.value(target.Type().Elem()); err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return decodeError(err)
	}
	return nil
}

// badJSON refuses a document; what continues "The request …".
func badJSON(what string) *Error {
	return Refuse(BadJSON, "The request "+what+". Nothing was recorded. Correct it and send it again.")
}

// checkJSONText tells whether data is exactly one JSON document in sound
// Unicode, without looking at what it means.
func checkJSONText(data []byte) error {
	if !utf8.Valid(data) {
		at := 0
		for at < len(data) {
			r, n := utf8.DecodeRune(data[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		return badJSON("is not UTF-8 at byte "+strconv.Itoa(at+1)).With("position", at+1)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return badJSON("is empty")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return badJSON("is not JSON at byte "+strconv.FormatInt(syntax.Offset, 10)+" ("+syntax.Error()+")").With("position", syntax.Offset)
		}
		return decodeError(err)
	}
	if at, ok := loneSurrogate(data); ok {
		return badJSON("holds half a character at byte "+strconv.Itoa(at+1)+" (a \\u escape without its pair)").With("position", at+1)
	}
	return nil
}

// loneSurrogate finds an escape that is half of a pair. encoding/json would
// replace it by U+FFFD, so that what is stored would not be what was sent.
func loneSurrogate(data []byte) (int, bool) {
	for i := 0; i+1 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		if data[i+1] != 'u' {
			i++
			continue
		}
		switch u := escaped(data, i); {
		case u >= 0xD800 && u < 0xDC00:
			if low := escaped(data, i+6); low < 0xDC00 || low > 0xDFFF {
				return i, true
			}
			i += 11
		case u >= 0xDC00 && u < 0xE000:
			return i, true
		default:
			i += 5
		}
	}
	return 0, false
}

// escaped is the value of the \u escape that starts at i, or 0 without one.
func escaped(data []byte, i int) uint64 {
	if i+6 > len(data) || data[i] != '\\' || data[i+1] != 'u' {
		return 0
	}
	u, err := strconv.ParseUint(string(data[i+2:i+6]), 16, 16)
	if err != nil {
		return 0
	}
	return u
}

// decodeError turns what encoding/json still refuses into an Error.
func decodeError(err error) error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		e := badJSON("holds a value of the wrong type in "+clip(wrong.Field)).With("field", clip(wrong.Field))
		e.Err = err
		return e
	}
	e := badJSON("could not be read")
	e.Err = err
	return e
}

// clip bounds text that an error repeats, on a character's border.
func clip(s string) string {
	if len(s) <= echoBytesMax {
		return s
	}
	end := echoBytesMax
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// echo is a refused number as an error repeats it: nothing of one with as many
// digits as a payment card's, which may have been swiped into the wrong field.
func echo(number string) string {
	const cardDigitsMin = 13
	found := 0
	for i := range len(number) {
		if number[i] >= '0' && number[i] <= '9' {
			found++
		}
	}
	if found >= cardDigitsMin {
		return ""
	}
	return clip(number)
}

// jsonWalk compares a document that is known to be JSON with a Go type. It
// knows at every point where it is, so that an error can say so.
type jsonWalk struct {
	decoder *json.Decoder
	path    []string
	members map[reflect.Type]map[string]reflect.Type
}

var (
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	numberType      = reflect.TypeFor[json.Number]()
)

// value walks one value. A nil type accepts any value.
func (w *jsonWalk) value(t reflect.Type) error {
	nullable := false
	for t != nil && t.Kind() == reflect.Pointer {
		t, nullable = t.Elem(), true
	}
	if t != nil && reflect.PointerTo(t).Implements(unmarshalerType) {
		return w.custom(t, nullable)
	}
	if t != nil && t.Kind() == reflect.Interface {
		t = nil
	}
	token, err := w.decoder.Token()
	if err != nil {
		return decodeError(err)
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return w.object(t)
		}
		return w.list(t)
	case string:
		if t != nil && (t == numberType || t.Kind() != reflect.String && !isBytes(t)) {
			return w.wrongType(t)
		}
	case bool:
		if t != nil && t.Kind() != reflect.Bool {
			return w.wrongType(t)
		}
	case json.Number:
		return w.number(t, token.String())
	}
	return nil
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// custom walks a value whose type reads itself, such as Quantity, and adds to
// its error where it stood.
func (w *jsonWalk) custom(t reflect.Type, nullable bool) error {
	var raw json.RawMessage
	if err := w.decoder.Decode(&raw); err != nil {
		return decodeError(err)
	}
	if nullable && string(raw) == "null" {
		return nil
	}
	if isInteger(t) && raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return w.wrongType(t)
	}
	err := reflect.New(t).Interface().(json.Unmarshaler).UnmarshalJSON(raw)
	if err == nil {
		return nil
	}
	var ours *Error
	if !errors.As(err, &ours) {
		e := w.refuse(badJSON("holds a value that is not understood in " + w.where()))
		e.Err = err
		return e
	}
	if value, ok := ours.Members["value"].(string); ok {
		ours = ours.With("value", echo(value))
	}
	return w.refuse(ours)
}

// object walks the members of an object.
func (w *jsonWalk) object(t reflect.Type) error {
	var known map[string]reflect.Type
	var element reflect.Type
	switch {
	case t == nil:
	case t.Kind() == reflect.Struct:
		known = w.membersOf(t)
	case t.Kind() == reflect.Map:
		element = t.Elem()
	default:
		return w.wrongType(t)
	}
	seen := map[string]bool{}
	for w.decoder.More() {
		token, err := w.decoder.Token()
		if err != nil {
			return decodeError(err)
		}
		name, _ := token.(string)
		w.path = append(w.path, name)
		if seen[name] {
			return w.refuse(badJSON("gives " + w.where() + " twice"))
		}
		seen[name] = true
		member := element
		if known != nil {
			var ok bool
			if member, ok = known[name]; !ok {
				return w.refuse(Refuse(UnknownField, "The request has a member that is not known here: "+w.where()+
					". Nothing was recorded. Remove it or correct its name, and send it again."))
			}
		}
		if err := w.value(member); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	_, err := w.decoder.Token()
	if err != nil {
		return decodeError(err)
	}
	return nil
}

// list walks the elements of a list.
func (w *jsonWalk) list(t reflect.Type) error {
	var element reflect.Type
	if t != nil {
		if t.Kind() != reflect.Slice && t.Kind() != reflect.Array || isBytes(t) {
			return w.wrongType(t)
		}
		element = t.Elem()
	}
	for i := 0; w.decoder.More(); i++ {
		w.path = append(w.path, strconv.Itoa(i))
		if err := w.value(element); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	_, err := w.decoder.Token()
	if err != nil {
		return decodeError(err)
	}
	return nil
}

// membersOf is the JSON name and type of every member of a struct. It is
// remembered for the length of one document, since lists repeat their type.
func (w *jsonWalk) membersOf(t reflect.Type) map[string]reflect.Type {
	if m, ok := w.members[t]; ok {
		return m
	}
	m := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if tag == "-" || !f.IsExported() || f.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		m[name] = f.Type
	}
	w.members[t] = m
	return m
}

func isInteger(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64
}

// number checks that a number fits its place exactly.
func (w *jsonWalk) number(t reflect.Type, text string) error {
	switch {
	case t == nil || t == numberType:
		return nil
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		if _, err := strconv.ParseFloat(text, t.Bits()); err != nil {
			return w.refuse(OutOfRange(w.name(), echo(text), "too large"))
		}
		return nil
	case !isInteger(t):
		return w.wrongType(t)
	}
	if strings.ContainsAny(text, ".eE") {
		return w.wrongType(t)
	}
	var err error
	if t.Kind() >= reflect.Uint {
		_, err = strconv.ParseUint(text, 10, t.Bits())
	} else {
		_, err = strconv.ParseInt(text, 10, t.Bits())
	}
	if err != nil {
		rule := "too large"
		if text[0] == '-' {
			rule = "too small"
		}
		return w.refuse(OutOfRange(w.name(), echo(text), rule))
	}
	return nil
}

// wrongType says what the member at the present place has to be.
func (w *jsonWalk) wrongType(t reflect.Type) error {
	want := "something else"
	switch {
	case reflect.PointerTo(t).Implements(unmarshalerType), t == numberType, t.Kind() == reflect.Float32, t.Kind() == reflect.Float64:
		want = "a number, without quotes"
	case isInteger(t) && strings.HasSuffix(w.name(), "_minor"):
		want = "a whole number of minor units, without decimal point, exponent or quotes"
	case isInteger(t):
		want = "a whole number, without decimal point, exponent or quotes"
	case t.Kind() == reflect.String, isBytes(t):
		want = "text in quotes"
	case t.Kind() == reflect.Bool:
		want = "true or false"
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		want = "a list"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		want = "an object"
	}
	return w.refuse(badJSON("holds a wrong value: " + w.where() + " has to be " + want))
}

// name is the innermost member's name.
func (w *jsonWalk) name() string {
	for i := len(w.path) - 1; i >= 0; i-- {
		if _, err := strconv.Atoi(w.path[i]); err != nil {
			return clip(w.path[i])
		}
	}
	return ""
}

// line is the line, from 1, that the present place is in; 0 outside of lines.
func (w *jsonWalk) line() int {
	if len(w.path) < 2 || w.path[0] != "lines" {
		return 0
	}
	i, err := strconv.Atoi(w.path[1])
	if err != nil {
		return 0
	}
	return i + 1
}

// where names the present place for a person.
func (w *jsonWalk) where() string {
	switch name := w.name(); {
	case name == "":
		return "the document"
	case w.line() > 0:
		return strconv.Quote(name) + " in line " + strconv.Itoa(w.line())
	default:
		return strconv.Quote(name)
	}
}

// refuse adds to e where it happened.
func (w *jsonWalk) refuse(e *Error) *Error {
	if len(w.path) == 0 {
		return e
	}
	var pointer strings.Builder
	for _, step := range w.path[:min(len(w.path), pathStepsMax)] {
		pointer.WriteString("/" + strings.ReplaceAll(strings.ReplaceAll(clip(step), "~", "~0"), "/", "~1"))
	}
	e = e.With("field", w.name()).With("path", pointer.String())
	if line := w.line(); line > 0 {
		e = e.With("line", line)
	}
	return e
}
