package protocol_test

import (
	"pgregory.net/rapid"

	"counterpart/protocol"
)

func seq(t *rapid.T, what string) protocol.Seq { return protocol.Seq(rapid.Uint64().Draw(t, what)) }

// genMessage draws a message of any type.
var genMessage = rapid.Custom(func(t *rapid.T) protocol.Message {
	kinds := []func(*rapid.T) protocol.Message{
		drawHello, drawWelcome, drawBatch, drawAck, drawNack, drawBeat, drawFence,
		drawFork, drawDelta, drawDack, drawCmd, drawDigest, drawDiff, drawCheckpoint,
	}
	return kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "type")](t)
})

func drawHello(t *rapid.T) protocol.Message {
	return &protocol.Hello{
		Version: rapid.Uint32().Draw(t, "version"), Build: text(t, "build"), Nonce: rapid.Uint64().Draw(t, "nonce"),
		Capabilities: few(t, "capabilities", genText, 3), Store: protocol.StoreID(genID.Draw(t, "store")),
		Agent: protocol.AgentID(genID.Draw(t, "agent")), Inc: genInc.Draw(t, "inc"), Parent: pointer(t, "parent", genStreamPos),
		BootID: rapid.Uint64().Draw(t, "boot"), LastSeq: seq(t, "last"), LastHash: genHash.Draw(t, "hash"),
		BaseSeq: seq(t, "base"), SafeSeen: seq(t, "safe"), Feeds: few(t, "feeds", genFeedPos, 3),
		Clock: orNone(t, "clock", genClock), DiskState: text(t, "disk"), DiskFree: rapid.Uint64().Draw(t, "free"),
		ForkCause: text(t, "cause"), SeenEpoch: rapid.Uint64().Draw(t, "seen epoch"), AckedSeq: seq(t, "acked"),
		Streams: few(t, "streams", genStreamHead, 3),
	}
}

var genStreamHead = rapid.Custom(func(t *rapid.T) protocol.StreamHead {
	return protocol.StreamHead{Agent: protocol.AgentID(genID.Draw(t, "agent")), Inc: genInc.Draw(t, "inc"), Seq: seq(t, "seq"), Hash: genHash.Draw(t, "hash")}
})

func drawWelcome(t *rapid.T) protocol.Message {
	return &protocol.Welcome{
		Nonce: rapid.Uint64().Draw(t, "nonce"), Epoch: rapid.Uint64().Draw(t, "epoch"), Session: genSession.Draw(t, "session"),
		HubTimeMs: rapid.Int64().Draw(t, "time"), CursorSeq: seq(t, "cursor"), CursorHash: genHash.Draw(t, "hash"), Safe: seq(t, "safe"),
		Window: rapid.Uint32().Draw(t, "window"), StartAfterMs: rapid.Uint32().Draw(t, "start"),
		Feeds: few(t, "feeds", rapid.Custom(func(t *rapid.T) protocol.FeedVerdict {
			return protocol.FeedVerdict{
				Feed: genFeedID.Draw(t, "feed"), Epoch: rapid.Uint64().Draw(t, "epoch"), Head: rapid.Uint64().Draw(t, "head"),
				Verdict: protocol.Verdict(rapid.Byte().Draw(t, "verdict")), From: rapid.Uint64().Draw(t, "from"),
			}
		}), 3),
		Wants: few(t, "wants", genStreamPos, 3), Checkpoint: rapid.Bool().Draw(t, "checkpoint"),
		LookupKey: protocol.LookupKey(orNone(t, "lookup key", genHash)),
	}
}

func drawBatch(t *rapid.T) protocol.Message {
	return &protocol.Batch{
		Session: genSession.Draw(t, "session"), Inc: genInc.Draw(t, "inc"), FirstSeq: seq(t, "first"), PrevHash: genHash.Draw(t, "hash"),
		Count: rapid.Uint32Range(1, protocol.FrameEventsMax).Draw(t, "count"), Checksum: rapid.Uint32().Draw(t, "sum"), Frame: genBytes.Draw(t, "frame"),
		Keys: few(t, "keys", rapid.Custom(func(t *rapid.T) protocol.MemberKey {
			return protocol.MemberKey{Member: protocol.MemberID(genID.Draw(t, "member")), Key: protocol.SubjectKey(genHash.Draw(t, "key"))}
		}), 2),
	}
}

func drawAck(t *rapid.T) protocol.Message {
	return &protocol.Ack{
		Session: genSession.Draw(t, "session"), Inc: genInc.Draw(t, "inc"), Seq: seq(t, "seq"), Hash: genHash.Draw(t, "hash"),
		Safe: seq(t, "safe"), Credit: rapid.Uint32().Draw(t, "credit"), Own: drawOwnRun(t),
	}
}

func drawOwnRun(t *rapid.T) *protocol.OwnRun {
	if rapid.Bool().Draw(t, "no own run") {
		return nil
	}
	pos := genFeedPos.Draw(t, "own")
	return &protocol.OwnRun{Feed: pos.Feed, Epoch: pos.Epoch, After: pos.Offset, Upto: rapid.Uint64().Draw(t, "upto")}
}

func drawNack(t *rapid.T) protocol.Message {
	return &protocol.Nack{Session: genSession.Draw(t, "session"), Inc: genInc.Draw(t, "inc"), Want: seq(t, "want"), Reason: text(t, "reason")}
}

func drawBeat(t *rapid.T) protocol.Message {
	return &protocol.Beat{
		Session: genSession.Draw(t, "session"), LastSeq: seq(t, "last"), LastHash: genHash.Draw(t, "hash"),
		ClockMs: rapid.Int64().Draw(t, "clock"), Disk: text(t, "disk"), Feeds: few(t, "feeds", genFeedPos, 3),
		Safe: few(t, "safe", genStreamHead, 3),
	}
}

func drawFence(t *rapid.T) protocol.Message {
	return &protocol.Fence{
		Session: genSession.Draw(t, "session"), Nonce: rapid.Uint64().Draw(t, "nonce"), Reason: word(t, "reason", "", protocol.DuplicateIdentity),
		Message: text(t, "message"), Action: protocol.FenceAction(rapid.Byte().Draw(t, "action")), RetryAfterMs: rapid.Uint32().Draw(t, "retry"), Fork: rapid.Bool().Draw(t, "fork"),
	}
}

func drawFork(t *rapid.T) protocol.Message {
	return &protocol.Fork{
		OldInc: genInc.Draw(t, "old"), OldSeq: seq(t, "seq"), OldHash: genHash.Draw(t, "hash"), NewInc: genInc.Draw(t, "new"), Cause: text(t, "cause"),
	}
}

func drawDelta(t *rapid.T) protocol.Message {
	return &protocol.Delta{
		Session: genSession.Draw(t, "session"), Feed: genFeedID.Draw(t, "feed"), Epoch: rapid.Uint64().Draw(t, "epoch"),
		After: rapid.Uint64().Draw(t, "after"), Upto: rapid.Uint64().Draw(t, "upto"),
		Rows: few(t, "rows", rapid.Custom(func(t *rapid.T) protocol.FeedRow {
			return protocol.FeedRow{Offset: rapid.Uint64().Draw(t, "offset"), Key: text(t, "key"), Value: orNone(t, "value", genBytes), SubjectKey: protocol.SubjectKey(orNone(t, "subject key", genHash))}
		}), 3),
		Events: few(t, "events", rapid.Custom(func(t *rapid.T) protocol.PeerEvents {
			return protocol.PeerEvents{
				Origin: protocol.Origin{
					Store: protocol.StoreID(orNone(t, "store", genID)), Agent: protocol.AgentID(genID.Draw(t, "agent")), Inc: genInc.Draw(t, "inc"),
				},
				FirstSeq: seq(t, "first"), PrevHash: genHash.Draw(t, "hash"),
				Count: rapid.Uint32Range(1, protocol.FrameEventsMax).Draw(t, "count"), Frame: genBytes.Draw(t, "frame"),
			}
		}), 2),
		Keys: few(t, "keys", rapid.Custom(func(t *rapid.T) protocol.SealKey {
			return protocol.SealKey{Subject: genID.Draw(t, "subject"), Key: protocol.SubjectKey(genHash.Draw(t, "key"))}
		}), 2),
	}
}

func drawDack(t *rapid.T) protocol.Message {
	return &protocol.Dack{
		Again:   rapid.Bool().Draw(t, "again"),
		Session: genSession.Draw(t, "session"), Feed: genFeedID.Draw(t, "feed"), Epoch: rapid.Uint64().Draw(t, "epoch"),
		Offset: rapid.Uint64().Draw(t, "offset"), Credit: rapid.Uint32().Draw(t, "credit"),
	}
}

func drawCmd(t *rapid.T) protocol.Message {
	return &protocol.Cmd{Session: genSession.Draw(t, "session"), ID: text(t, "id"), Kind: genWord.Draw(t, "kind"), Body: orNone(t, "body", genBytes)}
}

func drawDigest(t *rapid.T) protocol.Message {
	return &protocol.Digest{
		Session: genSession.Draw(t, "session"), Inc: genInc.Draw(t, "inc"), Seq: seq(t, "seq"), Kind: genWord.Draw(t, "kind"), Buckets: orNone(t, "buckets", genBytes),
	}
}

func drawDiff(t *rapid.T) protocol.Message {
	return &protocol.Diff{Session: genSession.Draw(t, "session"), Kind: genWord.Draw(t, "kind"), Buckets: few(t, "buckets", rapid.Uint32(), 3)}
}

func drawCheckpoint(t *rapid.T) protocol.Message {
	return &protocol.Checkpoint{
		Session: genSession.Draw(t, "session"), Inc: genInc.Draw(t, "inc"), Seq: seq(t, "seq"), Hash: genHash.Draw(t, "hash"), State: orNone(t, "state", genBytes),
		Part: rapid.Uint32().Draw(t, "part"), Parts: rapid.Uint32().Draw(t, "parts"),
	}
}
