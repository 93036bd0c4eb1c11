package bolt

// BreakDisk takes the file away below bbolt, so that the next commit fails as
// it does on a disk that is gone.
func (db *DB) BreakDisk() { _ = db.handle.file.Close() }

// Written is how many pages bbolt has written, and in how many transactions.
func (db *DB) Written() (pages, transactions int64) {
	s := db.handle.bolt.Stats().TxStats
	return s.GetWrite(), db.commits.Load()
}
