package protocol_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"counterpart/protocol"
)

type jsonLine struct {
	Code  string             `json:"code"`
	Qty   *protocol.Quantity `json:"qty"`
	Price *protocol.Money    `json:"unit_price_minor"`
}

type jsonDocument struct {
	Name     string             `json:"name"`
	Open     bool               `json:"open"`
	Small    uint32             `json:"small"`
	Lines    []jsonLine         `json:"lines"`
	Inner    *jsonLine          `json:"inner"`
	Lat      *float64           `json:"lat"`
	Labels   map[string]string  `json:"labels"`
	Any      any                `json:"any"`
	Quantity protocol.Quantity  `json:"quantity"`
	Rest     json.RawMessage    `json:"rest"`
	Hidden   string             `json:"-"`
	Numbers  map[string]float32 `json:"numbers"`
}

func TestDecodeJSON(t *testing.T) {
	for name, text := range map[string]string{
		"empty object":       `{}`,
		"everything":         `{"name":"x","open":true,"small":4294967295,"lines":[{"code":"a","qty":1.25,"unit_price_minor":-5}],"inner":{"qty":1e3},"lat":1.5,"labels":{"a":"b"},"any":{"x":[1]},"quantity":2,"rest":[1,{"a":null}]}`,
		"null is left out":   `{"name":null,"open":null,"small":null,"lines":null,"inner":null,"lines":[]}`,
		"space around":       " \r\n{\"name\":\"x\"}\n ",
		"escaped pair":       `{"name":"\ud83d\ude00"}`,
		"escaped backslash":  `{"name":"\\ud83d"}`,
		"null in a list":     `{"lines":[null]}`,
		"integer limits":     `{"lines":[{"unit_price_minor":-9223372036854775808}]}`,
		"replacement itself": `{"name":"\ufffd"}`,
	} {
		if name == "null is left out" {
			text = strings.Replace(text, `,"lines":[]`, "", 1)
		}
		t.Run(name, func(t *testing.T) {
			var got jsonDocument
			if err := protocol.DecodeJSON([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
		})
	}
	var got jsonDocument
	if err := protocol.DecodeJSON([]byte(`{"lines":[{"qty":0.005,"unit_price_minor":1000000000000}]}`), &got); err != nil {
		t.Fatal(err)
	}
	if *got.Lines[0].Qty != 5 || *got.Lines[0].Price != 1e12 {
		t.Errorf("got %v and %v", *got.Lines[0].Qty, *got.Lines[0].Price)
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	tests := map[string]struct {
		text    string
		code    protocol.Code
		members map[string]any
	}{
		"empty":                {"", protocol.BadJSON, nil},
		"space":                {" \n", protocol.BadJSON, nil},
		"null":                 {" null ", protocol.BadJSON, nil},
		"list":                 {`[]`, protocol.BadJSON, nil},
		"cut off":              {`{"name":`, protocol.BadJSON, map[string]any{"position": int64(8)}},
		"trailing":             {`{} {}`, protocol.BadJSON, map[string]any{"position": int64(4)}},
		"not UTF-8":            {"{\"name\":\"\xff\"}", protocol.BadJSON, map[string]any{"position": 10}},
		"half a character":     {`{"name":"\ud83dx"}`, protocol.BadJSON, map[string]any{"position": 10}},
		"two first halves":     {`{"name":"\ud83d\ud83d"}`, protocol.BadJSON, nil},
		"other half":           {`{"name":"\ude00"}`, protocol.BadJSON, nil},
		"unknown":              {`{"nme":1}`, protocol.UnknownField, map[string]any{"field": "nme", "path": "/nme"}},
		"unknown by case":      {`{"Name":"x"}`, protocol.UnknownField, map[string]any{"field": "Name"}},
		"hidden":               {`{"Hidden":"x"}`, protocol.UnknownField, nil},
		"unknown in a line":    {`{"lines":[{},{"price":1}]}`, protocol.UnknownField, map[string]any{"field": "price", "line": 2, "path": "/lines/1/price"}},
		"twice":                {`{"name":"a","name":"b"}`, protocol.BadJSON, map[string]any{"field": "name"}},
		"twice inside":         {`{"any":{"a":{"b":1,"b":2}}}`, protocol.BadJSON, map[string]any{"path": "/any/a/b"}},
		"twice by escape":      {`{"name":"a","\u006eame":"b"}`, protocol.BadJSON, map[string]any{"field": "name"}},
		"decimal money":        {`{"lines":[{"unit_price_minor":1.0}]}`, protocol.BadJSON, map[string]any{"field": "unit_price_minor", "line": 1}},
		"exponent money":       {`{"lines":[{"unit_price_minor":1e2}]}`, protocol.BadJSON, map[string]any{"field": "unit_price_minor"}},
		"money as text":        {`{"lines":[{"unit_price_minor":"1"}]}`, protocol.BadJSON, nil},
		"money too large":      {`{"lines":[{"unit_price_minor":9223372036854775808}]}`, protocol.OutOfRangeCode, map[string]any{"field": "unit_price_minor", "line": 1, "value": ""}},
		"number below 0":       {`{"small":-1}`, protocol.OutOfRangeCode, map[string]any{"field": "small", "value": "-1"}},
		"number too large":     {`{"small":4294967296}`, protocol.OutOfRangeCode, nil},
		"float too large":      {`{"lat":1e999}`, protocol.OutOfRangeCode, map[string]any{"field": "lat"}},
		"small float":          {`{"numbers":{"a":1e99}}`, protocol.OutOfRangeCode, nil},
		"qty as text":          {`{"lines":[{"qty":"1"}]}`, protocol.BadJSON, map[string]any{"field": "qty", "line": 1}},
		"qty with 4 decimals":  {`{"lines":[{"qty":1},{"qty":0.0001}]}`, protocol.OutOfRangeCode, map[string]any{"field": "qty", "line": 2, "value": "0.0001"}},
		"null quantity":        {`{"quantity":null}`, protocol.BadJSON, map[string]any{"field": "quantity"}},
		"text for bool":        {`{"open":"yes"}`, protocol.BadJSON, nil},
		"number for text":      {`{"name":1}`, protocol.BadJSON, nil},
		"bool for text":        {`{"name":true}`, protocol.BadJSON, nil},
		"object for a list":    {`{"lines":{}}`, protocol.BadJSON, map[string]any{"field": "lines"}},
		"list for an object":   {`{"inner":[]}`, protocol.BadJSON, nil},
		"object for a number":  {`{"small":{}}`, protocol.BadJSON, nil},
		"text for a map":       {`{"labels":"x"}`, protocol.BadJSON, nil},
		"wrong value in a map": {`{"labels":{"a/b":1}}`, protocol.BadJSON, map[string]any{"path": "/labels/a~1b"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var into jsonDocument
			err := protocol.DecodeJSON([]byte(test.text), &into)
			var e *protocol.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.Code != test.code || e.Message == "" {
				t.Errorf("got %s %q, want %s", e.Code, e.Message, test.code)
			}
			for member, want := range test.members {
				if !reflect.DeepEqual(e.Members[member], want) {
					t.Errorf("member %s is %#v, want %#v", member, e.Members[member], want)
				}
			}
		})
	}
}

func TestDecodeJSONDeepNesting(t *testing.T) {
	text := `{"any":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + "}"
	var into jsonDocument
	if code := protocol.CodeOf(protocol.DecodeJSON([]byte(text), &into)); code != protocol.BadJSON {
		t.Errorf("got %q, want bad_json", code)
	}
}

func TestDecodeJSONNeedsPointer(t *testing.T) {
	if code := protocol.CodeOf(protocol.DecodeJSON([]byte(`{}`), jsonDocument{})); code != protocol.Internal {
		t.Errorf("got %q, want internal", code)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"name":"\ud83d\ude00","lines":[{"qty":1.5}]}`, `{"any":[1,{"a":null}],"lat":1e3}`, `{"inner":{"qty":-0}}`, `{"small":-0}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second jsonDocument
		err := protocol.DecodeJSON(data, &first)
		if err != nil {
			var e *protocol.Error
			if !errors.As(err, &e) || e.Code == protocol.Internal {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		again, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &second); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(data) {
			t.Fatalf("accepted what is not JSON: %q", data)
		}
	})
}
