package protocol

// Message is one MQTT payload. Exactly one of the types below implements it.
type Message interface{ isMessage() }

// Session is 128 random bits that the hub gives with a WELCOME. A message of
// another session is ignored.
type Session [16]byte

// FeedID names a feed: catalog, price/{zone}, store/{id}, peer/{id}.
type FeedID string

// FeedPos is a cursor: everything up to and including Offset is applied.
type FeedPos struct {
	Feed   FeedID
	Epoch  uint64
	Offset uint64
}

// Hello opens a session. Nothing else is sent before its Welcome.
type Hello struct {
	Version      uint32
	Build        string
	Nonce        uint64
	Capabilities []string
	Store        StoreID
	Agent        AgentID
	Inc          Inc
	Parent       *StreamPos // the stream and number that this one was forked from
	BootID       uint64     // random per start of the process
	LastSeq      Seq
	LastHash     Hash
	BaseSeq      Seq // the first event that the agent still holds
	SafeSeen     Seq
	Feeds        []FeedPos
	Clock        Clock
	DiskState    string
	DiskFree     uint64
	ForkCause    string       // why the stream was begun anew; empty for a first stream
	Streams      []StreamHead // the store's other streams that the agent holds
	SeenEpoch    uint64       // the epoch that AckedSeq was told in
	AckedSeq     Seq          // the highest acknowledgement of Inc in that epoch
}

// StreamHead is the end of a stream of the agent's store as the agent holds it.
type StreamHead struct {
	Agent AgentID
	Inc   Inc
	Seq   Seq
	Hash  Hash
}

// Verdict is what the hub will do about a feed.
type Verdict uint8

// The verdicts. Resync means: fetch the snapshot, then ask on with a Dack.
const (
	VerdictTail   Verdict = 1
	VerdictResync Verdict = 2
)

// FeedVerdict answers one cursor of a Hello.
type FeedVerdict struct {
	Feed    FeedID
	Epoch   uint64
	Head    uint64
	Verdict Verdict
	// From goes with Resync of an event feed: the agent holds every event up to
	// this offset, as the streams in its Hello show.
	From uint64
}

// Welcome opens the session that a Hello asked for.
type Welcome struct {
	Nonce        uint64
	Epoch        uint64
	Session      Session
	HubTimeMs    int64
	CursorSeq    Seq
	CursorHash   Hash
	Safe         Seq
	Window       uint32 // batches that may be unacknowledged
	StartAfterMs uint32
	Feeds        []FeedVerdict
	Checkpoint   bool        // events that the agent forgot are given up: send a Checkpoint
	Wants        []StreamPos // streams of Hello to carry, and from which event on
	// LookupKey is the chain's key under which members are looked up; zero where
	// the hub has none.
	LookupKey LookupKey
}

// Batch carries consecutive events of one stream.
type Batch struct {
	Session  Session
	Inc      Inc
	FirstSeq Seq
	PrevHash Hash
	Count    uint32
	Checksum uint32 // CRC-32C of Frame
	Frame    []byte
	Keys     []MemberKey // of members whom events of the frame enrol
}

// Ack says that everything up to Seq is committed, and up to Safe also in the
// hub's second copy. Credit is the number of further batches welcome.
type Ack struct {
	Session Session
	Inc     Inc
	Seq     Seq
	Hash    Hash
	Safe    Seq
	Credit  uint32
	Own     *OwnRun // nil while there is none
}

// OwnRun is a stretch of a store's event feed that holds nothing but events of
// the acknowledged stream. Who has applied the feed up to After, or into the
// stretch, has therefore applied it up to Upto.
type OwnRun struct {
	Feed  FeedID
	Epoch uint64
	After uint64
	Upto  uint64
}

// The reasons of a Nack.
const (
	NackGap   = "gap"   // numbers are missing before the batch
	NackFrame = "frame" // checksum or content of the frame is wrong
	NackChain = "chain" // the hub holds other events of this carried stream
)

// Nack asks to go back to Want.
type Nack struct {
	Session Session
	Inc     Inc
	Want    Seq
	Reason  string
}

// Beat goes up every 10 s and comes back with the heads of the feeds. Now and
// then it tells up to where the store's other streams are safe.
type Beat struct {
	Session  Session
	LastSeq  Seq
	LastHash Hash
	ClockMs  int64
	Disk     string
	Feeds    []FeedPos
	Safe     []StreamHead
}

// FenceAction is what the agent is to do.
type FenceAction uint8

// The actions. Retry means: say Hello again after a while; Stop means: sell
// on, but do not come back until the process is started anew.
const (
	FenceRetry FenceAction = 1
	FenceStop  FenceAction = 2
)

// Fence refuses a Hello (Nonce set) or ends a session (Session set).
type Fence struct {
	Session      Session
	Nonce        uint64
	Reason       Code
	Message      string
	Action       FenceAction
	RetryAfterMs uint32
	Fork         bool // begin a new stream before the next Hello
}

// Fork tells that a stream goes on as another after a restore or a clone.
type Fork struct {
	OldInc  Inc
	OldSeq  Seq
	OldHash Hash
	NewInc  Inc
	Cause   string
}

// Delta carries part of a feed: whoever has applied everything up to After has,
// with these items, applied everything up to Upto. Offsets in between that are
// missing were replaced by later ones.
type Delta struct {
	Session Session // zero on a feed topic
	Feed    FeedID
	Epoch   uint64
	After   uint64
	Upto    uint64
	Rows    []FeedRow    // state feeds
	Events  []PeerEvents // event feeds
	Keys    []SealKey    // with which the orders among the events are sealed
}

// SealKey is the key of a subject: of an order, or of the member whose order it is.
// It is kept apart from the events beside which it travels.
type SealKey struct {
	Subject string
	Key     SubjectKey
}

// FeedRow is the newest value of one key.
type FeedRow struct {
	Offset uint64
	Key    string
	Value  []byte
	// SubjectKey goes with the row of a member, so that the fields can be read. It
	// is kept apart from the row, and zero for none.
	SubjectKey SubjectKey
}

// PeerEvents are consecutive events of one stream of a store.
type PeerEvents struct {
	Origin   Origin
	FirstSeq Seq
	PrevHash Hash
	Count    uint32
	Frame    []byte
}

// Dack states a cursor and asks for what follows; Credit bounds the Deltas
// that may be on the way.
type Dack struct {
	Session Session
	Feed    FeedID
	Epoch   uint64
	Offset  uint64
	Credit  uint32
	Again   bool // what was sent beyond Offset did not arrive
}

// Cmd asks the agent for an act; its result is an event.
type Cmd struct {
	Session Session
	ID      string
	Kind    string
	Body    []byte
}

// Digest carries sums over an agent's own contributions, at a cursor.
type Digest struct {
	Session Session
	Inc     Inc
	Seq     Seq
	Kind    string
	Buckets []byte
}

// Diff lists the buckets that differ.
type Diff struct {
	Session Session
	Kind    string
	Buckets []uint32
}

// Checkpoint says what the events 1 to Seq of a stream had added to the store's
// levels: State is an encoded event of kind gap whose moves are the sums. It
// may take several parts.
type Checkpoint struct {
	Session     Session
	Inc         Inc
	Seq         Seq
	Hash        Hash
	State       []byte
	Part, Parts uint32
}

func (*Hello) isMessage()      {}
func (*Welcome) isMessage()    {}
func (*Batch) isMessage()      {}
func (*Ack) isMessage()        {}
func (*Nack) isMessage()       {}
func (*Beat) isMessage()       {}
func (*Fence) isMessage()      {}
func (*Fork) isMessage()       {}
func (*Delta) isMessage()      {}
func (*Dack) isMessage()       {}
func (*Cmd) isMessage()        {}
func (*Digest) isMessage()     {}
func (*Diff) isMessage()       {}
func (*Checkpoint) isMessage() {}
