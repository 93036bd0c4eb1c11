package process

import "strings"

// Ready is where a process serves.
type Ready struct {
	HTTP string // HOST:PORT
	MQTT string // HOST:PORT, of a hub with the embedded broker
}

func (r Ready) addrs() []string {
	if r.HTTP == "" {
		return nil
	}
	return []string{r.HTTP, r.MQTT}
}

// parseReady reads the line `ready http=HOST:PORT mqtt=HOST:PORT`. Members that
// it does not know are no reason to refuse it.
func parseReady(line string) (Ready, bool) {
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "ready" {
		return Ready{}, false
	}
	var ready Ready
	for _, word := range words[1:] {
		switch name, addr, _ := strings.Cut(word, "="); name {
		case "http":
			ready.HTTP = addr
		case "mqtt":
			ready.MQTT = addr
		}
	}
	return ready, ready.HTTP != ""
}
