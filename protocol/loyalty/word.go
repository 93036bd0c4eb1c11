package loyalty

import "strings"

// written are words that are written in another way than by their first letter.
var written = map[string]string{"sms": "SMS", "email": "E-mail", "whatsapp": "WhatsApp"}

// Words writes a channel, a purpose or the kind of an entry as people do.
func Words(word string) string {
	if s, ok := written[word]; ok || word == "" {
		return s
	}
	word = strings.ReplaceAll(word, "_", " ")
	return strings.ToUpper(word[:1]) + word[1:]
}
