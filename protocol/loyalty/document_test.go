package loyalty_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

const wholeDocument = `{"earn":[{"per_minor":100,"points":1,"category":null,"tender":null},{"per_minor":100,"points":3,"category":"toys","tender":"card"}],
 "rounding":"half_up","redeem":{"points":100,"value_minor":50,"minimum":200},"home_lease_cap":500,"visit_lease_cap":200,
 "risk_mode":{"enabled":true,"member_cap":100,"pool":5000},"expire_after_days":730,
 "tiers":[{"name":"silver","points":500,"within_days":365,"factor_ppm":1200000},{"name":"gold","points":1000,"within_days":365,"factor_ppm":1500000}],
 "campaigns":[{"id":"c1","name":"Double points","category":"toys","store":"s1","valid_from":"2026-12-01","valid_to":"2026-12-24T22:00:00+04:00","factor_ppm":2000000}],
 "birthday":{"factor_ppm":3000000,"days":7},"valid_from":"2026-11-21T04:00:00+04:00"}`

func parsed(text string) (*protocol.Programme, error) {
	var d loyalty.Document
	if err := protocol.DecodeJSON([]byte(text), &d); err != nil {
		return nil, err
	}
	return d.Programme()
}

// TestDocument reads every member, keeps times in UTC, and shows the same again.
func TestDocument(t *testing.T) {
	visit := protocol.Points(200)
	for text, want := range map[string]*protocol.Programme{
		wholeDocument: {
			ValidFrom: "2026-11-21T00:00:00Z", Earn: []protocol.EarnRule{{PerMinor: 100, Points: 1}, {PerMinor: 100, Points: 3, Category: "toys", Tender: protocol.Card}},
			Rounding: protocol.RoundHalfUp, Redeem: &protocol.RedeemRule{Points: 100, Value: 50, Minimum: 200}, HomeLeaseCap: 500, VisitLeaseCap: &visit,
			RiskMode: protocol.RiskMode{Enabled: true, MemberCap: 100, Pool: 5000}, ExpireAfterDays: 730,
			Tiers:     []protocol.Tier{{Name: "silver", Points: 500, WithinDays: 365, Factor: 1_200_000}, {Name: "gold", Points: 1000, WithinDays: 365, Factor: 1_500_000}},
			Campaigns: []protocol.Campaign{{ID: "c1", Name: "Double points", Category: "toys", Store: "s1", From: "2026-12-01", To: "2026-12-24T18:00:00Z", Factor: 2_000_000}},
			Birthday:  &protocol.BirthdayRule{Factor: 3_000_000, Days: 7},
		},
		`{"earn":[],"valid_from":" 2026-11-21 "}`: {ValidFrom: "2026-11-21", Rounding: protocol.RoundDown},
		`{"earn":[{"per_minor":100,"points":1}],"redeem":{"points":100,"value_minor":100,"minimum":100},"home_lease_cap":500,"risk_mode":{"enabled":false,"member_cap":0,"pool":0},"valid_from":"2026-01-01"}`: {
			ValidFrom: "2026-01-01", Earn: []protocol.EarnRule{{PerMinor: 100, Points: 1}}, Rounding: protocol.RoundDown,
			Redeem: &protocol.RedeemRule{Points: 100, Value: 100, Minimum: 100}, HomeLeaseCap: 500,
		},
	} {
		got, err := parsed(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nreads as %+v (%v)", text, got, err)
			continue
		}
		shown, err := json.Marshal(loyalty.NewDocument(got))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(shown), `Z"`) {
			t.Errorf("%s has no numeric offset", shown)
		}
		if again, err := parsed(string(shown)); err != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("%s\nreads as %+v (%v)", shown, again, err)
		}
	}
	shown, err := json.Marshal(loyalty.NewDocument(&protocol.Programme{ValidFrom: "2026-11-21"}))
	if want := `{"earn":[],"rounding":"down","redeem":null,"home_lease_cap":0,"visit_lease_cap":null,"risk_mode":{"enabled":false,"member_cap":0,"pool":0},"expire_after_days":null,"tiers":[],"campaigns":[],"birthday":null,"valid_from":"2026-11-21"}`; err != nil || string(shown) != want {
		t.Errorf("the least is shown as %s", shown)
	}
}

var longText = strings.Repeat("x", 513)

// refusals change one thing of a good document at a time.
var refusals = []struct{ old, with, want string }{
	{`"valid_from":"2026-11-21T04:00:00+04:00"`, `"valid_from":"21.11.2026"`, "out_of_range /valid_from"},
	{`"valid_from":"2026-11-21T04:00:00+04:00"`, `"valid_from":"2026-02-30"`, "out_of_range /valid_from"},
	{`"valid_from":"2026-11-21T04:00:00+04:00"`, `"valid_from":"0001-01-01T00:00:00+04:00"`, "out_of_range /valid_from"},
	{`"valid_from":"2026-11-21T04:00:00+04:00"`, `"valid_from":null`, "out_of_range /valid_from"},
	{`"rounding":"half_up"`, `"rounding":"up"`, "out_of_range /rounding"},
	{`"rounding":"half_up"`, `"round":"up"`, "unknown_field /round"},
	{`{"per_minor":100,"points":1,`, `{"per_minor":0,"points":1,`, "out_of_range /earn/0/per_minor line 1"},
	{`{"per_minor":100,"points":1,`, `{"per_minor":1000000000001,"points":1,`, "out_of_range /earn/0/per_minor line 1"},
	{`{"per_minor":100,"points":1,`, `{"per_minor":1.5,"points":1,`, "bad_json /earn/0/per_minor"},
	{`{"per_minor":100,"points":3,`, `{"per_minor":100,`, "out_of_range /earn/1/points line 2"},
	{`{"per_minor":100,"points":3,`, `{"per_minor":100,"points":-1,`, "out_of_range /earn/1/points line 2"},
	{`"category":"toys","tender":"card"`, `"category":"toys","tender":"cheque"`, "out_of_range /earn/1/tender line 2"},
	{`"category":"toys","tender":"card"`, `"category":"toys","tender":"points"`, "out_of_range /earn/1/tender line 2"},
	{`"category":"toys","tender":"card"`, `"category":"toys","tender":"gift_card"`, "out_of_range /earn/1/tender line 2"},
	{`"category":"toys","tender":"card"`, `"category":"` + longText + `"`, "out_of_range /earn/1/category line 2"},
	{`"category":"toys","tender":"card"`, `"category":""`, "out_of_range /earn/1/category line 2"},
	{`{"points":100,"value_minor":50,`, `{"points":0,"value_minor":50,`, "out_of_range /redeem/points"},
	{`{"points":100,"value_minor":50,`, `{"points":100,"value_minor":0,`, "out_of_range /redeem/value_minor"},
	{`"minimum":200`, `"minimum":-1`, "out_of_range /redeem/minimum"},
	{`"home_lease_cap":500`, `"home_lease_cap":-1`, "out_of_range /home_lease_cap"},
	{`"visit_lease_cap":200`, `"visit_lease_cap":1000000000001`, "out_of_range /visit_lease_cap"},
	{`"member_cap":100`, `"member_cap":-1`, "out_of_range /risk_mode/member_cap"},
	{`"pool":5000`, `"pool":-1`, "out_of_range /risk_mode/pool"},
	{`"expire_after_days":730`, `"expire_after_days":0`, "out_of_range /expire_after_days"},
	{`"name":"silver"`, `"name":""`, "out_of_range /tiers/0/name line 1"},
	{`"name":"silver"`, `"name":"gold"`, "out_of_range /tiers/1/name line 2"},
	{`"points":1000,`, `"points":500,`, "out_of_range /tiers/1/points line 2"},
	{`"points":500,"within_days":365`, `"points":500,"within_days":0`, "out_of_range /tiers/0/within_days line 1"},
	{`"factor_ppm":1500000`, `"factor_ppm":1100000`, "out_of_range /tiers/1/factor_ppm line 2"},
	{`"id":"c1"`, `"id":"c 1"`, "out_of_range /campaigns/0/id line 1"},
	{`"name":"Double points"`, `"name":"` + longText + `"`, "out_of_range /campaigns/0/name line 1"},
	{`"category":"toys","store"`, `"category":"a\u0007","store"`, "out_of_range /campaigns/0/category line 1"},
	{`"store":"s1"`, `"store":"s 1"`, "out_of_range /campaigns/0/store line 1"},
	{`"valid_from":"2026-12-01"`, `"valid_from":"soon"`, "out_of_range /campaigns/0/valid_from line 1"},
	{`"valid_to":"2026-12-24T22:00:00+04:00"`, `"valid_to":"2026-12-01"`, "out_of_range /campaigns/0/valid_to line 1"},
	{`"valid_to":"2026-12-24T22:00:00+04:00"`, `"valid_to":"2026-11-29T00:00:00Z"`, "out_of_range /campaigns/0/valid_to line 1"},
	{`"factor_ppm":2000000`, `"factor_ppm":999999`, "out_of_range /campaigns/0/factor_ppm line 1"},
	{`"factor_ppm":2000000`, `"factor_ppm":100000001`, "out_of_range /campaigns/0/factor_ppm line 1"},
}

func TestDocumentThatIsRefused(t *testing.T) {
	if _, err := parsed(wholeDocument); err != nil {
		t.Fatal(err)
	}
	if _, err := parsed(`{"valid_from":"2026-11-21"}`); protocol.CodeOf(err) != protocol.OutOfRangeCode {
		t.Errorf("without a list of rules: %v", err)
	}
	for _, tt := range refusals {
		text := strings.Replace(wholeDocument, tt.old, tt.with, 1)
		_, err := parsed(text)
		if err == nil || text == wholeDocument {
			t.Errorf("%s is taken", tt.with)
			continue
		}
		e := protocol.AsError(err)
		got := fmt.Sprint(e.Code, " ", e.Members["path"])
		if line := e.Members["line"]; line != nil {
			got += fmt.Sprint(" line ", line)
		}
		if got != tt.want {
			t.Errorf("%s is answered %s (%s), want %s", tt.with, got, e.Message, tt.want)
		}
	}
}

// TestListsAreBounded tries the longest of each, and one entry more.
func TestListsAreBounded(t *testing.T) {
	for _, list := range []struct {
		name, entry string
		most        int
	}{
		{"earn", `{"per_minor":1,"points":1,"category":"c%d"}`, 200},
		{"campaigns", `{"id":"c%d","factor_ppm":1000000}`, 200},
		{"tiers", `{"name":"t%[1]d","points":%[1]d,"within_days":1,"factor_ppm":1000000}`, 20},
	} {
		for n := list.most; n <= list.most+1; n++ {
			entries := make([]string, n)
			for i := range entries {
				entries[i] = fmt.Sprintf(list.entry, i+1)
			}
			text := fmt.Sprintf(`{"valid_from":"2026-11-21",%q:[%s]`, list.name, strings.Join(entries, ","))
			if list.name != "earn" {
				text += `,"earn":[]`
			}
			if _, err := parsed(text + "}"); (err == nil) != (n <= list.most) {
				t.Errorf("%d entries of %s: %v", n, list.name, err)
			}
		}
	}
}

// TestDateBeforeTime: a date is not the same moment in each store, so a period from
// a date to a time is refused only where it ends before it starts in all of them.
func TestDateBeforeTime(t *testing.T) {
	for to, taken := range map[string]bool{"2026-11-30T00:00:00Z": true, "2026-11-29T00:00:00Z": false, "2026-12-01T00:00:00Z": true} {
		_, err := parsed(`{"earn":[],"valid_from":"2026-11-21","campaigns":[{"id":"c1","valid_from":"2026-12-01","valid_to":"` + to + `","factor_ppm":1000000}]}`)
		if (err == nil) != taken {
			t.Errorf("until %s: %v", to, err)
		}
	}
}

// FuzzDocument: what is taken can be sent to tills, and is shown as it was taken.
func FuzzDocument(f *testing.F) {
	f.Add(wholeDocument)
	f.Add(`{"earn":[],"valid_from":"2026-11-21"}`)
	f.Add(`{"earn":[{"per_minor":1,"points":0}],"valid_from":"9999-12-31T23:59:59.999999999-00:01"}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsed(text)
		if err != nil {
			if protocol.CodeOf(err) == protocol.Internal {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		b, err := protocol.EncodeProgramme(p)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := protocol.DecodeProgramme(b)
		if err != nil || !reflect.DeepEqual(sent, p) {
			t.Fatalf("sent as %+v (%v), is %+v", sent, err, p)
		}
		shown, err := json.Marshal(loyalty.NewDocument(p))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parsed(string(shown)); err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("shown as %s, which reads as %+v (%v)", shown, again, err)
		}
	})
}
