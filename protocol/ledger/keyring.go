package ledger

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"counterpart/protocol"
)

var (
	// ErrLocked is returned for keys that were stored under another wrap key.
	ErrLocked = errors.New("ledger: the key ring is locked: it was written under another wrap key")
	// ErrOtherKey is returned by Put for a subject that has another key already.
	ErrOtherKey = errors.New("ledger: the subject has another key already")
)

// KeyRing keeps the keys of people, and who was erased, in a database of its
// own, so that a backup of all else holds nobody's key. It uses Notes only.
//
// Keys lie there wrapped: encrypted with a key that is not in the file. A ring
// that is opened with another wrap key than it was written with is locked: it
// knows who was erased, and nothing else. The next key or secret that is stored
// begins it anew, because on a machine that only holds copies they come again.
// Whoever holds the only copy must look at Locked first.
//
// Its methods may be called at the same time.
type KeyRing struct {
	driver Scrubber
	wrap   cipher.AEAD
	random func([]byte)

	// writing is held by whoever changes the ring, and random is called below it
	// only.
	writing sync.Mutex

	mu     sync.Mutex // guards what is below
	locked bool
	cache  keyCache
}

// Scrubber is a Driver that can make sure that what was deleted is gone. A
// wrapper that could not would silently keep the keys of who was erased.
type Scrubber interface {
	Driver
	// Scrub overwrites all that the last committed state does not consist of. It
	// waits for calls that run, and must not be called from within one.
	Scrub(ctx context.Context) error
}

// The rows of a ring.
const (
	ringNote   = "ring"   // tells the wrap key
	keyNote    = "key"    // by subject: the wrapped key
	secretNote = "secret" // by name: the wrapped secret
	erasedNote = "erased" // by subject: that it was erased
	scrubNote  = "scrub"  // something was deleted that may still be in the file
)

const (
	wrapVersion    = 1
	wrapNonceBytes = 12
	secretBytesMax = 4_096
)

// MachineWrapKey makes a wrap key that follows from the machine and from a file
// beside the ring, so that neither a copy of the ring alone nor a copy of the
// folder on another machine opens. salt is random and kept in that file.
func MachineWrapKey(machineID, salt []byte) (key [32]byte) {
	b, err := hkdf.Key(sha256.New, machineID, salt, "counterpart/1 key ring", len(key))
	if err != nil {
		panic(err) // Only a key of more than 255 hashes is refused.
	}
	copy(key[:], b)
	return key
}

// OpenKeyRing opens the ring in a database of its own, which the caller closes
// after the last call. random fills its argument with random bytes. An erasure
// that a crash has cut short is completed.
func OpenKeyRing(ctx context.Context, driver Scrubber, wrap [32]byte, random func([]byte)) (*KeyRing, error) {
	block, err := aes.NewCipher(wrap[:])
	if err != nil {
		return nil, err
	}
	r := &KeyRing{driver: driver, random: random}
	if r.wrap, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	unscrubbed := false
	err = driver.View(ctx, func(rows Reader) error {
		values, err := rows.Load([]Key{noteKey(ringNote), noteKey(scrubNote)})
		if err != nil {
			return err
		}
		unscrubbed = values[1] != nil
		r.locked, err = r.isOther(values[0])
		return err
	})
	if err == nil && unscrubbed {
		err = r.scrub(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open the key ring: %w", err)
	}
	return r, nil
}

// isOther tells from the ring's row whether it was written under another wrap
// key. A ring without the row is new.
func (r *KeyRing) isOther(row []byte) (bool, error) {
	if row == nil {
		return false, nil
	}
	if len(row) > 0 && row[0] > wrapVersion {
		return false, errors.New("a newer release has written it")
	}
	_, err := r.unwrapped(row, ringNote, "")
	return err != nil, nil
}

// Locked tells whether the ring was written under another wrap key and holds
// keys that cannot be read.
func (r *KeyRing) Locked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.locked
}

// Key reads the key of a subject, if the ring has one.
func (r *KeyRing) Key(ctx context.Context, subject string) (protocol.SubjectKey, bool, error) {
	keys, err := r.Keys(ctx, []string{subject})
	key, ok := keys[subject]
	return key, ok, err
}

// Keys reads the keys of subjects; those that the ring does not have are left
// out.
func (r *KeyRing) Keys(ctx context.Context, subjects []string) (map[string]protocol.SubjectKey, error) {
	found := make(map[string]protocol.SubjectKey, len(subjects))
	r.mu.Lock()
	locked, erasures := r.locked, r.cache.erasures
	missing := r.cache.take(subjects, found)
	r.mu.Unlock()
	if locked {
		return nil, ErrLocked
	}
	if len(missing) == 0 {
		return found, nil
	}
	read := make(map[string]protocol.SubjectKey, len(missing))
	err := r.driver.View(ctx, func(rows Reader) error {
		values, err := rows.Load(ringKeys(keyNote, missing))
		if err != nil {
			return err
		}
		for i, value := range values {
			if value == nil {
				continue
			}
			if read[missing[i]], err = r.subjectKey(value, missing[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cache.erasures == erasures {
		// Otherwise one of them may have been erased since it was read.
		r.cache.put(read)
	}
	maps.Copy(found, read)
	return found, nil
}

// Put stores keys, all or none. Who was erased gets no key again and is passed
// over. A subject keeps its key: another one is refused with ErrOtherKey.
func (r *KeyRing) Put(ctx context.Context, keys map[string]protocol.SubjectKey) error {
	subjects := slices.Sorted(maps.Keys(keys))
	for _, s := range subjects {
		if !protocol.ValidID(s) || keys[s].IsZero() {
			return errors.New("ledger: a key without a subject, or a subject without a key")
		}
	}
	return r.change(ctx, func(tx Tx) error {
		values, err := tx.Load(slices.Concat(ringKeys(keyNote, subjects), ringKeys(erasedNote, subjects)))
		if err != nil {
			return err
		}
		var rows []Row
		for i, s := range subjects {
			if values[len(subjects)+i] != nil {
				continue
			}
			key := keys[s]
			if values[i] == nil {
				rows = append(rows, Row{noteKey(keyNote, s), r.wrapped(key[:], keyNote, s)})
				continue
			}
			have, err := r.subjectKey(values[i], s)
			if err == nil && have != key {
				err = fmt.Errorf("%s: %w", s, ErrOtherKey)
			}
			if err != nil {
				return err
			}
		}
		if len(rows) == 0 {
			return nil
		}
		return tx.Write(rows)
	})
}

// Secret reads a secret of the chain, such as its lookup key.
func (r *KeyRing) Secret(ctx context.Context, name string) (secret []byte, ok bool, err error) {
	if r.Locked() {
		return nil, false, ErrLocked
	}
	err = r.driver.View(ctx, func(rows Reader) error {
		value, err := Note(rows, secretNote, name)
		if err != nil || value == nil {
			return err
		}
		secret, err = r.unwrapped(value, secretNote, name)
		ok = err == nil
		return err
	})
	return secret, ok, err
}

// SetSecret stores a secret of the chain in the place of the one before.
func (r *KeyRing) SetSecret(ctx context.Context, name string, secret []byte) error {
	if !protocol.ValidID(name) || len(secret) == 0 || len(secret) > secretBytesMax {
		return errors.New("ledger: a secret without a name or content, or too large")
	}
	return r.change(ctx, func(tx Tx) error {
		value, err := Note(tx, secretNote, name)
		if err != nil {
			return err
		}
		if value != nil {
			have, err := r.unwrapped(value, secretNote, name)
			if err == nil && string(have) == string(secret) {
				return nil
			}
			if err := SetNote(tx, []byte{1}, scrubNote); err != nil {
				return err
			}
		}
		return SetNote(tx, r.wrapped(secret, secretNote, name), secretNote, name)
	})
}

// Erase deletes the keys of subjects, and notes that they were erased, all or
// none. When it has returned nil, nothing of a key is in the database's file
// any more, as far as the driver can see to that. After an error it is to be
// called again; a start in between completes what was begun.
func (r *KeyRing) Erase(ctx context.Context, subjects []string) error {
	return r.drop(ctx, subjects, true)
}

// Forget deletes the keys of subjects as Erase does, but does not note that they
// were erased: a machine that no longer needs a key may get it again.
func (r *KeyRing) Forget(ctx context.Context, subjects []string) error {
	return r.drop(ctx, subjects, false)
}

func (r *KeyRing) drop(ctx context.Context, subjects []string, forGood bool) error {
	for _, s := range subjects {
		if !protocol.ValidID(s) {
			return errors.New("ledger: what is to be erased is no subject")
		}
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	unscrubbed := false
	err := r.driver.Update(ctx, func(tx Tx) error {
		rows := []Row{{noteKey(scrubNote), []byte{1}}}
		values, err := tx.Load(slices.Concat([]Key{rows[0].Key}, ringKeys(keyNote, subjects), ringKeys(erasedNote, subjects)))
		if err != nil {
			return err
		}
		unscrubbed = values[0] != nil
		known, erased := values[1:1+len(subjects)], values[1+len(subjects):]
		stays := true
		for i, s := range subjects {
			if known[i] != nil {
				rows = append(rows, Row{Key: noteKey(keyNote, s)})
				stays, unscrubbed = false, true
			}
			if erased[i] == nil && forGood {
				rows = append(rows, Row{noteKey(erasedNote, s), []byte{1}})
			}
		}
		if stays {
			rows = rows[1:]
		}
		if len(rows) == 0 {
			return nil
		}
		return tx.Write(rows)
	})
	// Also after an error: it may have been committed all the same.
	r.mu.Lock()
	r.cache.forget()
	r.mu.Unlock()
	if err == nil && unscrubbed {
		err = r.scrub(ctx)
	}
	return err
}

// Erased lists who was erased, in the order of the ids: those behind last, at
// most limit.
func (r *KeyRing) Erased(ctx context.Context, last string, limit int) (subjects []string, err error) {
	prefix := noteKey(erasedNote).ID + sep
	err = r.driver.View(ctx, func(rows Reader) error {
		if limit <= 0 {
			return nil
		}
		return rows.Scan(Notes, prefix+last, after(prefix), func(id string, _ []byte) (bool, error) {
			if s := id[len(prefix):]; s != last {
				subjects = append(subjects, s)
			}
			return len(subjects) < limit, nil
		})
	})
	return subjects, err
}

// IsErased tells whether a subject was erased.
func (r *KeyRing) IsErased(ctx context.Context, subject string) (erased bool, err error) {
	err = r.driver.View(ctx, func(rows Reader) error {
		value, err := Note(rows, erasedNote, subject)
		erased = value != nil
		return err
	})
	return erased, err
}

// change stores keys or secrets in one transaction. A locked ring is begun anew
// in it.
func (r *KeyRing) change(ctx context.Context, fn func(Tx) error) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	unscrubbed := false
	err := r.driver.Update(ctx, func(tx Tx) error {
		if err := r.begin(tx); err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		mark, err := Note(tx, scrubNote)
		unscrubbed = mark != nil
		return err
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.locked = false
	r.mu.Unlock()
	if unscrubbed {
		return r.scrub(ctx)
	}
	return nil
}

// begin writes which wrap key the ring is under. What lies there under another
// one is deleted; who was erased stays erased.
func (r *KeyRing) begin(tx Tx) error {
	row, err := Note(tx, ringNote)
	if err != nil {
		return err
	}
	other, err := r.isOther(row)
	if err != nil || row != nil && !other {
		return err
	}
	var rows []Row
	for _, kind := range []string{keyNote, secretNote} {
		err := ScanNotes(tx, []string{kind}, func(names []string, _ []byte) (bool, error) {
			rows = append(rows, Row{Key: noteKey(append([]string{kind}, names...)...)})
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	if len(rows) > 0 {
		rows = append(rows, Row{noteKey(scrubNote), []byte{1}})
	}
	return tx.Write(append(rows, Row{noteKey(ringNote), r.wrapped([]byte(ringNote), ringNote, "")}))
}

// scrub overwrites what was deleted. A mark that stays for want of room only
// costs doing it again.
func (r *KeyRing) scrub(ctx context.Context) error {
	if err := r.driver.Scrub(ctx); err != nil {
		return err
	}
	err := r.driver.Update(ctx, func(tx Tx) error { return SetNote(tx, nil, scrubNote) })
	if protocol.CodeOf(err) == protocol.DiskFull {
		return nil
	}
	return err
}

func ringKeys(kind string, names []string) []Key {
	keys := make([]Key, len(names))
	for i, name := range names {
		keys[i] = noteKey(kind, name)
	}
	return keys
}

// wrapped encrypts a key or secret for the row of this name.
func (r *KeyRing) wrapped(plain []byte, kind, name string) []byte {
	b := make([]byte, 1+wrapNonceBytes, 1+wrapNonceBytes+len(plain)+r.wrap.Overhead())
	b[0] = wrapVersion
	nonce := b[1:]
	r.random(nonce)
	return r.wrap.Seal(b, nonce, plain, wrappedFor(kind, name))
}

// unwrapped is the inverse of wrapped.
func (r *KeyRing) unwrapped(b []byte, kind, name string) ([]byte, error) {
	if len(b) > wrapNonceBytes && b[0] == wrapVersion {
		if plain, err := r.wrap.Open(nil, b[1:1+wrapNonceBytes], b[1+wrapNonceBytes:], wrappedFor(kind, name)); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("ledger: the key ring's row %s %s is damaged", kind, name)
}

func wrappedFor(kind, name string) []byte {
	return []byte("counterpart/1 " + ringNote + " " + kind + " " + name)
}

func (r *KeyRing) subjectKey(b []byte, subject string) (key protocol.SubjectKey, err error) {
	plain, err := r.unwrapped(b, keyNote, subject)
	if err == nil && len(plain) != len(key) {
		err = fmt.Errorf("ledger: the key of %s has %d bytes", subject, len(plain))
	}
	copy(key[:], plain)
	return key, err
}
