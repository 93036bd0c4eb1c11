package protocol

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"unicode/utf8"
)

// SubjectKey is the key of one person, with which their personal fields are
// sealed. Who destroys it everywhere has erased the person. It is never
// printed, and refuses to be written as JSON.
type SubjectKey [32]byte

// NewSubjectKey makes a key; random fills its argument with random bytes.
func NewSubjectKey(random func([]byte)) (k SubjectKey) {
	random(k[:])
	return k
}

// IsZero tells whether k was never made.
func (k SubjectKey) IsZero() bool { return k == SubjectKey{} }

// hiddenKey is all that is printed of a key.
const hiddenKey = "(key)"

func (SubjectKey) String() string { return hiddenKey }

// GoString is String.
func (SubjectKey) GoString() string { return hiddenKey }

// Format writes String, whatever the verb.
func (SubjectKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hiddenKey) }

// LogValue is String.
func (SubjectKey) LogValue() slog.Value { return slog.StringValue(hiddenKey) }

// MarshalJSON fails.
func (SubjectKey) MarshalJSON() ([]byte, error) { return nil, errNotJSON }

// What sealed bytes consist of: the version, a nonce, and the fields with
// padding and tag.
const (
	sealedVersion = 1
	nonceBytes    = 12
	sealedHeader  = 1 + nonceBytes
	tagBytes      = 16
	lengthBytes   = 2
	paddedTo      = 32

	// SealedBytesMax bounds what Seal gives.
	SealedBytesMax = sealedHeader + (lengthBytes+PersonalBytesMax+paddedTo-1)/paddedTo*paddedTo + tagBytes

	// SealedTextMax bounds a text in bytes, and SealedTextBytesMax what SealText
	// makes of it.
	SealedTextMax      = 8_190
	SealedTextBytesMax = sealedHeader + (lengthBytes+SealedTextMax+paddedTo-1)/paddedTo*paddedTo + tagBytes
)

// ErrSealed says that sealed fields are not of this person, are not sealed with
// this key, or were changed. Which it is cannot be told.
var ErrSealed = errors.New("protocol: the personal fields cannot be opened with this key")

// Seal encrypts the personal fields of a subject with the subject's key. The
// outcome opens for no other subject, and its length tells little of the fields.
// random fills its argument with random bytes. With one key at most 2^32 seals
// are made, which no person reaches.
func Seal(key SubjectKey, subject string, p Personal, random func([]byte)) ([]byte, error) {
	fields, err := EncodePersonal(p)
	if err != nil {
		return nil, err
	}
	return sealBytes(key, subject, sealedFor(subject), fields, random)
}

// SealText encrypts what was said to or by a subject, as Seal does. What it gives
// and what Seal gives do not open for one another.
func SealText(key SubjectKey, subject, text string, random func([]byte)) ([]byte, error) {
	if len(text) > SealedTextMax {
		return nil, fmt.Errorf("protocol: seal text: %d bytes are too many", len(text))
	}
	return sealBytes(key, subject, textSealedFor(subject), []byte(text), random)
}

func sealBytes(key SubjectKey, subject string, bound, fields []byte, random func([]byte)) ([]byte, error) {
	if !ValidID(subject) || key.IsZero() {
		return nil, errors.New("protocol: seal: no subject, or no key")
	}
	aead, err := sealer(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, (lengthBytes+len(fields)+paddedTo-1)/paddedTo*paddedTo)
	binary.BigEndian.PutUint16(plain, uint16(len(fields)))
	copy(plain[lengthBytes:], fields)
	sealed := make([]byte, sealedHeader, sealedHeader+len(plain)+tagBytes)
	sealed[0] = sealedVersion
	nonce := sealed[1:sealedHeader]
	random(nonce)
	return aead.Seal(sealed, nonce, plain, bound), nil
}

// Open decrypts what Seal gave. For a wrong key, another subject and any byte
// that was changed it returns ErrSealed.
func Open(key SubjectKey, subject string, sealed []byte) (Personal, error) {
	fields, err := openBytes(key, sealedFor(subject), sealed, SealedBytesMax)
	if err != nil {
		return Personal{}, err
	}
	p, err := DecodePersonal(fields)
	if err != nil {
		return Personal{}, ErrSealed
	}
	return p, nil
}

// OpenText decrypts what SealText gave, and returns ErrSealed where Open would.
func OpenText(key SubjectKey, subject string, sealed []byte) (string, error) {
	text, err := openBytes(key, textSealedFor(subject), sealed, SealedTextBytesMax)
	if err == nil && !utf8.Valid(text) {
		err = ErrSealed
	}
	if err != nil {
		return "", err
	}
	return string(text), nil
}

func openBytes(key SubjectKey, bound, sealed []byte, bytesMax int) ([]byte, error) {
	if len(sealed) < sealedHeader+paddedTo+tagBytes || len(sealed) > bytesMax || sealed[0] != sealedVersion {
		return nil, ErrSealed
	}
	aead, err := sealer(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, sealed[1:sealedHeader], sealed[sealedHeader:], bound)
	if err != nil || len(plain)%paddedTo != 0 {
		return nil, ErrSealed
	}
	n := int(binary.BigEndian.Uint16(plain))
	fields := plain[lengthBytes:]
	if n > len(fields) || len(fields)-n >= paddedTo {
		return nil, ErrSealed
	}
	for _, b := range fields[n:] {
		if b != 0 {
			return nil, ErrSealed
		}
	}
	return fields[:n], nil
}

func sealer(key SubjectKey) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// sealedFor binds sealed fields to their subject and to what they are.
func sealedFor(subject string) []byte { return []byte("counterpart/1 personal " + subject) }

func textSealedFor(subject string) []byte { return []byte("counterpart/1 text " + subject) }
