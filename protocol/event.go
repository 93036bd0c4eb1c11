package protocol

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Kind names what happened. A peer stores and forwards kinds that it does not
// know, and folds their moves.
type Kind string

// The kinds of this version.
const (
	KindSale      Kind = "sale"       // body: Sale with Type sale, return or void
	KindMovement  Kind = "movement"   // body: Movement
	KindCountSeen Kind = "count_seen" // body: CountSeen
	KindStockLoad Kind = "stock_load" // body: StockLoad, written by the hub
	KindCatalog   Kind = "catalog"    // body: Catalog, written by the hub
	KindReissue   Kind = "reissue"    // body: Reissue, written after a fork
	KindGap       Kind = "gap"        // body: Gap, written by the hub
	KindDigest    Kind = "digest"     // body: OwnDigest
	KindOrder     Kind = "order"      // body: Order, written by the hub

	KindOrderChange Kind = "order_change" // body: OrderChange, written by the hub
	KindFulfilment  Kind = "fulfilment"   // body: Fulfilment

	KindExceptionChange Kind = "exception_change" // body: ExceptionChange
	KindTransfer        Kind = "transfer"         // body: Transfer, written by the hub

	KindLease        Kind = "lease"         // body: Lease
	KindPointsChange Kind = "points_change" // body: PointsChange, written by the hub
	KindMember       Kind = "member"        // body: Member
	KindCart         Kind = "cart"          // body: Cart, written by the hub
	KindContact      Kind = "contact"       // body: Contact

	KindAccountChange Kind = "account_change" // body: AccountChange, written by the hub
)

// Clock is what the writer's clocks showed. It is for people and for
// correction; nothing is ordered or expired by it.
type Clock struct {
	WallMs int64 // Unix milliseconds, as the machine believed
	MonoMs int64 // milliseconds of running time since the process started
}

// Record is an event exactly as it was logged: the clock header and the
// encoded Event. Its bytes are what is hashed, stored and forwarded, verbatim,
// whatever version wrote them.
type Record struct {
	Clock
	Body []byte
}

// RecordHeaderBytes is the size of the clock header in a record's bytes.
const RecordHeaderBytes = 16

// EventBytesMax bounds a record. A larger one is refused before it is logged.
const EventBytesMax = 1 << 20

// AppendTo appends the record's bytes to b: two big-endian 64-bit integers
// (wall and running milliseconds), then the body.
func (r Record) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.WallMs))
	b = binary.BigEndian.AppendUint64(b, uint64(r.MonoMs))
	return append(b, r.Body...)
}

// RecordFromBytes reads what AppendTo wrote. The body aliases b.
func RecordFromBytes(b []byte) (Record, error) {
	if len(b) < RecordHeaderBytes {
		return Record{}, fmt.Errorf("record of %d bytes is shorter than its header", len(b))
	}
	return Record{
		Clock: Clock{WallMs: int64(binary.BigEndian.Uint64(b)), MonoMs: int64(binary.BigEndian.Uint64(b[8:]))},
		Body:  b[RecordHeaderBytes:],
	}, nil
}

// Next is the head of the chain after r.
func (h Hash) Next(r Record) Hash {
	s := sha256.New()
	s.Write(h[:])
	var header [RecordHeaderBytes]byte
	binary.BigEndian.PutUint64(header[:], uint64(r.WallMs))
	binary.BigEndian.PutUint64(header[8:], uint64(r.MonoMs))
	s.Write(header[:])
	s.Write(r.Body)
	var next Hash
	s.Sum(next[:0])
	return next
}

// State is one of the quantities that a level keeps for an item.
type State uint8

// The states. OnHand includes everything in the shop: staged, damaged and
// quality control are parts of it; Incoming is outside.
const (
	OnHand State = iota
	Committed
	Staged
	Damaged
	QualityControl
	Incoming
	StateCount // the number of states
)

var stateNames = [StateCount]string{"on_hand", "committed", "staged", "damaged", "quality_control", "incoming"}

func (s State) String() string {
	if s < StateCount {
		return stateNames[s]
	}
	return fmt.Sprintf("state_%d", uint8(s))
}

// ParseState reads the name that String writes.
func ParseState(name string) (State, bool) {
	for s, n := range stateNames {
		if n == name {
			return State(s), true
		}
	}
	return 0, false
}

// Move adds Delta to one quantity of an item in the stream's store. Moves are
// all that any version needs to keep levels right, for kinds that it does not
// know as well.
type Move struct {
	SKU   SKU
	State State
	Delta Quantity
}

// Unit is what one quantity of an item counts.
type Unit string

// The units.
const (
	Each  Unit = "each"
	Kg    Unit = "kg"
	Litre Unit = "l"
	Metre Unit = "m"
)

// ValidUnit tells whether u is one of the units.
func ValidUnit(u Unit) bool { return u == Each || u == Kg || u == Litre || u == Metre }

// ItemRef is an item as an event names it. Name and GTIN are set only where
// the catalogue did not know the item, so that common events stay small.
type ItemRef struct {
	SKU  SKU
	Unit Unit // empty means each
	GTIN string
	Name string
}

// Idempotency is the caller's key that led to an event. It travels with the
// event, so that a retry after a restore still finds the first answer.
type Idempotency struct {
	Route string // method and path, such as "POST /v1/sales"
	Key   string // 1 to 128 visible ASCII characters
	Body  uint64 // first 8 bytes of SHA-256 over the request's body, big-endian; 0 of what is personal
}

// Event is one change. Exactly one body is set for a known kind; none for a
// kind of a later version.
type Event struct {
	Kind         Kind
	Boot         uint32 // how often the writer had started; Clock.MonoMs counts within it
	UTCOffsetMin int32  // the store's offset from UTC at the time, in minutes
	Moves        []Move
	Idempotency  *Idempotency

	Sale      *Sale
	Movement  *Movement
	CountSeen *CountSeen
	StockLoad *StockLoad
	Catalog   *Catalog
	Reissue   *Reissue
	Gap       *Gap
	Digest    *OwnDigest

	Order       *Order
	OrderChange *OrderChange
	Fulfilment  *Fulfilment

	ExceptionChange *ExceptionChange
	Transfer        *Transfer

	Lease        *Lease
	PointsChange *PointsChange
	Member       *Member
	Cart         *Cart
	Contact      *Contact

	AccountChange *AccountChange
}

// Gap stands for events of a stream that exist nowhere any more: the hub was
// restored from an older copy, and their writer had forgotten what it was told
// is safe. Moves are what they had added to the store's levels, as the writer
// remembers. A gap may take several events; the last part closes it.
type Gap struct {
	Agent       AgentID
	Inc         Inc
	From, To    Seq  // the first and the last event that are lost
	Hash        Hash // after the last
	Part, Parts uint32
	Moves       []Move
}

// OwnDigest is what its writer had folded, before this event, of the events of
// all streams that bear its agent's name. Whoever has folded the same events
// compares (I9); nobody's state depends on it.
type OwnDigest struct {
	Fold    uint32      // the version of the sums; only equal ones are compared
	Streams []StreamPos // those with events, in the order of inc; without this event
	Sums    Sums
}

// SumBuckets is how many parts the sums of moves are kept in, by SKU.
const SumBuckets = 16

// Sums are sums over moves, mod 2^128 in two halves, by a hash of the SKU.
type Sums [SumBuckets][2]uint64

// Reissue logs an event of a parent stream again after a fork. It carries the
// original record verbatim and has no moves of its own: the fold applies the
// original under its own ID, once, in whichever order the two arrive.
type Reissue struct {
	ID     EventID
	Record Record
}

// StreamPos is how far a reader had folded a stream.
type StreamPos struct {
	Inc Inc
	Seq Seq
}

// MovementType says why stock moved.
type MovementType string

// The movement types.
const (
	Receipt     MovementType = "receipt"
	Adjustment  MovementType = "adjustment"
	Count       MovementType = "count"
	TransferOut MovementType = "transfer_out"
	TransferIn  MovementType = "transfer_in"
)

// Movement is a change of stock that is not a sale.
type Movement struct {
	Type       MovementType
	Reference  string
	Reason     string
	Staff      StaffID
	ToStore    StoreID
	TransferID string
	Lines      []MovementLine
	// Seen is, for a count, the prefix of every stream that the counter had
	// folded; movements of other streams beyond it are added to the count.
	Seen []StreamPos
	// Load and LoadRows tie a count to the rows of a stock load that it
	// applies: rows up to LoadRows, counted from the start of the load.
	Load     string
	LoadRows int64
}

// MovementLine is one item of a movement. For a count, Quantity is what was
// counted and Book what the book showed then; staged goods are in neither.
type MovementLine struct {
	Item     ItemRef
	Quantity Quantity
	State    State
	Book     Quantity
}

// CountSeen is written when an agent folds a sibling's count. SKUs are the
// counted items for which the writer had logged movements that the counter
// had not seen: a recount is suggested for them.
type CountSeen struct {
	Count EventID
	SKUs  []SKU
}

// StockLoad asks a store's primary to apply rows as counts in its own log.
// A load spans one or more events with the same ID; First is the index of the
// first row, Total the number of rows of the whole load.
type StockLoad struct {
	ID string
	// Agent is the machine that applies the load, the store's primary when it
	// was written; while it is empty the primary of the day does.
	Agent AgentID
	First int64
	Total int64
	Rows  []StockRow
}

// StockRow states what the shop holds of an item, staged goods included.
type StockRow struct {
	SKU    SKU
	OnHand Quantity
}

// Catalog carries rows of the chain's reference data. Each row replaces the
// row of the same key as a whole.
type Catalog struct {
	Items      []Item
	Prices     []PriceList
	Taxes      []TaxList
	Stores     []StoreRecord
	Policies   []PolicyRow
	Programmes []Programme
	Promotions []Promotion
}

// Rows is how many rows of any kind there are.
func (c *Catalog) Rows() int {
	return len(c.Items) + len(c.Prices) + len(c.Taxes) + len(c.Stores) + len(c.Policies) + len(c.Programmes) + len(c.Promotions)
}
