package main

import (
	"fmt"

	"counterpart/protocol"
	"counterpart/test/process"
	"counterpart/test/retail"
)

// disagreements lists where the hub's documents are not the confirmed sales,
// each exactly once.
func disagreements(confirmed []confirmation, documents map[string][]process.SaleDocument) []string {
	var faults []string
	for _, c := range confirmed {
		var first process.SaleDocument
		if err := c.answer.Into(&first); err != nil {
			faults = append(faults, err.Error())
			continue
		}
		at := documents[c.request.Key]
		delete(documents, c.request.Key)
		switch {
		case len(at) != 1:
			faults = append(faults, fmt.Sprintf("%s (receipt %s) is at the hub %d times", c.request.Key, first.ReceiptNo, len(at)))
		case at[0].ReceiptNo != first.ReceiptNo || at[0].EventID != first.EventID || at[0].Total != first.Total || first.Total != retail.Total(c.basket):
			faults = append(faults, fmt.Sprintf("%s was confirmed as %s over %d and is at the hub as %s over %d", c.request.Key,
				first.ReceiptNo, first.Total, at[0].ReceiptNo, at[0].Total))
		}
	}
	for key, at := range documents {
		faults = append(faults, fmt.Sprintf("%s is at the hub %d times and was never confirmed", key, len(at)))
	}
	return faults
}

// misplaced lists the items of which the hub has another stock than what the
// confirmed sales leave.
func misplaced(confirmed []confirmation, levels map[string]process.Level) []string {
	want := map[string]protocol.Quantity{}
	for _, c := range confirmed {
		for _, line := range c.basket {
			want[line.Item.SKU] -= protocol.Quantity(line.Pieces) * piece
		}
	}
	var faults []string
	for sku, level := range levels {
		if level.OnHand != want[sku] {
			faults = append(faults, fmt.Sprintf("%s of %s on hand at the hub, expected %s", level.OnHand, sku, want[sku]))
		}
		delete(want, sku)
	}
	for sku, quantity := range want {
		faults = append(faults, fmt.Sprintf("the hub has no stock of %s, expected %s", sku, quantity))
	}
	return faults
}
