package rawh2

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"time"
)

// preface is what a client sends first (RFC 9113 §3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// maxFrame is the largest payload that needs no agreement (RFC 9113 §4.2).
const maxFrame = 16 << 10

// past is a deadline that has passed, in a bubble too.
var past = time.Unix(1, 0)

// kind is the type of a frame (RFC 9113 §6).
type kind byte

const (
	data        kind = 0x0
	headers     kind = 0x1
	resetStream kind = 0x3
	settings    kind = 0x4
	ping        kind = 0x6
	goaway      kind = 0x7
	window      kind = 0x8
)

// The flags of frames. A flag's meaning depends on the frame's kind.
const (
	endStream  = 0x1 // of data and headers
	ack        = 0x1 // of settings and ping
	endHeaders = 0x4
)

// Code is why a stream or a connection ends (RFC 9113 §7).
type Code uint32

// The codes.
const (
	NoError         Code = 0x0
	ProtocolError   Code = 0x1
	InternalError   Code = 0x2
	RefusedStream   Code = 0x7
	Cancel          Code = 0x8
	EnhanceYourCalm Code = 0xb
	HTTP11Required  Code = 0xd
)

func codeOf(payload []byte) Code { return Code(binary.BigEndian.Uint32(payload)) }

// frame is one frame.
type frame struct {
	kind    kind
	flags   byte
	stream  uint32
	payload []byte
}

func readFrame(r io.Reader) (frame, error) {
	var head [9]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{
		kind: kind(head[3]), flags: head[4], stream: binary.BigEndian.Uint32(head[5:]) &^ (1 << 31),
		payload: make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2])),
	}
	if len(f.payload) > maxFrame {
		return frame{}, fmt.Errorf("rawh2: a frame of %d bytes", len(f.payload))
	}
	_, err := io.ReadFull(r, f.payload)
	return f, err
}

func (f frame) bytes() []byte {
	n := len(f.payload)
	b := append(make([]byte, 0, 9+n), byte(n>>16), byte(n>>8), byte(n), byte(f.kind), f.flags)
	b = binary.BigEndian.AppendUint32(b, f.stream)
	return append(b, f.payload...)
}

func windowUpdate(stream uint32, n int) frame {
	return frame{kind: window, stream: stream, payload: binary.BigEndian.AppendUint32(nil, uint32(n))}
}

func rstStream(stream uint32, c Code) frame {
	return frame{kind: resetStream, stream: stream, payload: binary.BigEndian.AppendUint32(nil, uint32(c))}
}

func goAway(last uint32, c Code) frame {
	return frame{kind: goaway, payload: binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), uint32(c))}
}

// responseHeaders encodes both fields as literals that are not indexed, with names from the static table (RFC 7541 §6.2.2 and
// Appendix A: 8 is :status, 31 is content-type, which takes a second byte for 31-15).
func responseHeaders(stream uint32, status int, contentType string) frame {
	code := strconv.Itoa(status)
	block := append([]byte{8, byte(len(code))}, code...)
	block = append(block, 0x0f, 31-15, byte(len(contentType)))
	block = append(block, contentType...)
	return frame{kind: headers, flags: endHeaders, stream: stream, payload: block}
}
