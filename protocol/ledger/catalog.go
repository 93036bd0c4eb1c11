package ledger

import (
	"counterpart/protocol"
)

// ReadItem reads a row of the catalogue; nil means that there is none.
func ReadItem(r Reader, sku protocol.SKU) (*protocol.Item, error) {
	items, err := ReadItems(r, []protocol.SKU{sku})
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

// ReadItems reads several rows of the catalogue, nil where there is none.
func ReadItems(r Reader, skus []protocol.SKU) ([]*protocol.Item, error) {
	gen, err := liveOf(r, protocol.FeedCatalog)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(skus))
	for i, sku := range skus {
		keys[i] = itemKey(gen, sku)
	}
	return readReferences(r, keys, protocol.DecodeItem)
}

func readReferences[T any](r Reader, keys []Key, decode func([]byte) (*T, error)) ([]*T, error) {
	values, err := r.Load(keys)
	if err != nil {
		return nil, err
	}
	list := make([]*T, len(keys))
	for i, v := range values {
		ref, err := readReference(v)
		if err != nil {
			return nil, err
		}
		if ref.gone() {
			continue
		}
		if list[i], err = decode(ref.value); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// ReadCode lists the items that carry a code, exactly as it is stored.
func ReadCode(r Reader, code string) ([]CodeOwner, error) {
	owners, err := ReadCodes(r, []string{code})
	if err != nil {
		return nil, err
	}
	return owners[0], nil
}

// ReadCodes lists, for each of several codes, the items that carry it.
func ReadCodes(r Reader, codes []string) ([][]CodeOwner, error) {
	gen, err := liveOf(r, protocol.FeedCatalog)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(codes))
	for i, code := range codes {
		keys[i] = codeKey(gen, code)
	}
	values, err := r.Load(keys)
	if err != nil {
		return nil, err
	}
	list := make([][]CodeOwner, len(codes))
	for i, v := range values {
		if v == nil {
			continue
		}
		owners, err := decodeCodeOwners(v)
		if err != nil {
			return nil, err
		}
		list[i] = *owners
	}
	return list, nil
}

// ReadPrices reads the prices of items in a zone, nil where there is none.
func ReadPrices(r Reader, zone protocol.ZoneID, skus []protocol.SKU) ([]*protocol.PriceList, error) {
	gen, err := liveOf(r, protocol.PriceFeed(zone))
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(skus))
	for i, sku := range skus {
		keys[i] = priceKey(gen, zone, sku)
	}
	return readReferences(r, keys, protocol.DecodePriceList)
}

// ReadTax reads the rates of a tax code in a zone; nil means that there is
// none.
func ReadTax(r Reader, zone protocol.ZoneID, code string) (*protocol.TaxList, error) {
	gen, err := liveOf(r, protocol.PriceFeed(zone))
	if err != nil {
		return nil, err
	}
	list, err := readReferences(r, []Key{taxKey(gen, zone, code)}, protocol.DecodeTaxList)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Taxes lists every tax code of a zone.
func Taxes(r Reader, zone protocol.ZoneID) ([]*protocol.TaxList, error) {
	gen, err := liveOf(r, protocol.PriceFeed(zone))
	if err != nil {
		return nil, err
	}
	var list []*protocol.TaxList
	err = scanReferences(r, referencePrefix(kindTax, gen, string(zone)), "", protocol.DecodeTaxList, func(t *protocol.TaxList) (bool, error) {
		list = append(list, t)
		return true, nil
	})
	return list, err
}

// ReadPromotion reads a promotion of a zone; nil means that there is none.
func ReadPromotion(r Reader, zone protocol.ZoneID, id protocol.PromotionID) (*protocol.Promotion, error) {
	gen, err := liveOf(r, protocol.PriceFeed(zone))
	if err != nil {
		return nil, err
	}
	list, err := readReferences(r, []Key{promotionKey(gen, zone, id)}, protocol.DecodePromotion)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Promotions lists the promotions of a zone in the order of their ids.
func Promotions(r Reader, zone protocol.ZoneID) ([]*protocol.Promotion, error) {
	gen, err := liveOf(r, protocol.PriceFeed(zone))
	if err != nil {
		return nil, err
	}
	var list []*protocol.Promotion
	err = scanReferences(r, referencePrefix(kindPromotion, gen, string(zone)), "", protocol.DecodePromotion, func(p *protocol.Promotion) (bool, error) {
		list = append(list, p)
		return true, nil
	})
	return list, err
}

// ScanPromotions calls fn for the promotions of every zone, in the order of zones
// and ids. It is for the hub: an agent has those of its store's zone.
func ScanPromotions(r Reader, fn func(*protocol.Promotion) (bool, error)) error {
	return scanReferences(r, referencePrefix(kindPromotion, 0), "", protocol.DecodePromotion, fn)
}

// ReadStore reads the record of a store; nil means that there is none.
func ReadStore(r Reader, id protocol.StoreID) (*protocol.StoreRecord, error) {
	gen, err := liveOf(r, protocol.StoreFeed(id))
	if err != nil {
		return nil, err
	}
	list, err := readReferences(r, []Key{storeKey(gen, id)}, protocol.DecodeStoreRecord)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// ScanStores calls fn for every store in the order of their ids. It is for the
// hub: an agent has one store, which it reads by its id.
func ScanStores(r Reader, fn func(*protocol.StoreRecord) (bool, error)) error {
	return ScanStoresBy(r, protocol.DecodeStoreRecord, fn)
}

// ScanStoresBy is ScanStores for whoever remembers how rows decode. decode must
// not keep its argument.
func ScanStoresBy(r Reader, decode func([]byte) (*protocol.StoreRecord, error), fn func(*protocol.StoreRecord) (bool, error)) error {
	return scanReferences(r, referencePrefix(kindStore, 0), "", decode, fn)
}

// ScanItems calls fn for the items whose SKU is above from, in the order of
// SKU bytes.
func ScanItems(r Reader, from protocol.SKU, fn func(*protocol.Item) (bool, error)) error {
	gen, err := liveOf(r, protocol.FeedCatalog)
	if err != nil {
		return err
	}
	return scanReferences(r, referencePrefix(kindItem, gen), string(from), protocol.DecodeItem, fn)
}

// ReadPolicy reads the rows of the policy that are about an item in a store, the
// one that names most first: the item in the store, the item, its category in the
// store, its category, the store, the chain. It is nil where there is no row.
func ReadPolicy(r Reader, store protocol.StoreID, sku protocol.SKU, category string) ([]*protocol.PolicyRow, error) {
	r = Live(r)
	about := []protocol.PolicyRow{{SKU: sku}, {}}
	if category != "" {
		about = []protocol.PolicyRow{{SKU: sku}, {Category: category}, {}}
	}
	keys := make([]Key, 0, 6)
	for i := range about {
		for _, where := range [...]protocol.StoreID{store, ""} {
			gen, err := liveOf(r, policyFeed(where))
			if err != nil {
				return nil, err
			}
			keys = append(keys, policyKey(gen, where, policyName(&about[i])))
		}
	}
	return readReferences(r, keys, protocol.DecodePolicyRow)
}

// ReadPolicyRow reads the row of the policy that is about the same as another;
// nil means that there is none.
func ReadPolicyRow(r Reader, about *protocol.PolicyRow) (*protocol.PolicyRow, error) {
	gen, err := liveOf(r, policyFeed(about.Store))
	if err != nil {
		return nil, err
	}
	list, err := readReferences(r, []Key{policyKey(gen, about.Store, policyName(about))}, protocol.DecodePolicyRow)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// ScanPolicies calls fn for every row of the policy, those of all stores first.
// It is for the hub: an agent has those that are about its store.
func ScanPolicies(r Reader, fn func(*protocol.PolicyRow) (bool, error)) error {
	return scanReferences(r, referencePrefix(kindPolicy, 0), "", protocol.DecodePolicyRow, fn)
}

// ReadProgrammes lists the dated programmes, in the order of their keys.
func ReadProgrammes(r Reader) ([]*protocol.Programme, error) {
	gen, err := liveOf(r, protocol.FeedCatalog)
	if err != nil {
		return nil, err
	}
	var list []*protocol.Programme
	err = scanReferences(r, referencePrefix(kindProgramme, gen), "", protocol.DecodeProgramme, func(p *protocol.Programme) (bool, error) {
		list = append(list, p)
		return true, nil
	})
	return list, err
}

// scanReferences calls fn for the rows below prefix whose last part is above
// from.
func scanReferences[T any](r Reader, prefix, from string, decode func([]byte) (*T, error), fn func(*T) (bool, error)) error {
	start := prefix
	if from != "" {
		start = prefix + from + sep
	}
	return r.Scan(States, start, after(prefix), func(_ string, v []byte) (bool, error) {
		ref, err := decodeReference(v)
		if err != nil || ref.gone() {
			return err == nil, err
		}
		row, err := decode(ref.value)
		if err != nil {
			return false, err
		}
		return fn(row)
	})
}
