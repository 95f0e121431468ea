// Package geo tells the country of an IP address from a MaxMind database file.
package geo

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/geoip2-golang/v2"
)

// checkEvery is how often, at most, the file is looked at for a change, and how long a file that is being overwritten in
// place must have been quiet before it is read.
const checkEvery = time.Second

// maxSize bounds what is read into memory. The largest databases have some hundred megabytes.
const maxSize = 1 << 30

// Database is a database file that may appear, change and vanish while it is used. Safe for concurrent use.
//
// The file is read into memory, not mapped: a mapped file that its updater truncates kills the process with SIGBUS, and no
// recover helps. There is no watcher: a lookup that comes at least a second after the last look at the file looks again, and
// reads it if it changed, while other lookups go on with the old database. A new file that is bad, or gone, leaves the old
// one in use; [Database.Problem] tells.
type Database struct {
	path   string
	opened time.Time
	due    atomic.Int64 // when the file is looked at again, as nanoseconds since opened
	state  atomic.Pointer[state]

	mu   sync.Mutex  // held by the one goroutine that looks at the file
	read os.FileInfo // the file as it was last read, good or bad
	seen os.FileInfo // a change that was seen at the last look and not read yet
}

// state is what lookups use. It is never changed, only replaced.
type state struct {
	reader  *geoip2.Reader // nil until a good file was read
	problem Reason         // why the file as it is now is not in use; "" if it is
}

// Open reads the database. It does not fail: as long as there is no good file at path, lookups return the reason. An empty path
// means no database.
func Open(path string) *Database {
	d := &Database{path: path, opened: time.Now()}
	d.state.Store(&state{problem: Missing})
	if path != "" {
		d.due.Store(int64(checkEvery))
		d.look()
	}
	return d
}

// Problem returns why the file as it is now is not in use, or nil if it is. While it is not, lookups use the last good one, if
// there was one.
func (d *Database) Problem() error {
	if p := d.state.Load().problem; p != "" {
		return p
	}
	return nil
}

// Lookup returns the country in which the address is, as an ISO 3166-1 alpha-2 code, or a [Reason]. It is the country of
// the location, not the one in which the address block is registered. An IPv4-mapped address is looked up as IPv4, and a
// zone is ignored.
func (d *Database) Lookup(addr netip.Addr) (country string, err error) {
	if r := special(addr); r != "" {
		return "", r
	}
	if d.path != "" {
		d.lookIfDue()
	}
	s := d.state.Load()
	if s.reader == nil {
		return "", s.problem
	}
	country, r := lookup(s.reader, addr.WithZone("").Unmap())
	if r != "" {
		return "", r
	}
	return country, nil
}

var cgnat = netip.MustParsePrefix("100.64.0.0/10")

// special returns why an address can have no country, or "". The ranges for documentation are not among them: databases
// made for tests use them.
func special(addr netip.Addr) Reason {
	addr = addr.Unmap()
	switch {
	case !addr.IsValid():
		return Invalid
	case addr.IsUnspecified():
		return Unspecified
	case addr.IsLoopback():
		return Loopback
	case addr.IsLinkLocalUnicast():
		return LinkLocal
	case addr.IsPrivate():
		return Private
	case addr.IsMulticast():
		return Multicast
	case cgnat.Contains(addr):
		return CGNAT
	}
	return ""
}

// lookup asks a reader, and does not trust what is in it.
func lookup(reader *geoip2.Reader, addr netip.Addr) (country string, r Reason) {
	// The reader checks its bounds; should damage find a way past the checks, it must cost this answer and not the process.
	defer func() {
		if recover() != nil {
			country, r = "", Corrupt
		}
	}()
	if addr.Is6() && reader.Metadata().IPVersion == 4 {
		return "", NotFound
	}
	record, err := reader.Country(addr)
	var wrong geoip2.InvalidMethodError
	switch {
	case errors.As(err, &wrong):
		return "", WrongType
	case err != nil:
		return "", Corrupt
	case record.Country.ISOCode != "":
		return code(record.Country.ISOCode)
	case record.HasData():
		return "", NoCountry
	}
	return "", NotFound
}

// code lets nothing but two capital letters out.
func code(s string) (string, Reason) {
	if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return "", Corrupt
	}
	return s, ""
}

// lookIfDue lets one lookup a second look at the file.
func (d *Database) lookIfDue() {
	now := int64(time.Since(d.opened))
	due := d.due.Load()
	if now < due || !d.due.CompareAndSwap(due, now+int64(checkEvery)) {
		return
	}
	d.look()
}

// look reads the file if it is another than the one last read.
func (d *Database) look() {
	if !d.mu.TryLock() {
		return // the last look still reads
	}
	defer d.mu.Unlock()
	info, err := os.Stat(d.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.read, d.seen = nil, nil
		d.fail(Missing)
		return
	case err != nil || !info.Mode().IsRegular() || info.Size() > maxSize:
		d.read, d.seen = nil, nil
		d.fail(Unreadable)
		return
	case same(info, d.read):
		d.seen = nil
		return
	case !d.settled(info):
		d.seen = info
		return
	}
	d.load(info)
}

// settled reports whether a changed file can be read now. One that was renamed into place can, and one that nobody has
// written to for a while. One that is being overwritten in place might still be half old and half new.
func (d *Database) settled(info os.FileInfo) bool {
	return d.state.Load().reader == nil || !os.SameFile(info, d.read) || same(info, d.seen) ||
		time.Since(info.ModTime()) > checkEvery
}

// load reads the file and puts it in use if it is good.
func (d *Database) load(info os.FileInfo) {
	data, after, err := readFile(d.path)
	switch {
	case err != nil:
		d.read = nil // tried again at the next look: permission may come without a change of the file
		d.fail(Unreadable)
		return
	case !same(info, after) || int64(len(data)) != after.Size():
		d.seen = after // it changed while it was read
		if d.state.Load().reader == nil {
			d.fail(Corrupt)
		}
		return
	}
	d.read, d.seen = info, nil
	reader, r := parse(data)
	if r != "" {
		d.fail(r)
		return
	}
	d.state.Store(&state{reader: reader})
}

// fail notes why the file is not in use and leaves the last good one where it is.
func (d *Database) fail(r Reason) {
	if old := d.state.Load(); old.problem != r {
		d.state.Store(&state{reader: old.reader, problem: r})
	}
}

// readFile returns the file's bytes, and what it was after they were read.
func readFile(path string) ([]byte, os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	before, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if before.Size() > maxSize {
		return nil, nil, errors.New("too large")
	}
	data := make([]byte, before.Size()+1) // one more shows that the file grew
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	after, err := f.Stat()
	return data[:n:n], after, err
}

// same reports whether two looks saw the same content: the same file, size and time.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// parse makes a reader of a file's bytes. Some damage shows only in lookups, so a sample of the address space is looked up;
// nothing but sound answers may come.
func parse(data []byte) (reader *geoip2.Reader, r Reason) {
	defer func() {
		if recover() != nil {
			reader, r = nil, Corrupt
		}
	}()
	reader, err := geoip2.OpenBytes(data)
	var unknown geoip2.UnknownDatabaseTypeError
	switch {
	case errors.As(err, &unknown):
		return nil, WrongType
	case err != nil:
		return nil, Corrupt
	}
	blocks := [...][2]byte{{0x20, 0x01}, {0x24, 0x08}, {0x26, 0x00}, {0x28, 0x00}, {0x2a, 0x02}, {0x2c, 0x0f}}
	for i := range 256 {
		b := blocks[i%len(blocks)]
		sample := [...]netip.Addr{
			netip.AddrFrom4([4]byte{byte(i), byte(i), 1, 1}),
			netip.AddrFrom16([16]byte{b[0], b[1], byte(i), 15: 1}),
		}
		for _, addr := range sample {
			if _, r := lookup(reader, addr); r == Corrupt || r == WrongType {
				return nil, r
			}
		}
	}
	return reader, ""
}
