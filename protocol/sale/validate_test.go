package sale_test

import (
	"encoding/json"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

// whole is a request with every member that there is.
const whole = `{"till":"1","lines":[{"code":"4006381333931","qty":2,"unit_price_minor":250,"amount_minor":450,
 "discounts":[{"type":"manual","id":"d1","reason":"damaged box","amount_minor":50}]}],
 "tenders":[{"type":"cash","amount_minor":500,"ref":"r"}],"member_id":"m-1","redeem_points":0,"staff":"s7","training":false,
 "external":{"source":"pos-x","id":"W3-000482","receipt_no":"482","occurred_at":"2026-11-21T10:02:11+00:00","business_date":"2026-11-21",
 "total_minor":450,"fiscal":{"device":"D1","number":"77","signature":"MEUCIQ=="}}}`

const wholeReturn = `{"till":"1","receipt_no":"a1-1-1-318","lines":[{"line":1,"qty":1,"to":"on_hand"}],
 "tenders":[{"type":"cash","amount_minor":225}],"reason":"unwanted","staff":"s7","external":null}`

func decode(text string) (sale.Request, error) {
	var r sale.Request
	if err := protocol.DecodeJSON([]byte(text), &r); err != nil {
		return r, err
	}
	return r, r.Validate()
}

func TestDecodeExamples(t *testing.T) {
	if _, err := decode(whole); err != nil {
		t.Error(err)
	}
	r, err := decode(`{"lines":[{"code":"x","qty":1,"discounts":[{"type":"manual","id":null,"reason":null,"amount_minor":50}]}],"member_id":null,"external":null}`)
	if err != nil || r.Till != "1" || r.Lines[0].UnitPriceMinor != nil {
		t.Errorf("got %+v, %v", r, err)
	}
	var back sale.ReturnRequest
	if err := protocol.DecodeJSON([]byte(wholeReturn), &back); err != nil {
		t.Fatal(err)
	}
	if err := back.Validate(); err != nil {
		t.Error(err)
	}
	var void sale.VoidRequest
	if err := protocol.DecodeJSON([]byte(`{"reason":"wrong item","staff":"s7"}`), &void); err != nil || void.Validate() != nil {
		t.Error(err)
	}
}

func TestValidateRefuses(t *testing.T) {
	const native = `{"till":"1","lines":[{"code":"x","qty":1,"unit_price_minor":1,"discounts":[{"type":"manual","amount_minor":1}]}],"tenders":[{"type":"cash","amount_minor":1,"ref":"r"}],"staff":"s7","member_id":"m"}`
	tests := map[string]struct {
		text, old, new string
		field          string
	}{
		"till":                   {native, `"till":"1"`, `"till":"a-1"`, "till"},
		"long till":              {native, `"till":"1"`, `"till":"12345678901234567"`, "till"},
		"no lines":               {`{"lines":[]}`, "", "", "lines"},
		"no code":                {native, `"code":"x",`, ``, "code"},
		"control in code":        {native, `"code":"x"`, `"code":"x\n"`, "code"},
		"no qty":                 {native, `"qty":1,`, ``, "qty"},
		"qty 0":                  {native, `"qty":1`, `"qty":0`, "qty"},
		"qty below 0":            {native, `"qty":1`, `"qty":-1`, "qty"},
		"qty too large":          {native, `"qty":1`, `"qty":10000000.001`, "qty"},
		"price below 0":          {native, `"unit_price_minor":1`, `"unit_price_minor":-1`, "unit_price_minor"},
		"price too large":        {native, `"unit_price_minor":1`, `"unit_price_minor":1000000000001`, "unit_price_minor"},
		"amount below 0":         {native, `"qty":1`, `"qty":1,"amount_minor":-1`, "amount_minor"},
		"discount below 0":       {native, `"type":"manual","amount_minor":1`, `"type":"manual","amount_minor":-1`, "amount_minor"},
		"discount of nothing":    {native, `"type":"manual","amount_minor":1`, `"type":"manual"`, "amount_minor"},
		"tender below 0":         {native, `"cash","amount_minor":1`, `"cash","amount_minor":-1`, "amount_minor"},
		"tender of nothing":      {native, `"cash","amount_minor":1`, `"cash"`, "amount_minor"},
		"tender type":            {native, `"cash"`, `"gold"`, "type"},
		"control in ref":         {native, `"ref":"r"`, `"ref":"\u0000"`, "ref"},
		"staff":                  {native, `"s7"`, `"s 7"`, "staff"},
		"member":                 {native, `"m"`, `"m/1"`, "member_id"},
		"points":                 {native, `"staff"`, `"redeem_points":-1,"staff"`, "redeem_points"},
		"external, no source":    {whole, `"source":"pos-x",`, ``, "external"},
		"external, no id":        {whole, `"id":"W3-000482",`, ``, "external"},
		"external, no total":     {whole, `"total_minor":450,`, ``, "total_minor"},
		"external, wrong time":   {whole, `2026-11-21T10:02:11+00:00`, `2026-11-21 10:02`, "occurred_at"},
		"external, wrong date":   {whole, `"business_date":"2026-11-21"`, `"business_date":"2026-02-30"`, "business_date"},
		"external, year 0":       {whole, `"business_date":"2026-11-21"`, `"business_date":"0000-01-01"`, "business_date"},
		"external, price":        {whole, `"unit_price_minor":250`, `"unit_price_minor":-1000000000001`, "unit_price_minor"},
		"external, long receipt": {whole, `"482"`, `"` + strings.Repeat("4", 129) + `"`, "receipt_no"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := decode(strings.Replace(test.text, test.old, test.new, 1))
			wantError(t, err, protocol.OutOfRangeCode, map[string]any{"field": test.field})
		})
	}
	many := `{"lines":[` + strings.TrimSuffix(strings.Repeat(`{"code":"x","qty":1},`, sale.LinesMax+1), ",") + `]}`
	_, err := decode(many)
	wantError(t, err, protocol.OutOfRangeCode, map[string]any{"field": "lines"})
	if _, err := decode(strings.Replace(many, `{"code":"x","qty":1},`, "", 1)); err != nil {
		t.Error(err)
	}
}

// TestValidateTakes holds that nothing beyond the stated limits is asked for.
func TestValidateTakes(t *testing.T) {
	const many = 1000
	for name, text := range map[string]string{
		"discount of 0":  strings.Replace(whole, `"amount_minor":50}`, `"amount_minor":0}`, 1),
		"many discounts": strings.Replace(whole, `"discounts":[`, `"discounts":[`+strings.Repeat(`{"type":"manual","amount_minor":1},`, many-1), 1),
		"many tenders":   strings.Replace(whole, `"tenders":[`, `"tenders":[`+strings.Repeat(`{"type":"card","amount_minor":1},`, many-1), 1),
		"long signature": strings.Replace(whole, "MEUCIQ==", strings.Repeat("MEUCIQ==", 8000), 1),
	} {
		r, err := decode(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s, moves, err := sale.Build(terms(), r, []sale.Resolved{of(pen, 250)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantEncodable(t, s, moves)
	}
}

func TestExternalMayBeOdd(t *testing.T) {
	for _, change := range [][2]string{
		{`"qty":2`, `"qty":-2`},
		{`"qty":2`, `"qty":0`},
		{`"unit_price_minor":250`, `"unit_price_minor":-250`},
		{`"amount_minor":450`, `"amount_minor":-450`},
		{`"amount_minor":50}`, `"amount_minor":-50}`},
		{`"amount_minor":500`, `"amount_minor":-500`},
		{`"total_minor":450`, `"total_minor":-450`},
		{`"occurred_at":"2026-11-21T10:02:11+00:00","business_date":"2026-11-21",`, ``},
	} {
		if _, err := decode(strings.Replace(whole, change[0], change[1], 1)); err != nil {
			t.Errorf("%s: %v", change[1], err)
		}
	}
}

// TestCardNumbers puts a card number into every text of a request. Free text
// refuses it without repeating it; codes and numbers of others keep it.
func TestCardNumbers(t *testing.T) {
	const number = "4111111111111111"
	for field, old := range map[string]string{
		"type": `"manual"`, "id": `"d1"`, "reason": `"damaged box"`, "ref": `"r"`, "staff": `"s7"`, "member_id": `"m-1"`,
		"till": `"1"`, "source": `"pos-x"`, "device": `"D1"`, "number": `"77"`, "signature": `"MEUCIQ=="`,
	} {
		_, err := decode(strings.Replace(whole, old, `"`+number+`"`, 1))
		wantError(t, err, protocol.CardNumber, map[string]any{"field": field})
		shown, _ := json.Marshal(protocol.AsError(err).Members)
		if strings.Contains(err.Error()+string(shown), number) {
			t.Errorf("%s: the refusal repeats the number", field)
		}
	}
	for _, old := range []string{`"4006381333931"`, `"W3-000482"`, `"482"`} {
		if _, err := decode(strings.Replace(whole, old, `"`+number+`"`, 1)); err != nil {
			t.Errorf("%s: %v", old, err)
		}
	}
	// An id that was made at random may hold any number; one that only begins so is
	// what somebody typed.
	if _, err := decode(strings.Replace(whole, `"m-1"`, `"m-c0ffee`+number+`c0ffee0000"`, 1)); err != nil {
		t.Errorf("inside the id of a member: %v", err)
	}
	_, err := decode(strings.Replace(whole, `"m-1"`, `"m-`+number+`"`, 1))
	wantError(t, err, protocol.CardNumber, map[string]any{"field": "member_id"})
	back := sale.ReturnRequest{Till: number, ReceiptNo: number, Lines: []sale.ReturnLine{{Line: 1, Qty: qty("1")}}}
	wantError(t, back.Validate(), protocol.CardNumber, map[string]any{"field": "till"})
	back.Till = ""
	if err := back.Validate(); err != nil {
		t.Errorf("as a receipt number: %v", err)
	}
	if _, err := decode(strings.Replace(whole, "MEUCIQ==", "aa"+number+"bb 00", 1)); err != nil {
		t.Errorf("inside a signature: %v", err)
	}
	_, err = decode(strings.Replace(whole, `"unit_price_minor":250`, `"unit_price_minor":`+number, 1))
	wantError(t, err, protocol.OutOfRangeCode, map[string]any{"field": "unit_price_minor", "value": ""})
	_, err = decode(strings.Replace(whole, `"qty":2`, `"qty":`+number, 1))
	if shown, _ := json.Marshal(protocol.AsError(err).Members); strings.Contains(string(shown), number) {
		t.Errorf("qty repeats the number: %s", shown)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"lines":[{"code":"x","qty":1e3,"amount_minor":5}],"tenders":[{"type":"cash","amount_minor":5}]}`))
	f.Add([]byte(`{"lines":[{"code":"x","qty":-0.001,"discounts":[{"amount_minor":1}]}],"external":{"source":"a","id":"b","total_minor":-1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r sale.Request
		if protocol.DecodeJSON(data, &r) != nil || r.Validate() != nil {
			return
		}
		resolved := make([]sale.Resolved, len(r.Lines))
		for i := range resolved {
			resolved[i] = []sale.Resolved{{}, of(pen, 250), of(cheese, 999), of(repair, 1)}[i%4]
		}
		s, moves, err := sale.Build(terms(), r, resolved)
		if err != nil {
			if protocol.CodeOf(err) == protocol.Internal {
				t.Fatal(err)
			}
			return
		}
		wantEncodable(t, s, moves)
		wantPaid(t, s)
		if r.External == nil {
			wantClosed(t, s)
		}
	})
}
