package protocol

import "counterpart/protocol/wire"

// The messages that open, keep and end a session.

func encodeHello(m *Hello) *wire.Hello {
	w := &wire.Hello{
		Version: m.Version, Build: m.Build, Nonce: m.Nonce, Capabilities: m.Capabilities,
		Store: string(m.Store), Agent: string(m.Agent), Inc: sent(m.Inc, m.Inc[:]),
		BootId: m.BootID, LastSeq: uint64(m.LastSeq), LastHash: sent(m.LastHash, m.LastHash[:]),
		BaseSeq: uint64(m.BaseSeq), SafeSeen: uint64(m.SafeSeen), Feeds: encodeFeeds(m.Feeds),
		DiskState: m.DiskState, DiskFree: m.DiskFree, ForkCause: m.ForkCause, SeenEpoch: m.SeenEpoch, AckedSeq: uint64(m.AckedSeq),
		Streams: encodeHeads(m.Streams),
	}
	if m.Clock != (Clock{}) {
		w.Clock = &wire.Clock{WallMs: m.Clock.WallMs, MonoMs: m.Clock.MonoMs}
	}
	if m.Parent != nil {
		w.Parent = encodeStreamPos(m.Parent)
	}
	return w
}

func decodeHello(c *check, w *wire.Hello) *Hello {
	m := &Hello{
		Version: w.Version, Build: w.Build, Nonce: w.Nonce, Capabilities: append([]string(nil), w.Capabilities...),
		Store: StoreID(w.Store), Agent: AgentID(w.Agent), Inc: decodeInc(c, w.Inc),
		BootID: w.BootId, LastSeq: Seq(w.LastSeq), LastHash: decodeHash(c, w.LastHash),
		BaseSeq: Seq(w.BaseSeq), SafeSeen: Seq(w.SafeSeen), Feeds: decodeFeeds(w.Feeds),
		Clock:     Clock{WallMs: w.Clock.GetWallMs(), MonoMs: w.Clock.GetMonoMs()},
		DiskState: w.DiskState, DiskFree: w.DiskFree, ForkCause: w.ForkCause, SeenEpoch: w.SeenEpoch, AckedSeq: Seq(w.AckedSeq),
		Streams: decodeHeads(c, w.Streams),
	}
	if w.Parent != nil {
		parent := decodeStreamPos(c, w.Parent)
		m.Parent = &parent
	}
	return m
}

func encodeHeads(heads []StreamHead) []*wire.StreamHead {
	w := list[*wire.StreamHead](len(heads))
	for i := range heads {
		s := &heads[i]
		w[i] = &wire.StreamHead{Agent: string(s.Agent), Inc: sent(s.Inc, s.Inc[:]), Seq: uint64(s.Seq), Hash: sent(s.Hash, s.Hash[:])}
	}
	return w
}

func decodeHeads(c *check, w []*wire.StreamHead) []StreamHead {
	heads := list[StreamHead](len(w))
	for i, s := range w {
		heads[i] = StreamHead{Agent: AgentID(s.Agent), Inc: decodeInc(c, s.Inc), Seq: Seq(s.Seq), Hash: decodeHash(c, s.Hash)}
	}
	return heads
}

func encodeWelcome(m *Welcome) *wire.Welcome {
	w := &wire.Welcome{
		Nonce: m.Nonce, Epoch: m.Epoch, Session: sent(m.Session, m.Session[:]), HubTimeMs: m.HubTimeMs,
		CursorSeq: uint64(m.CursorSeq), CursorHash: sent(m.CursorHash, m.CursorHash[:]), Safe: uint64(m.Safe),
		Window: m.Window, StartAfterMs: m.StartAfterMs, Feeds: list[*wire.FeedVerdict](len(m.Feeds)), Checkpoint: m.Checkpoint,
		LookupKey: sent(m.LookupKey, m.LookupKey[:]),
	}
	for i, f := range m.Feeds {
		w.Feeds[i] = &wire.FeedVerdict{Feed: string(f.Feed), Epoch: f.Epoch, Head: f.Head, Verdict: wire.Verdict(f.Verdict), From: f.From}
	}
	w.Wants = list[*wire.StreamPos](len(m.Wants))
	for i := range m.Wants {
		w.Wants[i] = encodeStreamPos(&m.Wants[i])
	}
	return w
}

func decodeWelcome(c *check, w *wire.Welcome) *Welcome {
	m := &Welcome{
		Nonce: w.Nonce, Epoch: w.Epoch, Session: decodeSession(c, w.Session), HubTimeMs: w.HubTimeMs,
		CursorSeq: Seq(w.CursorSeq), CursorHash: decodeHash(c, w.CursorHash), Safe: Seq(w.Safe),
		Window: w.Window, StartAfterMs: w.StartAfterMs, Feeds: list[FeedVerdict](len(w.Feeds)), Checkpoint: w.Checkpoint,
		LookupKey: LookupKey(secret(c, w.LookupKey, len(LookupKey{}))),
	}
	for i, f := range w.Feeds {
		m.Feeds[i] = FeedVerdict{Feed: FeedID(f.Feed), Epoch: f.Epoch, Head: f.Head, Verdict: Verdict(c.octet("verdict", int32(f.Verdict))), From: f.From}
	}
	m.Wants = list[StreamPos](len(w.Wants))
	for i, p := range w.Wants {
		m.Wants[i] = decodeStreamPos(c, p)
	}
	return m
}

func encodeBeat(m *Beat) *wire.Beat {
	return &wire.Beat{
		Session: sent(m.Session, m.Session[:]), LastSeq: uint64(m.LastSeq), LastHash: sent(m.LastHash, m.LastHash[:]),
		ClockMs: m.ClockMs, Disk: m.Disk, Feeds: encodeFeeds(m.Feeds), Safe: encodeHeads(m.Safe),
	}
}

func decodeBeat(c *check, w *wire.Beat) *Beat {
	return &Beat{
		Session: decodeSession(c, w.Session), LastSeq: Seq(w.LastSeq), LastHash: decodeHash(c, w.LastHash),
		ClockMs: w.ClockMs, Disk: w.Disk, Feeds: decodeFeeds(w.Feeds), Safe: decodeHeads(c, w.Safe),
	}
}

func encodeFence(m *Fence) *wire.Fence {
	return &wire.Fence{
		Session: sent(m.Session, m.Session[:]), Nonce: m.Nonce, Reason: string(m.Reason), Message: m.Message,
		Action: wire.FenceAction(m.Action), RetryAfterMs: m.RetryAfterMs, Fork: m.Fork,
	}
}

func decodeFence(c *check, w *wire.Fence) *Fence {
	return &Fence{
		Session: decodeSession(c, w.Session), Nonce: w.Nonce, Reason: Code(w.Reason), Message: w.Message,
		Action: FenceAction(c.octet("action", int32(w.Action))), RetryAfterMs: w.RetryAfterMs, Fork: w.Fork,
	}
}

func encodeFork(m *Fork) *wire.Fork {
	return &wire.Fork{
		OldInc: sent(m.OldInc, m.OldInc[:]), OldSeq: uint64(m.OldSeq), OldHash: sent(m.OldHash, m.OldHash[:]),
		NewInc: sent(m.NewInc, m.NewInc[:]), Cause: m.Cause,
	}
}

func decodeFork(c *check, w *wire.Fork) *Fork {
	return &Fork{
		OldInc: decodeInc(c, w.OldInc), OldSeq: Seq(w.OldSeq), OldHash: decodeHash(c, w.OldHash),
		NewInc: decodeInc(c, w.NewInc), Cause: w.Cause,
	}
}

func encodeFeeds(feeds []FeedPos) []*wire.FeedPos {
	w := list[*wire.FeedPos](len(feeds))
	for i, f := range feeds {
		w[i] = &wire.FeedPos{Feed: string(f.Feed), Epoch: f.Epoch, Offset: f.Offset}
	}
	return w
}

func decodeFeeds(w []*wire.FeedPos) []FeedPos {
	feeds := list[FeedPos](len(w))
	for i, f := range w {
		feeds[i] = FeedPos{Feed: FeedID(f.Feed), Epoch: f.Epoch, Offset: f.Offset}
	}
	return feeds
}

func decodeSession(c *check, b []byte) Session {
	return Session(fixed(c, "session", b, len(Session{})))
}
func decodeInc(c *check, b []byte) Inc   { return Inc(fixed(c, "inc", b, len(Inc{}))) }
func decodeHash(c *check, b []byte) Hash { return Hash(fixed(c, "hash", b, len(Hash{}))) }

// octet checks an enum that lives in a byte. Numbers that are not known pass:
// the receiver does what is safest.
func (c *check) octet(what string, n int32) uint8 {
	if n < 0 || n > 255 {
		c.failf("%s %d is out of range", what, n)
		return 0
	}
	return uint8(n)
}

// secret is fixed for a key, of which an error repeats nothing.
func secret(c *check, b []byte, n int) []byte {
	if len(b) == n {
		return b
	}
	if len(b) > 0 {
		c.failf("a key of %d bytes is not %d bytes", len(b), n)
	}
	return make([]byte, n)
}
