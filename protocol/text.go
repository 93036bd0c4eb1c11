package protocol

import (
	"unicode"
	"unicode/utf8"
)

// ValidText tells whether s is UTF-8 of at most max bytes without control
// characters. Empty text is valid.
func ValidText(s string, max int) bool {
	if len(s) > max || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// TimeLayout is how documents write times: RFC 3339 with a numeric offset, also in
// UTC.
const TimeLayout = "2006-01-02T15:04:05-07:00"
