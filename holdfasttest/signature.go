package holdfasttest

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// sign returns what a provider adds to thinking so that it knows it again: base64 that only the same dialect accepts.
func sign(d Dialect, model string, n int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "holdfasttest %s %s %d", d, model, n))
}

// signed reports whether a signature was made by a server of the dialect, and for which model.
func signed(d Dialect, signature string) (model string, ok bool) {
	b, err := base64.StdEncoding.DecodeString(signature)
	rest, ok := strings.CutPrefix(string(b), "holdfasttest "+string(d)+" ")
	if err != nil || !ok {
		return "", false
	}
	model, _, ok = strings.Cut(rest, " ")
	return model, ok
}
