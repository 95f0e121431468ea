package holdfast

import (
	"context"
	"errors"
	"net/netip"

	"github.com/holdfast-ai/holdfast/internal/geo"
)

// caller is what a context says of the client on whose behalf a call is made.
type caller struct {
	country string     // "" if the context names none
	addr    netip.Addr // meaningful if hasAddr
	hasAddr bool
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// WithClientIP returns a context for calls made on behalf of the client at addr, so that endpoints are chosen by the client's
// country as [Config].GeoIP knows it. [ClientIP] takes the address from an HTTP request. If the country cannot be told, because
// addr is private, unknown or the zero Addr, or there is no database, it is unknown: [Config].Fallback comes first then, and the
// service's own country is not assumed. The address is used for this only: it appears in no Trail, error or log.
func WithClientIP(ctx context.Context, addr netip.Addr) context.Context {
	c := callerOf(ctx)
	c.addr, c.hasAddr = addr, true
	return context.WithValue(ctx, callerKey{}, c)
}

// WithClientCountry returns a context for calls made on behalf of a client in a country, an ISO 3166-1 alpha-2 code in
// capitals such as "CN". It goes before [WithClientIP]; "" takes it back. What is no such code, such as the "XX" and "T1" of
// some proxies, means that the country is unknown.
func WithClientCountry(ctx context.Context, country string) context.Context {
	c := callerOf(ctx)
	c.country = country
	return context.WithValue(ctx, callerKey{}, c)
}

// locator tells the country of the client on whose behalf a call is made. Safe for concurrent use.
type locator struct {
	own string        // the service's own country
	db  *geo.Database // nil without Config.GeoIP
}

// newLocator never fails: a database that is missing or broken is found out, or found mended, by each call.
func newLocator(database, own string) *locator {
	l := &locator{own: own}
	if database != "" {
		l.db = geo.Open(database)
	}
	return l
}

// country returns the client's country, "" if it is unknown, and for the Trail where it came from or why it is unknown. The
// client's address is personal data and is not part of that.
func (l *locator) country(ctx context.Context) (code, from string) {
	c := callerOf(ctx)
	switch {
	case c.country != "" && validCountry(c.country):
		return c.country, "caller"
	case c.country != "":
		return "", "caller: not an ISO 3166-1 alpha-2 code"
	case c.hasAddr && l.db == nil:
		return "", "GeoIP: no database configured"
	case c.hasAddr:
		return l.lookup(c.addr)
	case l.own != "":
		return l.own, "configured"
	}
	return "", "no client named and no country configured"
}

func (l *locator) lookup(addr netip.Addr) (code, from string) {
	code, err := l.db.Lookup(addr)
	if err != nil {
		return "", "GeoIP: " + err.Error()
	}
	// The answer may come from an older database than the one that lies there now: an operator should see that.
	var problem geo.Reason
	if errors.As(l.db.Problem(), &problem) {
		return code, "GeoIP, last good one: " + string(problem)
	}
	return code, "GeoIP"
}
