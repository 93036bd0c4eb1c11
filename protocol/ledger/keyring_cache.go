package ledger

import "counterpart/protocol"

// keysKept bounds the keys in memory.
const keysKept = 10_000

// keyCache remembers keys that were read lately. It has two halves: when the
// young one is full it becomes the old one, and what was not asked for since is
// forgotten with the old one of before.
type keyCache struct {
	young, old map[string]protocol.SubjectKey
	erasures   uint64 // how often all was forgotten
}

// take puts the keys that are known into found and returns whose are not.
func (c *keyCache) take(subjects []string, found map[string]protocol.SubjectKey) (missing []string) {
	for _, s := range subjects {
		key, ok := c.young[s]
		if !ok {
			if key, ok = c.old[s]; ok {
				c.add(s, key)
			}
		}
		if ok {
			found[s] = key
		} else {
			missing = append(missing, s)
		}
	}
	return missing
}

func (c *keyCache) put(keys map[string]protocol.SubjectKey) {
	for s, key := range keys {
		c.add(s, key)
	}
}

func (c *keyCache) add(subject string, key protocol.SubjectKey) {
	if c.young == nil || len(c.young) >= keysKept/2 {
		c.old, c.young = c.young, make(map[string]protocol.SubjectKey)
	}
	c.young[subject] = key
}

// forget empties the cache, and whoever reads rows meanwhile will not fill it
// with them.
func (c *keyCache) forget() {
	clear(c.young)
	clear(c.old)
	c.erasures++
}
