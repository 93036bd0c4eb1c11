package api

import "net/http"

// principal is who may use a route.
type principal string

// The principals. An operator may do what a shop may do.
const (
	operator principal = "operator"
	shop     principal = "shop"
	agent    principal = "agent"
	anyone   principal = "anyone"
)

// Limits of request bodies in bytes.
const (
	noBody     = 0
	uploadMax  = 512 << 20
	queryMax   = 8 << 10
	listingMax = 1000
)

// route is one address of the interface.
type route struct {
	method  string
	pattern string // as http.ServeMux reads it
	who     principal
	bodyMax int64
	query   []string // the parameters that it knows; nil leaves them to the handler
	handle  func(http.ResponseWriter, *http.Request) error
}

// routes is the table of everything that the hub answers.
func (s *server) routes() []route {
	page := []string{"limit", "after"}
	none := []string{}
	return append(s.memberRoutes(), []route{
		{"GET", "/v1/connect", agent, noBody, none, s.connect},
		{"GET", "/v1/snapshots/{feed...}", agent, noBody, none, s.snapshot},
		{"GET", "/v1/stores/{store}/order-keys", agent, noBody, []string{"orders"}, s.orderKeys},

		{"PUT", "/v1/items", operator, uploadMax, none, s.upload("items")},
		{"PUT", "/v1/stores", operator, uploadMax, none, s.upload("stores")},
		{"PUT", "/v1/prices", operator, uploadMax, none, s.upload("prices")},
		{"PUT", "/v1/taxes", operator, uploadMax, none, s.upload("taxes")},
		{"PUT", "/v1/promotions", operator, uploadMax, none, s.upload("promotions")},
		{"GET", "/v1/promotions", operator, noBody, page, s.promotions},
		{"PUT", "/v1/stock", operator, uploadMax, []string{"store"}, s.upload("stock")},
		{"GET", "/v1/loads/{id}", operator, noBody, none, s.load},

		{"PUT", "/v1/policy", operator, policyBytesMax, none, s.setPolicy},
		{"GET", "/v1/policy", operator, noBody, page, s.policies},
		{"PUT", "/v1/programme", operator, programmeBytesMax, none, s.setProgramme},
		{"GET", "/v1/programme", operator, noBody, page, s.programmes},

		{"GET", "/v1/availability", shop, noBody, []string{"code", "store", "near", "radius_km", "limit"}, s.availability},
		{"GET", "/v1/stock", shop, noBody, []string{"store"}, s.stock},
		{"GET", "/v1/sales", shop, noBody, []string{"store", "from", "to"}, s.sales},
		{"GET", "/v1/sales/{receipt_no}", shop, noBody, none, s.sale},
		{"POST", "/v1/orders", shop, orderBytesMax, none, s.placeOrder},
		{"GET", "/v1/orders", operator, noBody, []string{"store", "state", "number", "limit", "after"}, s.orders},
		{"GET", "/v1/orders/{id}", shop, noBody, none, s.order},
		{"POST", "/v1/orders/{id}/{action}", shop, orderBytesMax, none, s.actOnOrder},
		{"GET", "/v1/feeds/local-inventory.tsv", shop, noBody, none, s.localInventory("tsv")},
		{"GET", "/v1/feeds/local-inventory.xml", shop, noBody, none, s.localInventory("xml")},
		{"GET", "/v1/feeds/items/{file}", shop, noBody, []string{"store"}, s.product},
		{"GET", "/v1/webhooks", shop, noBody, page, s.webhooks},
		{"POST", "/v1/webhooks", shop, webhookBytesMax, none, s.addWebhook},
		{"DELETE", "/v1/webhooks/{id}", shop, noBody, none, s.dropWebhook},
		{"POST", "/v1/webhooks/{id}/replay", shop, webhookBytesMax, none, s.replayWebhook},
		{"GET", "/v1/webhooks/{id}/dead", shop, noBody, page, s.deadWebhooks},
		{"POST", "/v1/holds", shop, orderBytesMax, none, s.hold},
		{"DELETE", "/v1/holds/{id}", shop, noBody, none, s.releaseHold},
		{"GET", "/v1/stores", shop, noBody, page, s.stores},
		{"GET", "/v1/agents", operator, noBody, page, s.agents},
		{"GET", "/v1/exceptions", operator, noBody, []string{"state", "limit", "after"}, s.exceptions},
		{"POST", "/v1/exceptions/{id}/{action}", operator, orderBytesMax, none, s.handleException},
		{"GET", "/v1/transfers", operator, noBody, []string{"state", "limit", "after"}, s.transfers},
		{"GET", "/v1/status", operator, noBody, none, s.status},
		{"GET", "/v1/backup", operator, noBody, none, s.backup},

		{"GET", "/metrics", anyone, noBody, nil, s.metrics},
		{"GET", "/healthz", anyone, noBody, nil, s.healthz},
		{"GET", "/readyz", anyone, noBody, nil, s.readyz},
		{"GET", "/openapi.json", anyone, noBody, nil, s.openapi},

		// The pages, private to this program.
		{"GET", "/{$}", operator, noBody, nil, s.showPage},
		{"GET", "/fleet", operator, noBody, nil, s.showPage},
		{"GET", "/live", operator, noBody, nil, s.showPage},
		{"GET", "/members", operator, noBody, nil, s.showPage},
		{"GET", "/members/found", operator, noBody, []string{"q"}, s.showPage},
		{"GET", "/assets/{file}", anyone, noBody, nil, s.showPage},
	}...)
}

// memberRoutes are those about members, and about carts of who is not one yet.
func (s *server) memberRoutes() []route {
	none := []string{}
	return []route{
		{"POST", "/v1/members", shop, memberBytesMax, none, s.enrolMember},
		{"GET", "/v1/members", shop, noBody, []string{"card", "phone", "email"}, s.members},
		{"GET", "/v1/members/{id}", shop, noBody, none, s.member},
		{"PATCH", "/v1/members/{id}", shop, memberBytesMax, none, s.changeMember},
		{"DELETE", "/v1/members/{id}", operator, noBody, none, s.eraseMember},
		{"GET", "/v1/members/{id}/export", operator, noBody, none, s.exportMember},
		{"POST", "/v1/members/{id}/points", operator, pointsBytesMax, none, s.adjustPoints},
		{"POST", "/v1/members/{id}/credit", operator, pointsBytesMax, none, s.adjustCredit},
		{"GET", "/v1/members/{id}/accounts", shop, noBody, none, s.memberAccounts},
		{"POST", "/v1/gift-cards", operator, pointsBytesMax, none, s.issueGiftCard},
		{"GET", "/v1/gift-cards/{code}", shop, noBody, []string{"currency"}, s.giftCard},
		{"POST", "/v1/gift-cards/{code}/adjust", operator, pointsBytesMax, none, s.adjustGiftCard},
		{"POST", "/v1/offers", operator, memberBytesMax, none, s.issueOffers},
		{"POST", "/v1/offers/{id}/withdraw", operator, pointsBytesMax, none, s.withdrawOffer},
		{"POST", "/v1/members/{id}/merge", operator, pointsBytesMax, none, s.mergeMember},
		{"POST", "/v1/members/{id}/unmerge", operator, pointsBytesMax, none, s.unmergeMember},
		{"GET", "/v1/members/{id}/leases", operator, noBody, none, s.memberLeases},
		{"POST", "/v1/members/{id}/leases/{holder}/credit", operator, pointsBytesMax, none, s.creditLease},
		{"POST", "/v1/members/{id}/visit", agent, pointsBytesMax, none, s.visit},
		{"GET", "/v1/members/{id}/cart", shop, noBody, none, s.memberCart},
		{"POST", "/v1/members/{id}/cart/ops", shop, memberBytesMax, none, s.changeCart},
		{"POST", "/v1/members/{id}/cart/merge", shop, memberBytesMax, none, s.mergeCart},
		{"GET", "/v1/members/{id}/timeline", shop, noBody, []string{"limit", "after"}, s.timeline},
		{"POST", "/v1/members/{id}/timeline", shop, memberBytesMax, none, s.writeContact},
		{"POST", "/v1/members/{id}/timeline/{entry}/close", shop, memberBytesMax, none, s.closeEntry},
		{"POST", "/v1/carts", shop, memberBytesMax, none, s.newCart},
		{"GET", "/v1/carts/{id}", shop, noBody, none, s.guestCart},
		{"POST", "/v1/carts/{id}/ops", shop, memberBytesMax, none, s.changeGuestCart},
	}
}

func (s *server) showPage(w http.ResponseWriter, r *http.Request) error {
	s.page.ServeHTTP(w, r)
	return nil
}
