package webhooks

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"counterpart/protocol"
)

// TestPrivateAddresses refuses what is not of the public internet at the
// registration, and at the dial, where a name may lead elsewhere than before.
func TestPrivateAddresses(t *testing.T) {
	for _, text := range []string{
		"127.0.0.1", "127.8.8.8", "::1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "fe80::1", "fd00::1", "100.64.0.1", "100.127.255.255",
		"224.0.0.1", "ff02::1", "0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "240.0.0.1", "192.0.0.8", "198.18.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1",
		"64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "2001:db8::1", "fec0::1", "fe80::1%eth0", "192.0.2.1", "198.51.100.1", "203.0.113.1",
	} {
		if a := netip.MustParseAddr(text); public(a) {
			t.Errorf("%s counts as public", text)
		}
	}
	for _, text := range []string{"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "192.169.0.1"} {
		if !public(netip.MustParseAddr(text)) {
			t.Errorf("%s does not count as public", text)
		}
	}
	strict := rules{}
	for _, url := range []string{
		"https://127.0.0.1/", "https://localhost/", "https://[::1]:8443/", "https://10.0.0.1/x", "https://[::ffff:192.168.0.1]/", "http://8.8.8.8/", "ftp://8.8.8.8/", "8.8.8.8", "",
		"https:///x", "https://u:p@8.8.8.8/", "https://8.8.8.8/#f", "https://no-such-name.invalid/", "https://8.8.8.8/" + strings.Repeat("x", 2048), "https://[fe80::1%25eth0]/",
	} {
		if err := strict.checkURL(t.Context(), url); protocol.CodeOf(err) != protocol.OutOfRangeCode {
			t.Errorf("%.40q: %v", url, err)
		}
	}
	if err := strict.checkURL(t.Context(), "https://8.8.8.8/hook"); err != nil {
		t.Errorf("a public address: %v", err)
	}
	to := newShop(t, always(http.StatusOK))
	for _, address := range []string{to.URL, strings.Replace(to.URL, "127.0.0.1", "localhost", 1)} {
		s := &Sender{o: newHub(t).options(), client: strict.client()}
		if got := s.deliver(t.Context(), &endpoint{URL: address, Secret: make(secret, 24)}, &Message{ID: "msg_1"}); got.err != errPrivate.Error() || len(to.got) > 0 {
			t.Errorf("%s was dialled: %+v", address, got)
		}
	}
}
