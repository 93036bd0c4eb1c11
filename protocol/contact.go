package protocol

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ContactKind says what a person is looked up by.
type ContactKind string

// The kinds.
const (
	ContactPhone ContactKind = "phone"
	ContactEmail ContactKind = "email"
)

// LookupKey is the chain's key under which phone numbers and e-mail addresses
// are looked up, so that who has a copy of the rows cannot try numbers. It is
// never printed, and refuses to be written as JSON.
type LookupKey [32]byte

func (LookupKey) String() string { return hiddenKey }

// GoString is String.
func (LookupKey) GoString() string { return hiddenKey }

// Format writes String, whatever the verb.
func (LookupKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hiddenKey) }

// LogValue is String.
func (LookupKey) LogValue() slog.Value { return slog.StringValue(hiddenKey) }

// MarshalJSON fails.
func (LookupKey) MarshalJSON() ([]byte, error) { return nil, errNotJSON }

// LookupSum is by what a person is found who gave this phone number or e-mail
// address. normal is what NormalPhone or NormalEmail gave.
func LookupSum(key LookupKey, kind ContactKind, normal string) (sum LookupBytes) {
	mac := hmac.New(sha256.New, key[:])
	_, _ = io.WriteString(mac, "counterpart/1 "+string(kind)+" "+normal)
	copy(sum[:], mac.Sum(nil))
	return sum
}

// contactBytesMax bounds what is looked at, so that nobody makes us read a book.
const contactBytesMax = 1_024

// NormalPhone gives a phone number as it is stored and looked up: E.164, a plus
// sign and 2 to 15 digits. Spaces, dots, dashes and brackets are taken out, 00 in
// front stands for the plus sign, and Persian and Arabic digits count. The error
// does not repeat the number.
func NormalPhone(text string) (string, error) {
	refused := unusable(string(ContactPhone), "This is not a phone number with its country code, such as +442079460958.")
	if len(text) > contactBytesMax || strings.Contains(text, "(0)") {
		// Of +44 (0)20 the nought is dialled or the country, never both.
		return "", refused
	}
	const e164BytesMax = 1 + 15
	out := make([]byte, 0, 2*e164BytesMax)
	for _, r := range text {
		digit := phoneDigit(r)
		switch {
		case digit >= 0:
			out = append(out, byte('0'+digit))
		case r == '+' && len(out) == 0:
			out = append(out, '+')
		case !isPhoneSeparator(r):
			return "", refused
		}
		if len(out) > e164BytesMax+1 {
			return "", refused
		}
	}
	number, abroad := strings.CutPrefix(string(out), "00")
	if !abroad {
		number, abroad = strings.CutPrefix(string(out), "+")
	}
	if !abroad || len(number) < 2 || len(number) > 15 || number[0] < '1' || number[0] > '9' || !digits(number) {
		return "", refused
	}
	return "+" + number, nil
}

// phoneDigit is the value of a digit on a Latin, Persian or Arabic keyboard, or
// -1.
func phoneDigit(r rune) int {
	for _, zero := range [...]rune{'0', '\u0660', '\u06F0'} {
		if r >= zero && r <= zero+9 {
			return int(r - zero)
		}
	}
	return -1
}

func isPhoneSeparator(r rune) bool {
	return r == '.' || r == '(' || r == ')' || r == '[' || r == ']' || r == '\t' || r != utf8.RuneError && (unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Zs, r))
}

// NormalEmail gives an e-mail address as it is looked up: without space around
// it and in small letters. It takes what can be an address of the internet: 254
// bytes at most, one @, a dot in the domain. The error does not repeat it.
func NormalEmail(text string) (string, error) {
	refused := unusable(string(ContactEmail), "This is not an e-mail address, such as name@example.com.")
	if len(text) > contactBytesMax || !utf8.ValidString(text) {
		return "", refused
	}
	text = strings.ToLower(strings.TrimSpace(text))
	local, domain, found := strings.Cut(text, "@")
	const localBytesMax = 64
	if !found || local == "" || len(local) > localBytesMax || len(text) > emailBytesMax || !strings.Contains(domain, ".") {
		return "", refused
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" {
			return "", refused
		}
	}
	if strings.Contains(domain, "@") || strings.ContainsFunc(text, notInAddress) {
		return "", refused
	}
	return text, nil
}

// notInAddress tells what stands in no address that is not quoted: what is
// invisible, and what people put around or between several.
func notInAddress(r rune) bool {
	return r == ' ' || !unicode.IsPrint(r) || strings.ContainsRune("\"(),:;<>[\\]", r)
}
