package holdfast

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	defaultConnectTimeout = 10 * time.Second
	// maxHeaderBytes bounds the answer's headers.
	maxHeaderBytes = 256 << 10
	// idleConnsPerHost keeps connections of busy services alive; net/http's own default of 2 makes them reconnect.
	idleConnsPerHost = 100
	idleConnTimeout  = 90 * time.Second
	// pingAfter is how long an HTTP/2 connection may be silent before a ping asks whether the peer is still there, and how long it may
	// take none of what is written to it: a peer that only sends answers no ping's absence.
	pingAfter = 15 * time.Second
	// maxCAFile bounds what is read of a file of certificate authorities.
	maxCAFile = 1 << 20
	// ioBuffer is the size of a connection's buffers: larger than net/http's 4 KiB, for bursts of a stream.
	ioBuffer = 16 << 10
)

// errConnectTimeout is the cause when Timeouts.Connect ends a dial.
var errConnectTimeout = errors.New("no connection within the connect timeout")

// newTransport builds the transport of one endpoint.
func (e *Endpoint) newTransport(c *Config) (*http.Transport, error) {
	timeouts := e.timeouts(c)
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer(c.Dial, timeouts.Connect),
		TLSHandshakeTimeout:    timeouts.Connect,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConnsPerHost:    idleConnsPerHost,
		IdleConnTimeout:        idleConnTimeout,
		DisableCompression:     true, // asked for by us where it is wanted; a stream must not be held back by a compressor
		ForceAttemptHTTP2:      true,
		ReadBufferSize:         ioBuffer,
		WriteBufferSize:        ioBuffer,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, WriteByteTimeout: pingAfter},
		OnProxyConnectResponse: proxyAnswered,
	}
	switch e.Proxy {
	case "":
	case "direct":
		t.Proxy = nil
	default:
		proxy, err := url.Parse(e.Proxy)
		if err != nil {
			return nil, err
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	var err error
	t.TLSClientConfig, err = e.tlsConfig(c)
	return t, err
}

// proxyAnswered tells a proxy's refusal from other failures. net/http's own error would be just what the proxy wrote.
func proxyAnswered(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &Error{Kind: KindProxy, Phase: PhaseBeforeSend, Message: fmt.Sprintf("the proxy answered CONNECT with %d", answer.StatusCode)}
}

func (e *Endpoint) timeouts(c *Config) Timeouts {
	return Timeouts{
		Connect:        cmp.Or(e.Timeouts.Connect, c.Timeouts.Connect, defaultConnectTimeout),
		Headers:        cmp.Or(e.Timeouts.Headers, c.Timeouts.Headers),
		Hedge:          cmp.Or(e.Timeouts.Hedge, c.Timeouts.Hedge),
		FirstContent:   cmp.Or(e.Timeouts.FirstContent, c.Timeouts.FirstContent),
		BetweenContent: cmp.Or(e.Timeouts.BetweenContent, c.Timeouts.BetweenContent),
		Total:          cmp.Or(e.Timeouts.Total, c.Timeouts.Total),
	}
}

func (e *Endpoint) tlsConfig(c *Config) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		conf = c.TLS.Clone()
	}
	if e.ServerName != "" {
		conf.ServerName = e.ServerName
	}
	if e.CAFile == "" {
		return conf, nil
	}
	f, err := os.Open(e.CAFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxCAFile))
	if err != nil {
		return nil, err
	}
	conf.RootCAs = x509.NewCertPool()
	if !conf.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", e.CAFile)
	}
	return conf, nil
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer bounds connecting, with the caller's own dial function or the system's.
func dialer(dial dialFunc, timeout time.Duration) dialFunc {
	if dial == nil {
		dial = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3}}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		bounded, cancel := context.WithTimeoutCause(ctx, timeout, errConnectTimeout)
		defer cancel()
		conn, err := dial(bounded, network, addr)
		if err != nil && ctx.Err() == nil && bounded.Err() != nil {
			err = errConnectTimeout
		}
		return conn, err
	}
}
