package protocol_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"counterpart/protocol"
)

const sampleSubject = "m-9f3c01a7"

func sealed(t fatal, key protocol.SubjectKey, subject string, p protocol.Personal) []byte {
	b, err := protocol.Seal(key, subject, p, counting(0x10))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

func TestSealRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, subject := genPersonal.Draw(t, "personal"), genID.Draw(t, "subject")
		var key protocol.SubjectKey
		copy(key[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		key[0] |= 1
		b := sealed(t, key, subject, p)
		if got, err := protocol.Open(key, subject, b); err != nil || got != p {
			t.Fatalf("%v comes back as %v (%v)", fields(p), fields(got), err)
		}
		if (len(b)-1-12-16)%32 != 0 || len(b) > protocol.SealedBytesMax {
			t.Fatalf("%d bytes tell of the fields", len(b))
		}
		if p.Phone != "" && bytes.Contains(b, []byte(p.Phone)) {
			t.Fatal("the phone number shows")
		}
	})
}

// Every bit counts, and so do key, subject and length.
func TestOpenRefuses(t *testing.T) {
	good := sealed(t, sampleKey, sampleSubject, samplePersonal)
	refused := func(what string, key protocol.SubjectKey, subject string, b []byte) {
		t.Helper()
		if p, err := protocol.Open(key, subject, b); !errors.Is(err, protocol.ErrSealed) || p != (protocol.Personal{}) {
			t.Errorf("%s: opens as %v with %v", what, fields(p), err)
		}
	}
	for i := range 8 * len(good) {
		b := bytes.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit %d", i), sampleKey, sampleSubject, b)
	}
	for i := range 8 * len(sampleKey) {
		key := sampleKey
		key[i/8] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit %d of the key", i), key, sampleSubject, good)
	}
	for n := range good {
		refused(fmt.Sprintf("%d bytes", n), sampleKey, sampleSubject, good[:n])
	}
	refused("longer", sampleKey, sampleSubject, append(bytes.Clone(good), 0))
	refused("much longer", sampleKey, sampleSubject, append(bytes.Clone(good), make([]byte, 1<<20)...))
	refused("another subject", sampleKey, "m-9f3c01a8", good)
	refused("no subject", sampleKey, "", good)
	refused("nothing", sampleKey, sampleSubject, nil)
}

// What is inside is checked too: a key may be in wrong hands, and a peer wrong.
func TestOpenRefusesWhatIsInside(t *testing.T) {
	block, err := aes.NewCipher(sampleKey[:])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	inside := func(plain []byte) []byte {
		b := append([]byte{1}, make([]byte, 12)...)
		return aead.Seal(b, b[1:13], plain, []byte("counterpart/1 personal "+sampleSubject))
	}
	padded := func(n int, text string, size int) []byte {
		return append(append(binary.BigEndian.AppendUint16(nil, uint16(n)), text...), make([]byte, size-2-len(text))...)
	}
	name := bytesField(1, "Ayla")
	if p, err := protocol.Open(sampleKey, sampleSubject, inside(padded(len(name), name, 32))); err != nil || p.Name != "Ayla" {
		t.Fatalf("%v (%v)", fields(p), err)
	}
	for what, plain := range map[string][]byte{
		"nothing":                 {},
		"no padding":              padded(len(name), name, 31),
		"padding of two blocks":   padded(len(name), name, 64),
		"padding that is not 0":   append(padded(len(name), name, 31), 1),
		"a length beyond the end": padded(31, name, 32),
		"no message":              padded(3, "\x0a\x7fx", 32),
		"a field out of bounds":   padded(3+2, "\x0a\x03a\x00b", 32),
		"more than the most":      padded(2078, "", 2080),
	} {
		if p, err := protocol.Open(sampleKey, sampleSubject, inside(plain)); !errors.Is(err, protocol.ErrSealed) {
			t.Errorf("%s: opens as %v with %v", what, fields(p), err)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		key     protocol.SubjectKey
		subject string
		p       protocol.Personal
	}{
		"no key":      {protocol.SubjectKey{}, sampleSubject, samplePersonal},
		"no subject":  {sampleKey, "", samplePersonal},
		"not an id":   {sampleKey, "a b", samplePersonal},
		"wrong field": {sampleKey, sampleSubject, protocol.Personal{Name: strings.Repeat("x", 257)}},
	} {
		if b, err := protocol.Seal(c.key, c.subject, c.p, counting(0)); err == nil {
			t.Errorf("%s: sealed as %x", what, b)
		}
	}
	most := "a" + strings.Repeat("x", protocol.PersonalBytesMax-4)
	p, err := protocol.DecodePersonal([]byte(bytesField(9, most)))
	if err != nil {
		t.Fatal(err)
	}
	if b := sealed(t, sampleKey, sampleSubject, p); len(b) != protocol.SealedBytesMax {
		t.Errorf("the most is %d bytes, not %d", len(b), protocol.SealedBytesMax)
	}
}

// The golden vector is what another client must reproduce to the byte, and what
// docs/PROTOCOL.md shows. It is computed here from the page's words as well, with
// nothing of the package.
func TestGoldenSealed(t *testing.T) {
	message, err := protocol.EncodePersonal(samplePersonal)
	if err != nil {
		t.Fatal(err)
	}
	b := sealed(t, sampleKey, sampleSubject, samplePersonal)
	phone := protocol.LookupSum(sampleLookup, protocol.ContactPhone, "+994501234567")
	email := protocol.LookupSum(sampleLookup, protocol.ContactEmail, "ayla.m@example.com")
	golden(t, filepath.Join(goldenDir, "sealed.txt"), fmt.Appendf(nil, "subject %s\nkey %x\nnonce %x\nmessage %x\nsealed %x\nlookup key %x\nphone %x\nemail %x\n",
		sampleSubject, sampleKey[:], b[1:13], message, b, sampleLookup[:], phone, email))

	key, lookup := make([]byte, 32), make([]byte, 32)
	counting(0x40)(key)
	counting(0x80)(lookup)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, 12)
	counting(0x10)(nonce)
	plain := append([]byte{byte(len(message) >> 8), byte(len(message))}, message...)
	plain = append(plain, make([]byte, (32-len(plain)%32)%32)...)
	apart := append(append([]byte{1}, nonce...), aead.Seal(nil, nonce, plain, []byte("counterpart/1 personal m-9f3c01a7"))...)
	if !bytes.Equal(apart, b) {
		t.Errorf("sealed as\n%x, by the page's words as\n%x", b, apart)
	}
	sum := func(text string) []byte {
		mac := hmac.New(sha256.New, lookup)
		mac.Write([]byte("counterpart/1 " + text))
		return mac.Sum(nil)[:16]
	}
	if !bytes.Equal(sum("phone +994501234567"), phone[:]) || !bytes.Equal(sum("email ayla.m@example.com"), email[:]) {
		t.Error("the lookup sums are not those of the page")
	}

	text, err := os.ReadFile(filepath.Join("..", "docs", "PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(text)), "")
	for what, shown := range map[string]string{
		"the key": "key" + hex.EncodeToString(key), "the nonce": "nonce" + hex.EncodeToString(nonce), "the length": "padded" + hex.EncodeToString(plain[:2]) + "65bytes",
		"the name": hex.EncodeToString(plain[2:20]) + "name", "the phone number": hex.EncodeToString(plain[20:35]) + "phone", "the address": hex.EncodeToString(plain[35:55]) + "email",
		"the birthday and the padding": hex.EncodeToString(plain[55:67]) + "birthday" + hex.EncodeToString(plain[67:]), "what is sealed": "sealed" + hex.EncodeToString(b),
		"the lookup key": "lookupkey" + hex.EncodeToString(lookup), "the sum of the phone number": "phone" + hex.EncodeToString(phone[:]), "the sum of the address": "email" + hex.EncodeToString(email[:]),
	} {
		if !strings.Contains(page, shown) {
			t.Errorf("%s is %s, which the page does not show", what, shown)
		}
	}
}

func FuzzOpen(f *testing.F) {
	good := sealed(f, sampleKey, sampleSubject, samplePersonal)
	f.Add(good, sampleSubject)
	f.Add(good[:61], "m-1")
	f.Fuzz(func(t *testing.T, b []byte, subject string) {
		if p, err := protocol.Open(sampleKey, subject, b); err == nil && (subject != sampleSubject || !bytes.Equal(b, good)) {
			t.Fatalf("%x opens for %q as %v", b, subject, fields(p))
		}
	})
}

func FuzzDecodePersonal(f *testing.F) {
	seedGolden(f, "personal")
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := protocol.DecodePersonal(b)
		if err != nil {
			return
		}
		again, err := protocol.EncodePersonal(p)
		if err != nil {
			t.Fatalf("%v does not encode: %v", fields(p), err)
		}
		if got, err := protocol.DecodePersonal(again); err != nil || got != p {
			t.Fatalf("%v comes back as %v (%v)", fields(p), fields(got), err)
		}
	})
}

// TestSealedText seals what was said; it opens for nobody else, and never as
// personal fields, nor these as a text.
func TestSealedText(t *testing.T) {
	for _, text := range []string{"", "x", strings.Repeat("é", protocol.SealedTextMax/2)} {
		b, err := protocol.SealText(sampleKey, sampleSubject, text, counting(0x10))
		if err != nil || len(b) > protocol.SealedTextBytesMax {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if got, err := protocol.OpenText(sampleKey, sampleSubject, b); err != nil || got != text {
			t.Errorf("%q comes back as %q (%v)", text, got, err)
		}
		if _, err := protocol.OpenText(sampleKey, "m-9f3c01a8", b); !errors.Is(err, protocol.ErrSealed) {
			t.Errorf("for another subject: %v", err)
		}
		if _, err := protocol.Open(sampleKey, sampleSubject, b); !errors.Is(err, protocol.ErrSealed) {
			t.Errorf("as personal fields: %v", err)
		}
	}
	if _, err := protocol.OpenText(sampleKey, sampleSubject, sealed(t, sampleKey, sampleSubject, samplePersonal)); !errors.Is(err, protocol.ErrSealed) {
		t.Errorf("personal fields as a text: %v", err)
	}
	if _, err := protocol.SealText(sampleKey, sampleSubject, strings.Repeat("x", protocol.SealedTextMax+1), counting(0x10)); err == nil {
		t.Error("more than a text can be is sealed")
	}
}
