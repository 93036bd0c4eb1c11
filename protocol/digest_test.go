package protocol_test

import (
	"strings"
	"testing"

	"counterpart/protocol"
)

// TestDecodeDigestRefuses: a digest that moves something, or that cannot be
// compared, is malformed.
func TestDecodeDigestRefuses(t *testing.T) {
	const fieldDigest = 23
	kind, sums := bytesField(fieldKindText, "digest"), bytesField(3, strings.Repeat("s", 256))
	if _, err := protocol.DecodeEvent([]byte(kind + bytesField(fieldDigest, sums))); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"no body":               kind,
		"255 bytes":             kind + bytesField(fieldDigest, bytesField(3, strings.Repeat("s", 255))),
		"a stream without inc":  kind + bytesField(fieldDigest, bytesField(2, varintField(2, 7))+sums),
		"moves":                 kind + bytesField(fieldItemSkus, "A") + packed(fieldMoveDeltas, 5) + bytesField(fieldDigest, sums),
		"two halves of a body":  kind + bytesField(fieldDigest, "\x1a\x80\x02"+strings.Repeat("s", 200)) + bytesField(fieldDigest, strings.Repeat("s", 56)),
		"the body of a reissue": varintField(fieldKind, 6) + bytesField(fieldDigest, sums),
	} {
		if e, err := protocol.DecodeEvent([]byte(body)); err == nil {
			t.Errorf("%s: decodes as\n%s", name, dump(e))
		}
	}
}
