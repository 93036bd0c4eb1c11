package hub

import (
	"strings"
	"testing"
)

// refusedRows lists what is wrong with one row, by table.
var refusedRows = []struct {
	table       Table
	columns     string
	row         string
	field, code string
}{
	{ItemsTable, "sku,name", "P,", "name", "out_of_range"},
	{ItemsTable, "sku,brand", "NEW,x", "name", "out_of_range"},
	{ItemsTable, "sku,gtin,name", ",,Pen", "sku", "out_of_range"},
	{ItemsTable, "sku,name", strings.Repeat("x", 65) + ",Pen", "sku", "out_of_range"},
	{ItemsTable, "sku,name", "a\tb,Pen", "sku", "out_of_range"},
	{ItemsTable, "sku,name", "P," + strings.Repeat("x", 1001), "name", "out_of_range"},
	{ItemsTable, "sku,name", "P,\xff", "name", "out_of_range"},
	{ItemsTable, "sku,name", "P,a\x00b", "name", "out_of_range"},
	{ItemsTable, "gtin,name", "4006381333932,Pen", "gtin", "bad_check_digit"},
	{ItemsTable, "gtin,name", "123,Pen", "gtin", "bad_length"},
	{ItemsTable, "gtin,name", "400638133393X,Pen", "gtin", "bad_length"},
	{ItemsTable, "gtin,name", "2012345928756,Pen", "gtin", "restricted_code"},
	{ItemsTable, "gtin,name", "00100861,Apple juice", "gtin", "restricted_code"},
	{ItemsTable, "sku,name,unit", "P,Pen,box", "unit", "out_of_range"},
	{ItemsTable, "sku,name,price_minor", "P,Pen,1.5", "price_minor", "out_of_range"},
	{ItemsTable, "sku,name,price_minor", "P,Pen,-1", "price_minor", "out_of_range"},
	{ItemsTable, "sku,name,price_minor", "P,Pen,1000000000001", "price_minor", "out_of_range"},
	{ItemsTable, "sku,name,currency", "P,Pen,gbp", "currency", "out_of_range"},
	{ItemsTable, "sku,name,stocked", "P,Pen,yes", "stocked", "out_of_range"},
	{ItemsTable, "sku,name,min_age", "P,Pen,151", "min_age", "out_of_range"},
	{ItemsTable, "sku,name,parent_sku", "P,Pen,P", "parent_sku", "out_of_range"},
	{ItemsTable, "sku,name,codes", "P,Pen,4006381333932", "codes", "bad_check_digit"},
	{ItemsTable, "sku,name,codes", "P,Pen,X*0", "codes", "out_of_range"},
	{ItemsTable, "sku,name,codes", "P,Pen,X*", "codes", "out_of_range"},
	{ItemsTable, "sku,name,codes", "P,Pen,*2", "codes", "out_of_range"},
	{ItemsTable, "sku,name,attributes", "P,Pen,size", "attributes", "out_of_range"},
	{ItemsTable, "sku,name,attributes", "P,Pen,a=1;a=2", "attributes", "out_of_range"},
	{ItemsTable, "sku,name", "P", "", "bad_json"},
	{ItemsTable, "sku,name", `P,a"b`, "", "bad_json"},
	{StoresTable, "id,name,timezone", "a b,Shop,Europe/London", "id", "out_of_range"},
	{StoresTable, "id,name,timezone", ",Shop,Europe/London", "id", "out_of_range"},
	{StoresTable, "id,name,timezone", "s2,Shop,Europe/Londom", "timezone", "out_of_range"},
	{StoresTable, "id,name,timezone", "s2,Shop,Local", "timezone", "out_of_range"},
	{StoresTable, "id,name", "s2,Shop", "timezone", "out_of_range"},
	{StoresTable, "id,timezone", "s2,Europe/London", "name", "out_of_range"},
	{StoresTable, "id,name,timezone,lat", "s2,Shop,UTC,91", "lat", "out_of_range"},
	{StoresTable, "id,name,timezone,lon", "s2,Shop,UTC,NaN", "lon", "out_of_range"},
	{StoresTable, "id,name,timezone,price_zone", "s2,Shop,UTC,a/b", "price_zone", "out_of_range"},
	{StoresTable, "id,name,timezone,primary_agent", "s2,Shop,UTC,hub", "primary_agent", "out_of_range"},
	{StoresTable, "id,name,timezone,opening_hours", "s2,Shop,UTC,8 to 20", "opening_hours", "out_of_range"},
	{StoresTable, "id,name,timezone,cash_rounding_minor", "s2,Shop,UTC,-5", "cash_rounding_minor", "out_of_range"},
	{PricesTable, "zone,code,price_minor,valid_from", "default,P,,2026-01-01", "price_minor", "out_of_range"},
	{PricesTable, "code,price_minor,valid_from", "P,1,2026-01-01", "zone", "out_of_range"},
	{PricesTable, "zone,code,price_minor,valid_from", "default,,1,2026-01-01", "code", "out_of_range"},
	{PricesTable, "zone,code,price_minor,valid_from", "default,NO,1,2026-01-01", "code", "unknown_code"},
	{PricesTable, "zone,code,price_minor,valid_from", "default,CASE,1,2026-01-01", "code", "out_of_range"},
	{PricesTable, "zone,code,price_minor,valid_from", "default,BOTH,1,2026-01-01", "code", "conflict"},
	{PricesTable, "zone,code,price_minor,valid_from", "default,P,1,", "valid_from", "out_of_range"},
	{PricesTable, "zone,code,price_minor,valid_from", "default,P,1,21.11.2026", "valid_from", "out_of_range"},
	{PricesTable, "zone,code,price_minor,valid_from", "default,P,1,2026-02-30", "valid_from", "out_of_range"},
	{PricesTable, "zone,code,price_minor,valid_from,valid_to", "default,P,1,2026-02-02,2026-02-02", "valid_to", "out_of_range"},
	{TaxesTable, "zone,tax_code,rate_ppm,valid_from", "default,STD,0.2,2026-01-01", "rate_ppm", "out_of_range"},
	{TaxesTable, "zone,tax_code,rate_ppm,valid_from", "default,,1,2026-01-01", "tax_code", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,n,price_minor", "default,a,A,n_for_price,2026-01-01,3,", "price_minor", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,n,price_minor", "default,a,A,n_for_price,2026-01-01,,500", "n", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,n,price_minor", "default,a,A,n_for_price,2026-01-01,1001,500", "n", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,n,price_minor,currency", "default,a,A,n_for_price,2026-01-01,2,500,pounds", "currency", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,n,free", "default,a,A,cheapest_free,2026-01-01,3,3", "free", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,n,free", "default,a,A,cheapest_free,2026-01-01,3,", "free", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm", "default,a,A,percent,2026-01-01,", "rate_ppm", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm", "default,a,A,percent,2026-01-01,1000001", "rate_ppm", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm,limit", "default,a,A,percent,2026-01-01,100000,1", "limit", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm,skus", "default,a,A,percent,2026-01-01,100000,P NO", "skus", "unknown_code"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm,skus", "default,a,A,percent,2026-01-01,100000,BOTH", "skus", "conflict"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm,skus", "default,a,A,percent,2026-01-01,100000,[1]", "skus", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm,skus,category", "default,a,A,percent,2026-01-01,100000,P,pens", "category", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm,hours", "default,a,A,percent,2026-01-01,100000,at night", "hours", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm,coupon", "default,a,A,percent,2026-01-01,100000,4111111111111111", "coupon", "card_number"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm,members_only", "default,a,A,percent,2026-01-01,100000,maybe", "members_only", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm,valid_to", "default,a,A,percent,2026-01-01,100000,2026-01-01", "valid_to", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,amount_minor", "default,a,A,amount_off,2026-01-01,", "amount_minor", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,amount_minor,skus", "default,a,A,amount_off,2026-01-01,500,P", "skus", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,amount_minor,category", "default,a,A,amount_off,2026-01-01,500,pens", "category", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm", "default,a,A,half_price,2026-01-01,500000", "kind", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm", "default,a,A,,2026-01-01,500000", "kind", "out_of_range"},
	{PromotionsTable, "zone,id,kind,valid_from,rate_ppm", "default,a,percent,2026-01-01,1", "name", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,rate_ppm", "default,a,A,percent,1", "valid_from", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm", "default,,A,percent,2026-01-01,1", "id", "out_of_range"},
	{PromotionsTable, "zone,id,name,kind,valid_from,rate_ppm", "de fault,a,A,percent,2026-01-01,1", "zone", "out_of_range"},
	{StockTable, "code,on_hand", "P,-1", "on_hand", "out_of_range"},
	{StockTable, "code,on_hand", "P,1.2345", "on_hand", "out_of_range"},
	{StockTable, "code,on_hand", "P,", "on_hand", "out_of_range"},
	{StockTable, "code,on_hand", "NO,1", "code", "unknown_code"},
}

func TestImportRefusesRows(t *testing.T) {
	for _, tt := range refusedRows {
		t.Run(string(tt.table)+" "+tt.columns+" "+tt.row[:min(len(tt.row), 40)], func(t *testing.T) {
			h := importHub(t)
			mustTakeIn(t, h, StoresTable, "id,name,timezone\ns1,High Street,Europe/London\n")
			mustTakeIn(t, h, ItemsTable, "sku,name,codes\nP,Pen,CASE*12 BOTH\nQ,Quill,BOTH\n")
			report, err := takeIn(t, h, tt.table, FormatCSV, tt.columns+"\n"+tt.row+"\n")
			if err != nil || report.Rejected != 1 || len(report.Errors) != 1 || !report.NothingGood() {
				t.Fatalf("%+v, %v", report, err)
			}
			got := report.Errors[0]
			field := ""
			if got.Field != nil {
				field = *got.Field
			}
			if field != tt.field || string(got.Code) != tt.code || got.Row != 1 || got.Message == "" {
				t.Errorf("refused for %s (%s): %+v", field, got.Code, got)
			}
		})
	}
}
