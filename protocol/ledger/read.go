package ledger

import (
	"fmt"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

// StreamInfo is a stream with its cursor.
type StreamInfo struct {
	Origin protocol.Origin
	Stream
}

// ReadStream reads the cursor of one stream; an unknown one has no events.
func ReadStream(r Reader, o protocol.Origin) (Stream, error) {
	values, err := r.Load([]Key{streamKey(o)})
	if err != nil {
		return Stream{}, err
	}
	s, err := decodeStream(values[0])
	if err != nil {
		return Stream{}, err
	}
	return *s, nil
}

// Head is the hash that the stream's next event continues.
func (s StreamInfo) Head() protocol.Hash {
	if s.Seq == 0 {
		return s.Origin.Genesis()
	}
	return s.Hash
}

// Streams lists the streams of one store and agent; an empty agent means every
// agent of the store. They come in the order of agent, then inc.
func Streams(r Reader, store protocol.StoreID, agent protocol.AgentID) ([]StreamInfo, error) {
	prefix := streamsPrefix(store, agent)
	return scanStreams(r, prefix, after(prefix))
}

func streamsPrefix(store protocol.StoreID, agent protocol.AgentID) string {
	prefix := streamPrefix + string(store) + sep
	if agent != "" {
		prefix += string(agent) + sep
	}
	return prefix
}

// MachineStreams lists the streams of one store that its machines write. Those of
// the hub are passed over: it begins one at each of its starts.
func MachineStreams(r Reader, store protocol.StoreID) ([]StreamInfo, error) {
	all, hubs := streamsPrefix(store, ""), streamsPrefix(store, protocol.HubAgent)
	list, err := scanStreams(r, all, hubs)
	if err != nil {
		return nil, err
	}
	rest, err := scanStreams(r, after(hubs), after(all))
	return append(list, rest...), err
}

// AllStreams lists every stream.
func AllStreams(r Reader) ([]StreamInfo, error) {
	return scanStreams(r, streamPrefix, after(streamPrefix))
}

func scanStreams(r Reader, from, to string) ([]StreamInfo, error) {
	var list []StreamInfo
	err := r.Scan(States, from, to, func(id string, v []byte) (bool, error) {
		s, err := decodeStream(v)
		if err != nil {
			return false, err
		}
		info, err := streamInfo(id, s)
		list = append(list, info)
		return err == nil, err
	})
	return list, err
}

// streamInfo puts a stream's row together with what its key says.
func streamInfo(id string, s *Stream) (StreamInfo, error) {
	parts, err := split(id, 3)
	if err != nil {
		return StreamInfo{}, err
	}
	info := StreamInfo{Origin: protocol.Origin{Store: protocol.StoreID(parts[0]), Agent: protocol.AgentID(parts[1])}, Stream: *s}
	info.Origin.Inc, err = protocol.ParseInc(parts[2])
	return info, err
}

// streamsOf is Streams as the set has them.
func (s *set) streamsOf(store protocol.StoreID, agent protocol.AgentID) ([]StreamInfo, error) {
	prefix := streamsPrefix(store, agent)
	list, err := scanStreams(s.tx, prefix, after(prefix))
	if err != nil {
		return nil, err
	}
	for _, c := range s.streams {
		if c.agg == nil || !strings.HasPrefix(c.key.ID, prefix) {
			continue
		}
		info, err := streamInfo(c.key.ID, c.agg.(*Stream))
		if err != nil {
			return nil, err
		}
		i, found := slices.BinarySearchFunc(list, c.key.ID, func(s StreamInfo, id string) int { return strings.Compare(streamKey(s.Origin).ID, id) })
		if !found {
			list = slices.Insert(list, i, info)
		}
		list[i] = info
	}
	return list, nil
}

// ReadLevel reads what a store holds of an item.
func ReadLevel(r Reader, store protocol.StoreID, sku protocol.SKU) (*stock.Level, error) {
	values, err := r.Load([]Key{levelKey(store, sku)})
	if err != nil {
		return nil, err
	}
	return stock.DecodeLevel(values[0])
}

// ReadLevels reads the levels of several items of a store, in their order.
func ReadLevels(r Reader, store protocol.StoreID, skus []protocol.SKU) ([]*stock.Level, error) {
	keys := make([]Key, len(skus))
	for i, sku := range skus {
		keys[i] = levelKey(store, sku)
	}
	values, err := r.Load(keys)
	if err != nil {
		return nil, err
	}
	levels := make([]*stock.Level, len(skus))
	for i, v := range values {
		if levels[i], err = stock.DecodeLevel(v); err != nil {
			return nil, err
		}
	}
	return levels, nil
}

// HasLevel tells whether anything ever happened to an item in a store. Its
// level may have come back to nothing since.
func HasLevel(r Reader, store protocol.StoreID, sku protocol.SKU) (bool, error) {
	values, err := r.Load([]Key{levelKey(store, sku)})
	return err == nil && values[0] != nil, err
}

// ScanLevels calls fn for every level of a store in the order of SKU bytes.
func ScanLevels(r Reader, store protocol.StoreID, fn func(protocol.SKU, *stock.Level) (bool, error)) error {
	prefix := "level" + sep + string(store) + sep
	return r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		level, err := stock.DecodeLevel(v)
		if err != nil {
			return false, err
		}
		return fn(protocol.SKU(id[len(prefix):]), level)
	})
}

// ReadReceipt reads what is known of a receipt number.
func ReadReceipt(r Reader, no protocol.ReceiptNo) (*Receipt, error) {
	values, err := r.Load([]Key{receiptKey(no)})
	if err != nil {
		return nil, err
	}
	return decodeReceipt(values[0])
}

// ExternalEvents lists the events that recorded a sale of another POS.
func ExternalEvents(r Reader, source, id string) ([]protocol.EventID, error) {
	values, err := r.Load([]Key{externalKey(source, id)})
	if err != nil {
		return nil, err
	}
	s, err := decodeIDSet(values[0])
	if err != nil {
		return nil, err
	}
	return *s, nil
}

// ReadEvent reads an event as it was first logged, where needed from where it
// was logged again after a fork; ok is false where it is not here.
func ReadEvent(r Reader, id protocol.EventID) (rec protocol.Record, ok bool, err error) {
	if rec, ok, err = ReadRecord(r, id); ok || err != nil {
		return rec, ok, err
	}
	values, err := r.Load([]Key{reissueKey(id)})
	if err != nil {
		return rec, false, err
	}
	again, err := decodeBodies(values[0])
	if err != nil {
		return rec, false, err
	}
	for _, p := range again.places {
		rec, ok, err := ReadRecord(r, p.at)
		if err != nil {
			return rec, false, err
		}
		if !ok {
			continue
		}
		if ev, err := protocol.DecodeEvent(rec.Body); err == nil && ev.Reissue != nil {
			return ev.Reissue.Record, true, nil
		}
	}
	return rec, false, nil
}

// ReadLoad reads a stock load; Total is 0 where there is none.
func ReadLoad(r Reader, store protocol.StoreID, id string) (*Load, error) {
	values, err := r.Load([]Key{loadKey(store, id)})
	if err != nil {
		return nil, err
	}
	l, err := decodeLoad(values[0])
	if err != nil {
		return nil, err
	}
	l.ID, l.Store = id, store
	return l, nil
}

// Loads lists the stock loads of a store, or of every store where store is
// empty.
func Loads(r Reader, store protocol.StoreID) ([]*Load, error) {
	prefix := "load" + sep
	if store != "" {
		prefix += string(store) + sep
	}
	var list []*Load
	err := r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		parts, err := split(id, 2)
		if err != nil {
			return false, err
		}
		l, err := decodeLoad(v)
		if err != nil {
			return false, err
		}
		l.Store, l.ID = protocol.StoreID(parts[0]), parts[1]
		list = append(list, l)
		return true, nil
	})
	return list, err
}

// Exceptions lists the broken rules.
func Exceptions(r Reader) ([]Exception, error) {
	var list []Exception
	prefix := "exception" + sep
	err := r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		e, err := decodeException(id, v)
		list = append(list, e)
		return err == nil, err
	})
	return list, err
}

// DeadLetters lists the events that are stored but could not be folded, and the
// parts of feeds that were set aside, with the reason.
func DeadLetters(r Reader) (map[string]string, error) {
	dead := map[string]string{}
	prefix := "dead" + sep
	err := r.Scan(States, prefix, after(prefix), func(id string, v []byte) (bool, error) {
		dead[strings.TrimPrefix(id, prefix)] = string(v)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	asides, err := Asides(r)
	for _, a := range asides {
		dead[fmt.Sprintf("%s %d", a.Delta.Feed, a.Delta.Upto)] = a.Reason
	}
	return dead, err
}

// Note reads a row that belongs to this machine alone.
func Note(r Reader, name ...string) ([]byte, error) {
	values, err := r.Load([]Key{noteKey(name...)})
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// SetNote writes a row that belongs to this machine alone.
func SetNote(tx Tx, value []byte, name ...string) error {
	return tx.Write([]Row{NoteRow(value, name...)})
}

// NoteRow is a row that belongs to this machine alone.
func NoteRow(value []byte, name ...string) Row { return Row{Key: noteKey(name...), Value: value} }

func noteKey(name ...string) Key {
	k := stateKey(name...)
	k.Table = Notes
	return k
}

// ScanNotes calls fn for each row of this machine's own whose name begins with
// the given parts, with the parts that follow, in the order of the names, until
// it returns false.
func ScanNotes(r Reader, begin []string, fn func(names []string, value []byte) (bool, error)) error {
	from := noteKey(begin...).ID + sep
	return r.Scan(Notes, from, after(from), func(id string, v []byte) (bool, error) {
		return fn(strings.Split(strings.TrimPrefix(id, from), sep), v)
	})
}
