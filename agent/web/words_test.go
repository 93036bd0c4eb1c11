package web

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
)

func TestDescribeLink(t *testing.T) {
	for _, c := range []struct {
		in     Status
		look   string
		words  string
		detail string
	}{
		{Status{Link: "online"}, "ok", "Online", "The hub has confirmed everything"},
		{Status{Link: "online", Pending: 3}, "sending", "Sending 3…", "on its way"},
		{Status{Link: "online", DeadLetters: 1}, "trouble", "Not sent: 1 needs attention", "Call support"},
		{Status{Link: "online", DeadLetters: 2}, "trouble", "Not sent: 2 need attention", "Call support"},
		{Status{Link: "offline", Cause: "no_route", Pending: 3}, "away", "Offline: sales continue. 3 waiting to send", "No internet"},
		{Status{Link: "offline", Cause: "dns"}, "away", "Offline: sales continue. Nothing waiting to send", "No internet"},
		{Status{Link: "offline", Cause: "refused"}, "away", "Offline: sales continue. Nothing waiting to send", "does not take calls"},
		{Status{Link: "offline", Cause: "timeout"}, "away", "Offline: sales continue. Nothing waiting to send", "does not answer"},
		{Status{Link: "offline", Cause: "hub_error", Pending: 1}, "trouble", "Server trouble: sales continue. 1 waiting to send", "The internet works"},
		{Status{Link: "offline", Cause: "tls"}, "trouble", "Server trouble: sales continue. Nothing waiting to send", "date and time"},
		{Status{Link: "offline", Cause: "auth"}, "trouble", "Refused by the hub: sales continue. Nothing waiting to send", "sign-in"},
		{Status{Link: "offline", Cause: "version"}, "trouble", "Refused by the hub: sales continue. Nothing waiting to send", "update"},
		{Status{Link: "offline", Cause: "unknown_store"}, "trouble", "Refused by the hub: sales continue. Nothing waiting to send", "does not know"},
		{Status{Link: "offline"}, "away", "Offline: sales continue. Nothing waiting to send", "keeps trying"},
		{Status{Link: "offline", Cause: "no_route", Disk: "full", Pending: 3}, "away", "Offline. 3 waiting to send", "No internet"},
		{Status{Link: "connecting", Pending: 4}, "away", "Connecting: sales continue. 4 waiting to send", "safe on this machine"},
		{Status{Link: "fenced", Cause: "duplicate_identity"}, "trouble", "Stopped by the hub: sales continue. Nothing waiting to send", "Another machine"},
		{Status{Link: "unprovisioned", Cause: "no_route"}, "stopped", "Not ready to sell. Nothing waiting to send", "No internet"},
		{Status{Link: "of a later version"}, "away", "Offline: sales continue. Nothing waiting to send", "keeps trying"},
	} {
		got, detail := describeLink(c.in)
		words := strings.TrimSpace(got.Text + " " + got.Count)
		if got.Look != c.look || words != c.words || !strings.Contains(detail, c.detail) {
			t.Errorf("%+v:\n got %s, %q, %q\nwant %s, %q, …%q…", c.in, got.Look, words, detail, c.look, c.words, c.detail)
		}
	}
}

// TestNoInternetAndServerTroubleDiffer: the two send staff to different people.
func TestNoInternetAndServerTroubleDiffer(t *testing.T) {
	for cause := range causes {
		c, detail := describeLink(Status{Link: "offline", Cause: cause})
		noInternet := cause == "no_route" || cause == "dns"
		if strings.Contains(detail, "No internet") != noInternet {
			t.Errorf("%s: %q", cause, detail)
		}
		if (cause == "hub_error") != (strings.Contains(c.Text, "Server trouble") && strings.Contains(detail, "internet works")) {
			t.Errorf("%s: %q %q", cause, c.Text, detail)
		}
	}
}

func TestDescribeNotices(t *testing.T) {
	for _, c := range []struct {
		in     Status
		want   []string
		blocks bool
	}{
		{Status{Link: "online", Disk: "ok", ClockOffsetMs: 119_999}, nil, false},
		{Status{Link: "online", Disk: "full"}, []string{"no sale can be recorded"}, true},
		{Status{Link: "online", Disk: "reserve"}, []string{"will soon stop"}, false},
		{Status{Link: "online", Disk: "low", DeadLetters: 1}, []string{"Disk space is low"}, false},
		{Status{Link: "offline", DeadLetters: 1, ClockOffsetMs: -600_000}, []string{"Not sent: 1 needs attention", "10 min wrong"}, false},
	} {
		got := describeNotices(c.in)
		if len(got) != len(c.want) {
			t.Errorf("%+v: %+v", c.in, got)
			continue
		}
		for i, n := range got {
			if !strings.Contains(n.Text, c.want[i]) || n.Blocks != c.blocks {
				t.Errorf("%+v: %+v", c.in, n)
			}
		}
	}
}

func TestFormatMoney(t *testing.T) {
	for _, c := range []struct {
		amount   protocol.Money
		currency string
		want     string
	}{
		{0, "GBP", "£0.00"},
		{5, "GBP", "£0.05"},
		{-450, "GBP", "−£4.50"},
		{123450, "EUR", "€1,234.50"},
		{123450, "AZN", "AZN\u00a01,234.50"},
		{123450, "JPY", "JPY\u00a0123,450"},
		{1234, "KWD", "KWD\u00a01.234"},
		{-1, "KWD", "−KWD\u00a00.001"},
		{12345, "CLF", "CLF\u00a01.2345"},
		{123400, "IRR", "IRR\u00a01,234"},
		{123456, "HUF", "HUF\u00a01,234.56"},
		{99, "", "0.99"},
		{math.MinInt64, "GBP", "−£92,233,720,368,547,758.08"},
	} {
		if got := formatMoney(c.amount, c.currency); got != c.want {
			t.Errorf("%d %s: %q, want %q", c.amount, c.currency, got, c.want)
		}
	}
}

func TestFormatQuantity(t *testing.T) {
	for _, c := range []struct {
		q    protocol.Quantity
		unit protocol.Unit
		want string
	}{
		{1000, "each", "1"},
		{0, "", "0"},
		{-1250, "kg", "−1.25\u00a0kg"},
		{12345678000, "each", "12,345,678"},
		{1, "l", "0.001\u00a0l"},
	} {
		if got := formatQuantity(c.q, c.unit); got != c.want {
			t.Errorf("%d %s: %q, want %q", c.q, c.unit, got, c.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "less than a minute", 59 * time.Second: "less than a minute", time.Minute: "1 min", 119 * time.Minute: "1 h", 49 * time.Hour: "2 days", 24 * time.Hour: "1 day",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestMomentOf(t *testing.T) {
	if momentOf("", noon) != nil || momentOf("yesterday", noon) != nil {
		t.Error("no time is a time")
	}
	// The day is the store's: in Baku it was already the day after.
	got := momentOf("2026-11-21T01:30:00+04:00", time.Date(2026, 11, 20, 22, 0, 0, 0, time.UTC))
	if got.Text != "01:30" || got.Age != "30 min ago" {
		t.Errorf("%+v", got)
	}
	if got := momentOf("2026-11-20T23:00:00+00:00", noon); got.Text != "20 Nov 23:00" || got.Age != "13 h ago" {
		t.Errorf("%+v", got)
	}
	// A clock ahead of the agent's own is no age below zero.
	if got := momentOf("2026-11-21T12:05:00+00:00", noon); got.Age != "just now" {
		t.Errorf("%+v", got)
	}
}

func TestInertKeepsWhatPeopleRead(t *testing.T) {
	keep := "Çörəyi چای\u200c سیاه 🥐 \u200f"
	if got := inert("\u202e\u2066" + keep + "\u2069\u202c"); got != keep {
		t.Errorf("%q", got)
	}
}

// TestContrast computes the ratio of WCAG 2 for every pair of colours that the
// style puts on each other, in both schemes.
func TestContrast(t *testing.T) {
	css, err := files.ReadFile("assets/page.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, _ := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "* {")
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colours := coloursOf(text)
		for _, pair := range [][2]string{
			{"ink", "paper"},
			{"ink", "panel"},
			{"soft", "paper"},
			{"soft", "panel"},
			{"brand", "paper"},
			{"brand", "panel"},
			{"on-brand", "brand"},
			{"ok", "ok-back"},
			{"sending", "sending-back"},
			{"away", "away-back"},
			{"trouble", "trouble-back"},
			{"trouble", "panel"},
			{"stopped", "stopped-back"},
		} {
			if ratio := contrast(t, colours, pair); ratio < 4.5 {
				t.Errorf("%s: %s on %s has %.2f : 1, less than 4.5", scheme, pair[0], pair[1], ratio)
			}
		}
		for _, pair := range [][2]string{{"edge", "panel"}, {"edge", "paper"}} {
			if ratio := contrast(t, colours, pair); ratio < 3 {
				t.Errorf("%s: %s on %s has %.2f : 1, less than 3", scheme, pair[0], pair[1], ratio)
			}
		}
	}
}

// coloursOf reads the custom properties that are hexadecimal colours.
func coloursOf(css string) map[string]string {
	colours := map[string]string{}
	for line := range strings.Lines(css) {
		name, value, found := strings.Cut(strings.TrimSpace(line), ": #")
		if found && strings.HasPrefix(name, "--") {
			colours[name[2:]] = strings.TrimSuffix(value, ";")
		}
	}
	return colours
}

func contrast(t *testing.T, colours map[string]string, pair [2]string) float64 {
	t.Helper()
	var l []float64
	for _, name := range pair {
		if len(colours[name]) != 6 {
			t.Fatalf("no colour %s", name)
		}
		l = append(l, luminance(colours[name]))
	}
	slices.Sort(l)
	return (l[1] + 0.05) / (l[0] + 0.05)
}

func luminance(hex string) float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n := strings.IndexByte("0123456789abcdef", hex[2*i])*16 + strings.IndexByte("0123456789abcdef", hex[2*i+1])
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
