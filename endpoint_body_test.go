package holdfast

import (
	"io"
	"testing"
)

// A transport may close a body while another of its goroutines is about to read it. What is read then must not be the next
// request's body, which is encoded in the same memory.
func TestClosedBodyIsNotRead(t *testing.T) {
	t.Parallel()
	x := &exchange{buffer: new([]byte), body: []byte("one request's body")}
	body := x.open()
	if n, err := body.Read(make([]byte, 4)); n != 4 || err != nil {
		t.Fatalf("got %d bytes and %v, want 4", n, err)
	}
	x.release()
	if x.buffer == nil {
		t.Error("the memory was given away while a body was open")
	}
	for range 2 { // the second Close counts for nothing
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
	if n, err := body.Read(make([]byte, 4)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("after Close: got %d bytes and %v, want none and an error", n, err)
	}
	if got := x.out.Load(); got != 0 {
		t.Errorf("got %d bodies out, want 0", got)
	}
	x.release()
	if x.buffer != nil {
		t.Error("the memory was not given back")
	}
}
