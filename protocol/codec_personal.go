package protocol

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"counterpart/protocol/wire"
)

// PersonalBytesMax bounds an encoded Personal, with the fields of later
// versions that it carries.
const PersonalBytesMax = 2_046

// Bounds of the fields. They are wider than what Personal.Normal lets in, so
// that a later version may allow more and every reader can still show it.
const (
	personNameBytesMax = 256
	phoneBytesMax      = 32
	emailBytesMax      = 254
	birthdayBytesMax   = 32
)

// EncodePersonal writes p for Seal, the same bytes for the same p. Its errors
// never hold what a field says.
func EncodePersonal(p Personal) ([]byte, error) {
	if err := checkPersonal(p); err != nil {
		return nil, fmt.Errorf("encode personal fields: %w", err)
	}
	w := &wire.Personal{Name: p.Name, Phone: p.Phone, Email: p.Email, Birthday: p.Birthday}
	w.ProtoReflect().SetUnknown([]byte(p.later))
	b, err := marshal(w)
	if err == nil && len(b) > PersonalBytesMax {
		err = fmt.Errorf("%d bytes are too large", len(b))
	}
	if err != nil {
		return nil, fmt.Errorf("encode personal fields: %w", err)
	}
	return b, nil
}

// DecodePersonal reads what EncodePersonal wrote. Fields of later versions are
// kept, and written again. Its errors never hold what a field says.
func DecodePersonal(b []byte) (Personal, error) {
	if len(b) > PersonalBytesMax {
		return Personal{}, fmt.Errorf("decode personal fields: %d bytes are too large", len(b))
	}
	var w wire.Personal
	if err := proto.Unmarshal(b, &w); err != nil {
		return Personal{}, fmt.Errorf("decode personal fields: %w", err)
	}
	p := Personal{Name: w.Name, Phone: w.Phone, Email: w.Email, Birthday: w.Birthday, later: string(w.ProtoReflect().GetUnknown())}
	if err := checkPersonal(p); err != nil {
		return Personal{}, fmt.Errorf("decode personal fields: %w", err)
	}
	return p, nil
}

func checkPersonal(p Personal) error {
	switch {
	case !ValidText(p.Name, personNameBytesMax):
		return errors.New("the name is too long or holds control characters")
	case !ValidText(p.Phone, phoneBytesMax):
		return errors.New("the phone number is too long or holds control characters")
	case !ValidText(p.Email, emailBytesMax):
		return errors.New("the e-mail address is too long or holds control characters")
	case !ValidText(p.Birthday, birthdayBytesMax):
		return errors.New("the birthday is too long or holds control characters")
	}
	return nil
}
