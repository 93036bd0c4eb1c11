package protocol

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Personal are the personal fields of a member or of the shopper of an order.
// They travel and are stored sealed only: see Seal.
//
// However it is printed, only what Masked shows comes out, and it refuses to be
// written as JSON, so that no log and no error gives a person away by accident.
// Whoever may show a field names it.
type Personal struct {
	Name     string
	Phone    string // as NormalPhone gives it
	Email    string // as it was written; it is looked up as NormalEmail gives it
	Birthday string // YYYY-MM-DD

	later string // the fields of later versions, as they came
}

// Masked is what screens and receipts show of a person.
type Masked struct{ Name, Phone, Email, Birthday string }

// hidden stands for what is not shown, whatever its length.
const hidden = "•••"

// Masked gives the first letter of the name, the last three digits of the phone
// number, and the first letter and the domain of the e-mail address. What would
// be left whole by that is hidden, and so is the birthday.
func (p Personal) Masked() (m Masked) {
	if p.Name != "" {
		m.Name = firstLetter(p.Name)
	}
	if p.Phone != "" {
		m.Phone = hidden
		const shown, least = 3, 7
		if len(p.Phone) >= least && digits(p.Phone[len(p.Phone)-shown:]) {
			m.Phone += p.Phone[len(p.Phone)-shown:]
		}
	}
	if p.Email != "" {
		m.Email = hidden
		if at := strings.LastIndexByte(p.Email, '@'); at > 0 {
			m.Email = firstLetter(p.Email[:at]) + p.Email[at:]
		}
	}
	if p.Birthday != "" {
		m.Birthday = hidden
	}
	return m
}

// firstLetter is the first letter of a text, with the marks that belong to it,
// and dots for the rest. A text without a rest is hidden.
func firstLetter(s string) string {
	_, end := utf8.DecodeRuneInString(s)
	for end < len(s) {
		r, n := utf8.DecodeRuneInString(s[end:])
		if !unicode.Is(unicode.M, r) {
			return s[:end] + hidden
		}
		end += n
	}
	return hidden
}

func (p Personal) String() string {
	m := p.Masked()
	return "{" + strings.Join([]string{m.Name, m.Phone, m.Email, m.Birthday}, " ") + "}"
}

// GoString is String.
func (p Personal) GoString() string { return p.String() }

// Format writes String, whatever the verb.
func (p Personal) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue is String.
func (p Personal) LogValue() slog.Value { return slog.StringValue(p.String()) }

// errNotJSON keeps what is secret out of documents that nobody meant it for.
var errNotJSON = errors.New("protocol: personal fields and keys are not written as JSON; name the fields that are meant")

// MarshalJSON fails.
func (p Personal) MarshalJSON() ([]byte, error) { return nil, errNotJSON }

// Normal checks what people have entered, and gives it as it is kept. A field
// that is empty is left out; the error names the first one that cannot be.
func (p Personal) Normal() (Personal, error) {
	p.Name, p.Email, p.Birthday = strings.TrimSpace(p.Name), strings.TrimSpace(p.Email), strings.TrimSpace(p.Birthday)
	if !ValidText(p.Name, personNameBytesMax) {
		return Personal{}, unusable("name", fmt.Sprintf("The name is longer than %d bytes or holds control characters.", personNameBytesMax))
	}
	if strings.TrimSpace(p.Phone) == "" {
		p.Phone = ""
	} else {
		phone, err := NormalPhone(p.Phone)
		if err != nil {
			return Personal{}, err
		}
		p.Phone = phone
	}
	if p.Email != "" {
		if _, err := NormalEmail(p.Email); err != nil {
			return Personal{}, err
		}
	}
	if _, err := dateNumber(p.Birthday); err != nil {
		return Personal{}, unusable("birthday", "The birthday is not a date written YYYY-MM-DD.")
	}
	return p, nil
}

// unusable refuses the value of a personal field without repeating it.
func unusable(field, why string) *Error {
	return Refuse(OutOfRangeCode, why+" Nothing was recorded. Correct it and send it again.").With("field", field)
}
