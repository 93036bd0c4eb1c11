package hub

import "testing"

func TestSameName(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Ayla Quliyeva", "  ayla   QULIYEVA ", true},
		{"Bärbel", "BA\u0308RBEL", true},
		{"Ｔａｒｏ", "taro", true},
		{"", "Ayla", true},
		{" ", "", true},
		{"Ayla", "Ayla Quliyeva", false},
		{"Ayla Quliyeva", "Aylin Quliyeva", false},
	} {
		if got := sameName(c.a, c.b); got != c.same {
			t.Errorf("%q and %q are one person's: %v", c.a, c.b, got)
		}
		if got := sameName(c.b, c.a); got != c.same {
			t.Errorf("%q and %q are one person's: %v", c.b, c.a, got)
		}
	}
}
