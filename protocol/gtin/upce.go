package gtin

import "strings"

// ExpandUPCE reads the eight digits of a UPC-E, number system, six digits and
// check digit, and returns the GTIN of the UPC-A that it abbreviates. The last
// of the six digits says where zeros were left out (GS1 General Specifications
// 5.2, ISO/IEC 15420). The check digit is that of the UPC-A and is verified.
//
// Only the number systems 0 and 1 have a short form; eight digits with
// another one are no UPC-E, which is reported as ErrLength, as is any other
// number of digits. The further errors are ErrNotDigits and ErrCheckDigit.
func ExpandUPCE(text string) (GTIN, error) {
	text = strings.TrimSpace(text)
	if !allDigits(text) {
		return "", ErrNotDigits
	}
	if len(text) != 8 || text[0] > '1' {
		return "", ErrLength
	}
	system, six, check := text[:1], text[1:7], text[7:]
	var body string
	switch rule := six[5:]; rule {
	case "0", "1", "2":
		body = six[:2] + rule + "0000" + six[2:5]
	case "3":
		body = six[:3] + "00000" + six[3:5]
	case "4":
		body = six[:4] + "00000" + six[4:5]
	default:
		body = six[:5] + "0000" + rule
	}
	return parseDigits(system + body + check)
}
