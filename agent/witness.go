package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// witness is what this machine last saw in its database, kept in a file of its
// own. A database that does not contain it was rolled back, or replaced by a
// copy; a witness of another machine means that the whole folder was copied.
// Older than the database it says nothing, so it need not be synced.
type witness struct {
	Inc     string       `json:"inc"`
	Seq     protocol.Seq `json:"seq"`
	Hash    string       `json:"hash"`
	Machine string       `json:"machine,omitempty"`
}

const (
	witnessFile  = "witness.json"
	witnessEvery = 2 * time.Second
)

// readWitness reads what was seen; nothing, where there is no readable file.
func readWitness(dir string) *witness {
	b, err := os.ReadFile(filepath.Join(dir, witnessFile))
	if err != nil {
		return nil
	}
	w := &witness{}
	if json.Unmarshal(b, w) != nil || w.Inc == "" {
		return nil
	}
	return w
}

// contradicts says in which way a database is not the one that was seen; empty
// where it may be.
func (w *witness) contradicts(r ledger.Reader, o protocol.Origin) (why string, err error) {
	if w == nil {
		return "", nil
	}
	if here := machine(); w.Machine != "" && here != "" && w.Machine != here {
		return "it was written on another machine", nil
	}
	seen, err := protocol.ParseInc(w.Inc)
	if err != nil {
		return "", nil // An unreadable witness says nothing.
	}
	o.Inc = seen
	s, err := ledger.ReadStream(r, o)
	if err != nil {
		return "", err
	}
	present, err := ledger.Writer(r)
	switch {
	case err != nil:
		return "", err
	case seen != present && s.Seq == 0 && w.Seq > 0:
		return "it does not know the stream that was written last", nil
	case seen != present:
		// The witness is older than a fork.
		return "", nil
	case s.Seq < w.Seq:
		return "it is older than what was written last", nil
	case w.Seq == 0:
		return "", nil
	}
	hash, ok, err := ledger.HashAt(r, protocol.EventID{Inc: seen, Seq: w.Seq})
	if err == nil && ok && hash.String() != w.Hash {
		why = "it holds other events than were written last"
	}
	return why, err
}

// machine identifies this computer, as far as its system tells; two copies of
// one disk image on two machines have two.
var machine = sync.OnceValue(func() string {
	h := sha256.New()
	known := false
	for _, name := range []string{"/etc/machine-id", "/sys/class/dmi/id/product_uuid"} {
		if b, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(b)) != "" {
			known = true
			h.Write([]byte(name + "\n" + strings.TrimSpace(string(b)) + "\n"))
		}
	}
	if !known {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
})

// keepWitness writes down every few seconds, and at the end, what the database
// holds.
func (a *Agent) keepWitness(ctx context.Context) error {
	ticker := time.NewTicker(witnessEvery)
	defer ticker.Stop()
	var last witness
	var trouble string
	for {
		w, err := a.see(context.WithoutCancel(ctx))
		if err == nil && w != last {
			err = w.write(a.cfg.Data)
		}
		switch {
		case err == nil:
			last, trouble = w, ""
		case err.Error() != trouble:
			trouble = err.Error()
			a.log.Warn("witness not written", "error", err)
		}
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// see reads the last committed event. It never runs ahead of the database.
func (a *Agent) see(ctx context.Context) (w witness, err error) {
	err = a.db.View(ctx, func(r ledger.Reader) error {
		inc, err := ledger.Writer(r)
		if err != nil {
			return err
		}
		s, err := ledger.ReadStream(r, a.originOf(inc))
		w = witness{Inc: inc.String(), Seq: s.Seq, Hash: s.Hash.String(), Machine: machine()}
		return err
	})
	return w, err
}

func (w witness) write(dir string) error {
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, witnessFile)
	if err := os.WriteFile(name+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
