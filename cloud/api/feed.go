package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"

	"counterpart/protocol"
)

// LocalItem is an item in a store as search engines read it.
type LocalItem struct {
	Store        protocol.StoreID
	SKU          protocol.SKU
	Quantity     int64
	Price        string // decimal
	Currency     string
	Availability string
}

const outOfStock = "out_of_stock"

// localForm is a way of writing Google's local inventory. Files with tabs spell
// names with spaces, XML with underscores.
type localForm struct {
	kind       string
	begin, end string
	row        func(io.Writer, *LocalItem) error
}

var localForms = map[string]localForm{
	"tsv": {
		kind:  "text/tab-separated-values; charset=utf-8",
		begin: "store code\tid\tquantity\tprice\tavailability\tpickup method\tpickup sla\n",
		row:   writeLocalTabs,
	},
	"xml": {
		kind: "application/xml",
		begin: `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0">` + "\n" +
			"<channel>\n<title>Local inventory</title>\n<link>/v1/feeds/local-inventory.xml</link>\n<description>What the stores have</description>\n",
		end: "</channel>\n</rss>\n",
		row: writeLocalXML,
	},
}

func writeLocalTabs(w io.Writer, i *LocalItem) error {
	method, sla := "buy", "same_day"
	if i.Availability == outOfStock {
		method, sla = "not supported", ""
	}
	_, err := io.WriteString(w, strings.Join([]string{
		string(i.Store), string(i.SKU), strconv.FormatInt(i.Quantity, 10), i.Price + " " + i.Currency, i.Availability, method, sla,
	}, "\t")+"\n")
	return err
}

func writeLocalXML(w io.Writer, i *LocalItem) error {
	members := [][2]string{
		{"store_code", string(i.Store)},
		{"id", string(i.SKU)},
		{"quantity", strconv.FormatInt(i.Quantity, 10)},
		{"price", i.Price + " " + i.Currency},
		{"availability", i.Availability},
	}
	if i.Availability == outOfStock {
		members = append(members, [2]string{"pickup_method", "not_supported"})
	} else {
		members = append(members, [2]string{"pickup_method", "buy"}, [2]string{"pickup_sla", "same_day"})
	}
	var b bytes.Buffer
	b.WriteString("<item>")
	for _, m := range members {
		b.WriteString("<g:" + m[0] + ">")
		if err := xml.EscapeText(&b, []byte(m[1])); err != nil {
			return err
		}
		b.WriteString("</g:" + m[0] + ">")
	}
	b.WriteString("</item>\n")
	_, err := w.Write(b.Bytes())
	return err
}

// localInventory sends what all stores have while it is found. As with listings,
// a file that breaks off lacks its final chunk.
func (s *server) localInventory(form string) func(http.ResponseWriter, *http.Request) error {
	f := localForms[form]
	return func(w http.ResponseWriter, r *http.Request) error {
		out := bufio.NewWriterSize(&patientWriter{w, s.patience(w)}, listingBufferBytes)
		w.Header().Set("Content-Type", f.kind)
		w.Header().Set("Cache-Control", "no-store")
		if _, err := out.WriteString(f.begin); err != nil {
			return err
		}
		if err := s.deps.LocalInventory(r.Context(), func(i LocalItem) error { return f.row(out, &i) }); err != nil {
			return err
		}
		if _, err := out.WriteString(f.end); err != nil {
			return err
		}
		return out.Flush()
	}
}

const productSuffix = ".jsonld"

// product shows an item in a store for the shop's page of it.
func (s *server) product(w http.ResponseWriter, r *http.Request) error {
	code, ok := strings.CutSuffix(r.PathValue("file"), productSuffix)
	if !ok || code == "" {
		return errNothingHere
	}
	p := parametersOf(r)
	store := protocol.StoreID(p.required("store"))
	if p.err != nil {
		return p.err
	}
	doc, err := s.deps.Product(r.Context(), code, store)
	if err != nil {
		return err
	}
	body, err := json.Marshal(doc) // < and > are escaped, so that it can stand in a page
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/ld+json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n')) // fails only when the reader is gone
	return nil
}
