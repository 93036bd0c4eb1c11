package ledger

import (
	"context"
	"strings"
)

// Subjects lists whose keys the ring has, of those whose id begins so, in the order
// of the ids: those behind last, at most limit. It needs no wrap key.
func (r *KeyRing) Subjects(ctx context.Context, begin, last string, limit int) ([]string, error) {
	return r.names(ctx, keyNote, begin, last, limit)
}

// Secrets lists the secrets whose names begin so, as Subjects does.
func (r *KeyRing) Secrets(ctx context.Context, begin, last string, limit int) ([]string, error) {
	return r.names(ctx, secretNote, begin, last, limit)
}

func (r *KeyRing) names(ctx context.Context, kind, begin, last string, limit int) (names []string, err error) {
	prefix := noteKey(kind).ID + sep
	err = r.driver.View(ctx, func(rows Reader) error {
		names = nil
		if limit <= 0 {
			return nil
		}
		return rows.Scan(Notes, prefix+max(begin, last), after(prefix), func(id string, _ []byte) (bool, error) {
			name := strings.Clone(id[len(prefix):])
			if !strings.HasPrefix(name, begin) {
				return false, nil
			}
			if name != last {
				names = append(names, name)
			}
			return len(names) < limit, nil
		})
	})
	return names, err
}

// DropSecrets deletes secrets, and all that follows from them. As after Erase
// nothing of them is in the database's file when it has returned nil.
func (r *KeyRing) DropSecrets(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if r.Locked() {
		return ErrLocked
	}
	return r.change(ctx, func(tx Tx) error {
		rows := []Row{{noteKey(scrubNote), []byte{1}}}
		for _, name := range names {
			rows = append(rows, Row{Key: noteKey(secretNote, name)})
		}
		return tx.Write(rows)
	})
}
