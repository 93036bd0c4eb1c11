package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"counterpart/protocol"
)

const (
	urlBytesMax     = 2048
	resolvePatience = 5 * time.Second
	dialPatience    = 10 * time.Second
	answerPatience  = 20 * time.Second
	headerBytesMax  = 64 << 10
)

// reserved are the addresses that lead to this machine, to its network or to
// nowhere, besides those that netip knows by name. Where an IPv6 range carries
// an IPv4 address, the whole range is shut.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carriers' own
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), // Teredo among others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// errPrivate is returned for an address that is not of the public internet.
var errPrivate = errors.New("the address is not one of the public internet")

// public tells whether an address belongs to the public internet.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false // loopback, link-local, multicast and unspecified are no global unicast
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// rules say which addresses may be called.
type rules struct {
	allowPrivate, allowHTTP bool
}

// checkURL refuses an address that must not be called, by its form and by where
// its name leads now. Where it leads later is checked at each dial.
func (r rules) checkURL(ctx context.Context, text string) error {
	wrong := func(rule string) error { return protocol.OutOfRange("url", "", rule) }
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > urlBytesMax || !u.IsAbs() || u.Hostname() == "":
		return wrong("not an absolute address of at most 2048 bytes")
	case u.Scheme != "https" && (u.Scheme != "http" || !r.allowHTTP):
		return wrong("not https")
	case u.User != nil:
		return wrong("not free of a name and password; the signature says who sends")
	case u.Fragment != "":
		return wrong("not free of a fragment")
	}
	if r.allowPrivate {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil || len(list) == 0 {
		return &protocol.Error{
			Code: protocol.OutOfRangeCode, Members: map[string]any{"field": "url"}, Err: err,
			Message: "The name in the address of the webhook is not found. Nothing was recorded. Check it, and the hub's name server.",
		}
	}
	for _, a := range list {
		if !public(a) {
			return wrong("not of the public internet (allow it with --webhooks-allow-private)")
		}
	}
	return nil
}

// control is asked for each connection, when its name has become an address: a
// name that leads elsewhere than at its registration changes nothing.
func (r rules) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errPrivate, err)
	}
	if !r.allowPrivate && !public(to.Addr()) {
		return errPrivate
	}
	return nil
}

// client calls endpoints. It goes through no proxy, which would dial in its
// place, and follows no redirection.
func (r rules) client() *http.Client {
	dialer := &net.Dialer{Timeout: dialPatience, Control: r.control}
	return &http.Client{
		Timeout:       answerPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: dialPatience, ResponseHeaderTimeout: answerPatience, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: parallelMax, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: headerBytesMax, DisableCompression: true,
		},
	}
}
