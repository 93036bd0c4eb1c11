package ledger

// Kept is how many keys are in memory.
func (r *KeyRing) Kept() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.cache.young) + len(r.cache.old)
}
