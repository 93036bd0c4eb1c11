package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
)

// Secrets as Standard Webhooks writes them.
const (
	secretPrefix   = "whsec_"
	secretBytesMin = 24
	secretBytesMax = 64
	secretBytes    = 32 // of one that is made here
)

// secret signs what an endpoint is sent. It shows itself to nobody.
type secret []byte

// String keeps a secret out of logs and errors.
func (secret) String() string { return "whsec_…" }

// GoString keeps it out of them as well.
func (secret) GoString() string { return "whsec_…" }

// text is the secret as the receiver needs it.
func (s secret) text() string { return secretPrefix + base64.StdEncoding.EncodeToString(s) }

// parseSecret reads whsec_ and base64 of 24 to 64 bytes.
func parseSecret(text string) (secret, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, secretPrefix))
	if err != nil || !strings.HasPrefix(text, secretPrefix) || len(b) < secretBytesMin || len(b) > secretBytesMax {
		// The value is not repeated: it may be a real secret with a slip.
		return nil, protocol.OutOfRange("secret", "", "not "+secretPrefix+" and base64 of 24 to 64 bytes; leave it out to be given one")
	}
	return b, nil
}

// sign is the value of webhook-signature: HMAC-SHA256 over id, timestamp and
// body.
func (s secret) sign(id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, s)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
