package protocol

import "counterpart/protocol/wire"

// The messages that carry events, feeds and what repairs them.

func encodeBatch(m *Batch) *wire.Batch {
	return &wire.Batch{
		Session: sent(m.Session, m.Session[:]), Inc: sent(m.Inc, m.Inc[:]), FirstSeq: uint64(m.FirstSeq),
		PrevHash: sent(m.PrevHash, m.PrevHash[:]), Count: m.Count, Checksum: m.Checksum, Frame: m.Frame,
		Keys: encodeMemberKeys(m.Keys),
	}
}

func decodeBatch(c *check, w *wire.Batch) *Batch {
	return &Batch{
		Session: decodeSession(c, w.Session), Inc: decodeInc(c, w.Inc), FirstSeq: Seq(w.FirstSeq),
		PrevHash: decodeHash(c, w.PrevHash), Count: w.Count, Checksum: w.Checksum, Frame: orNil(w.Frame),
		Keys: decodeMemberKeys(c, w.Keys),
	}
}

func encodeMemberKeys(keys []MemberKey) []*wire.MemberKey {
	w := list[*wire.MemberKey](len(keys))
	for i := range keys {
		w[i] = &wire.MemberKey{Member: string(keys[i].Member), Key: sent(keys[i].Key, keys[i].Key[:])}
	}
	return w
}

func decodeMemberKeys(c *check, w []*wire.MemberKey) []MemberKey {
	keys := list[MemberKey](len(w))
	for i, k := range w {
		keys[i] = MemberKey{Member: MemberID(k.Member), Key: SubjectKey(secret(c, k.Key, len(SubjectKey{})))}
	}
	return keys
}

func encodeAck(m *Ack) *wire.Ack {
	return &wire.Ack{
		Session: sent(m.Session, m.Session[:]), Inc: sent(m.Inc, m.Inc[:]), Seq: uint64(m.Seq),
		Hash: sent(m.Hash, m.Hash[:]), Safe: uint64(m.Safe), Credit: m.Credit, Own: encodeOwnRun(m.Own),
	}
}

func encodeOwnRun(r *OwnRun) *wire.OwnRun {
	if r == nil {
		return nil
	}
	return &wire.OwnRun{Feed: string(r.Feed), Epoch: r.Epoch, After: r.After, Upto: r.Upto}
}

func decodeOwnRun(w *wire.OwnRun) *OwnRun {
	if w == nil {
		return nil
	}
	return &OwnRun{Feed: FeedID(w.Feed), Epoch: w.Epoch, After: w.After, Upto: w.Upto}
}

func decodeAck(c *check, w *wire.Ack) *Ack {
	return &Ack{
		Session: decodeSession(c, w.Session), Inc: decodeInc(c, w.Inc), Seq: Seq(w.Seq),
		Hash: decodeHash(c, w.Hash), Safe: Seq(w.Safe), Credit: w.Credit, Own: decodeOwnRun(w.Own),
	}
}

func encodeNack(m *Nack) *wire.Nack {
	return &wire.Nack{Session: sent(m.Session, m.Session[:]), Inc: sent(m.Inc, m.Inc[:]), Want: uint64(m.Want), Reason: m.Reason}
}

func decodeNack(c *check, w *wire.Nack) *Nack {
	return &Nack{Session: decodeSession(c, w.Session), Inc: decodeInc(c, w.Inc), Want: Seq(w.Want), Reason: w.Reason}
}

func encodeDelta(m *Delta) *wire.Delta {
	w := &wire.Delta{
		Session: sent(m.Session, m.Session[:]), Feed: string(m.Feed), Epoch: m.Epoch, After: m.After, Upto: m.Upto,
		Rows: list[*wire.FeedRow](len(m.Rows)), Events: list[*wire.PeerEvents](len(m.Events)), Keys: list[*wire.SubjectKey](len(m.Keys)),
	}
	for i := range m.Keys {
		w.Keys[i] = &wire.SubjectKey{Subject: m.Keys[i].Subject, Key: sent(m.Keys[i].Key, m.Keys[i].Key[:])}
	}
	for i, row := range m.Rows {
		w.Rows[i] = &wire.FeedRow{Offset: row.Offset, Key: row.Key, Value: row.Value, SubjectKey: sent(row.SubjectKey, m.Rows[i].SubjectKey[:])}
	}
	for i := range m.Events {
		e := &m.Events[i]
		w.Events[i] = &wire.PeerEvents{
			Store: string(e.Origin.Store), Agent: string(e.Origin.Agent), Inc: sent(e.Origin.Inc, e.Origin.Inc[:]),
			FirstSeq: uint64(e.FirstSeq), PrevHash: sent(e.PrevHash, e.PrevHash[:]), Count: e.Count, Frame: e.Frame,
		}
	}
	return w
}

func decodeDelta(c *check, w *wire.Delta) *Delta {
	m := &Delta{
		Session: decodeSession(c, w.Session), Feed: FeedID(w.Feed), Epoch: w.Epoch, After: w.After, Upto: w.Upto,
		Rows: list[FeedRow](len(w.Rows)), Events: list[PeerEvents](len(w.Events)), Keys: list[SealKey](len(w.Keys)),
	}
	for i, k := range w.Keys {
		m.Keys[i] = SealKey{Subject: k.Subject, Key: SubjectKey(secret(c, k.Key, len(SubjectKey{})))}
	}
	for i, row := range w.Rows {
		m.Rows[i] = FeedRow{
			Offset: row.Offset, Key: row.Key, Value: orNil(row.Value), SubjectKey: SubjectKey(secret(c, row.SubjectKey, len(SubjectKey{}))),
		}
	}
	for i, e := range w.Events {
		m.Events[i] = PeerEvents{
			Origin:   Origin{Store: StoreID(e.Store), Agent: AgentID(e.Agent), Inc: decodeInc(c, e.Inc)},
			FirstSeq: Seq(e.FirstSeq), PrevHash: decodeHash(c, e.PrevHash), Count: e.Count, Frame: orNil(e.Frame),
		}
	}
	return m
}

func encodeDack(m *Dack) *wire.Dack {
	return &wire.Dack{
		Session: sent(m.Session, m.Session[:]), Feed: string(m.Feed), Epoch: m.Epoch, Offset: m.Offset, Credit: m.Credit, Again: m.Again,
	}
}

func decodeDack(c *check, w *wire.Dack) *Dack {
	return &Dack{Session: decodeSession(c, w.Session), Feed: FeedID(w.Feed), Epoch: w.Epoch, Offset: w.Offset, Credit: w.Credit, Again: w.Again}
}

func encodeCmd(m *Cmd) *wire.Cmd {
	return &wire.Cmd{Session: sent(m.Session, m.Session[:]), Id: m.ID, Kind: m.Kind, Body: m.Body}
}

func decodeCmd(c *check, w *wire.Cmd) *Cmd {
	return &Cmd{Session: decodeSession(c, w.Session), ID: w.Id, Kind: w.Kind, Body: orNil(w.Body)}
}

func encodeDigest(m *Digest) *wire.Digest {
	return &wire.Digest{
		Session: sent(m.Session, m.Session[:]), Inc: sent(m.Inc, m.Inc[:]), Seq: uint64(m.Seq), Kind: m.Kind, Buckets: m.Buckets,
	}
}

func decodeDigest(c *check, w *wire.Digest) *Digest {
	return &Digest{
		Session: decodeSession(c, w.Session), Inc: decodeInc(c, w.Inc), Seq: Seq(w.Seq), Kind: w.Kind, Buckets: orNil(w.Buckets),
	}
}

func encodeDiff(m *Diff) *wire.Diff {
	return &wire.Diff{Session: sent(m.Session, m.Session[:]), Kind: m.Kind, Buckets: m.Buckets}
}

func decodeDiff(c *check, w *wire.Diff) *Diff {
	return &Diff{Session: decodeSession(c, w.Session), Kind: w.Kind, Buckets: append([]uint32(nil), w.Buckets...)}
}

func encodeCheckpoint(m *Checkpoint) *wire.Checkpoint {
	return &wire.Checkpoint{
		Session: sent(m.Session, m.Session[:]), Inc: sent(m.Inc, m.Inc[:]), Seq: uint64(m.Seq),
		Hash: sent(m.Hash, m.Hash[:]), State: m.State, Part: m.Part, Parts: m.Parts,
	}
}

func decodeCheckpoint(c *check, w *wire.Checkpoint) *Checkpoint {
	return &Checkpoint{
		Session: decodeSession(c, w.Session), Inc: decodeInc(c, w.Inc), Seq: Seq(w.Seq),
		Hash: decodeHash(c, w.Hash), State: orNil(w.State), Part: w.Part, Parts: w.Parts,
	}
}

// orNil makes nothing of empty bytes.
func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
