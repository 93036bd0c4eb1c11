package floor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	bbolt "go.etcd.io/bbolt"
)

// A Row is one put.
type Row struct{ Bucket, Key, Value []byte }

// A Store is a bare bbolt file.
type Store struct {
	db     *bbolt.DB
	levels map[string]int64
}

// Open opens a file and makes it first where there is none.
func Open(path string, buckets ...string) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	db.MaxBatchSize, db.MaxBatchDelay = 8, 300*time.Microsecond
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	return &Store{db: db, levels: map[string]int64{}}, err
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Update puts rows in a transaction of their own.
func (s *Store) Update(rows []Row) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return put(tx, rows) })
}

// Share has Batch take as many callers into one transaction, in place of eight.
func (s *Store) Share(callers int) { s.db.MaxBatchSize = callers }

// Batch puts rows in a transaction that several callers share.
func (s *Store) Batch(rows []Row) error {
	return s.db.Batch(func(tx *bbolt.Tx) error { return put(tx, rows) })
}

func put(tx *bbolt.Tx, rows []Row) error {
	for i := range rows {
		if err := tx.Bucket(rows[i].Bucket).Put(rows[i].Key, rows[i].Value); err != nil {
			return err
		}
	}
	return nil
}

// The buckets of the floors that sell.
const (
	salesBucket  = "sales"
	levelsBucket = "levels"
)

func openSales(path string) (*Store, error) { return Open(path, salesBucket, levelsBucket) }

// keep writes sales in one transaction, each once, with three puts of levels
// each. It returns how many were new.
func (s *Store) keep(sales []Sale, texts [][]byte) (int, error) {
	fresh := 0
	err := s.db.Update(func(tx *bbolt.Tx) error {
		events, levels := tx.Bucket([]byte(salesBucket)), tx.Bucket([]byte(levelsBucket))
		for i := range sales {
			sale := &sales[i]
			key := fmt.Appendf(nil, "%s/%s/%010d", sale.Store, sale.Till, sale.Seq)
			if events.Get(key) != nil {
				continue
			}
			fresh++
			if err := events.Put(key, texts[i]); err != nil {
				return err
			}
			for _, line := range sale.Lines {
				name := sale.Store + "/" + line.SKU
				s.levels[name] -= line.Quantity
				if err := levels.Put([]byte(name), binary.BigEndian.AppendUint64(nil, uint64(s.levels[name]))); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return fresh, err
}

// fill makes an outbox of n sales and makes it durable.
func (s *Store) fill(store string, n int) error {
	const chunk = 5_000
	for from := 1; from <= n; from += chunk {
		err := s.db.Update(func(tx *bbolt.Tx) error {
			events := tx.Bucket([]byte(salesBucket))
			for i := from; i < min(from+chunk, n+1); i++ {
				sale := NewSale(store, i)
				text, err := sale.JSON()
				if err != nil {
					return err
				}
				if err := events.Put(binary.BigEndian.AppendUint64(nil, uint64(i)), text); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// outbox reads up to FrameSales sales behind a number.
func (s *Store) outbox(after uint64) (sales [][]byte, last uint64, err error) {
	last = after
	err = s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(salesBucket)).Cursor()
		k, v := c.Seek(binary.BigEndian.AppendUint64(nil, after+1))
		for ; k != nil && len(sales) < FrameSales; k, v = c.Next() {
			sales = append(sales, append([]byte(nil), v...))
			last = binary.BigEndian.Uint64(k)
		}
		return nil
	})
	return sales, last, err
}

// Rows are a database and what each of some sales then puts into it.
type Rows struct {
	Content []Row
	Sales   [][]Row
}

// Load opens a file with the rows' content.
func (r *Rows) Load(path string) (*Store, error) {
	names := map[string]bool{}
	for i := range r.Content {
		names[string(r.Content[i].Bucket)] = true
	}
	for i := range r.Sales {
		for j := range r.Sales[i] {
			names[string(r.Sales[i][j].Bucket)] = true
		}
	}
	s, err := Open(path, slices.Collect(maps.Keys(names))...)
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(r.Content, 5_000) {
		if err := s.Update(chunk); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// Get reads one value in a transaction of its own and returns its length.
func (s *Store) Get(bucket, key []byte) (int, error) {
	n := 0
	err := s.db.View(func(tx *bbolt.Tx) error {
		n = len(tx.Bucket(bucket).Get(key))
		return nil
	})
	return n, err
}
