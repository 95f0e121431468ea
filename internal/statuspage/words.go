package statuspage

import (
	"math"
	"strconv"
	"time"
)

// A number and its unit do not part at the end of a line.
const (
	nbsp    = "\u00a0"
	unknown = "–"
)

// seconds writes a cost.
func seconds(f float64) string {
	switch {
	case !(math.Abs(f) < 1e15):
		return unknown
	case math.Abs(f) >= 100:
		return count(int(math.Round(f)))
	case math.Abs(f) < 0.005:
		return "0"
	}
	return decimal(f, 2)
}

func decimal(f float64, digits int) string {
	s := strconv.FormatFloat(f, 'f', digits, 64)
	if s[0] == '-' {
		return "−" + s[1:]
	}
	return s
}

// duration writes how long something took.
func duration(d time.Duration) string {
	const ms = time.Millisecond
	switch {
	case d <= 0:
		return unknown
	case d.Round(ms) < time.Second:
		return strconv.Itoa(max(1, int(d.Round(ms)/ms))) + nbsp + "ms"
	case d.Round(10*ms) < 10*time.Second:
		return decimal(d.Seconds(), 2) + nbsp + "s"
	case d.Round(100*ms) < time.Minute:
		return decimal(d.Seconds(), 1) + nbsp + "s"
	}
	return span(d)
}

// units are those of long times, from the largest.
var units = [...]struct {
	size time.Duration
	name string
}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}

const longest = 9999 * 24 * time.Hour

// span writes a stretch of time in whole seconds or larger units: in one of them, or in two if there are fewer than ten of the first.
func span(d time.Duration) string {
	d = min(max(d, 0), longest).Round(time.Second)
	for i, u := range units {
		if d < u.size {
			continue
		}
		least := i
		if i+1 < len(units) && d < 10*u.size {
			least = i + 1
		}
		if r := d.Round(units[least].size); r != d {
			return span(r) // it may have become a larger unit
		}
		s := strconv.Itoa(int(d/u.size)) + nbsp + u.name
		if rest := d % u.size; rest > 0 {
			s += " " + strconv.Itoa(int(rest/units[least].size)) + nbsp + units[least].name
		}
		return s
	}
	return "0" + nbsp + "s"
}

// ago writes how long ago something happened.
func ago(now, t time.Time) string {
	if now.Sub(t) < time.Second {
		return "now"
	}
	return span(now.Sub(t)) + " ago"
}

// percent writes a share.
func percent(f float64) string {
	switch {
	case !(math.Abs(f) < 1000):
		return unknown
	case f > 0 && f < 0.0005:
		return "<" + nbsp + "0.1" + nbsp + "%"
	case f == 0 || f >= 0.0995:
		return decimal(100*f, 0) + nbsp + "%"
	}
	return decimal(100*f, 1) + nbsp + "%"
}

// count writes a number in groups of three digits.
func count(n int) string {
	sign := ""
	if n < 0 {
		sign, n = "−", -n
	}
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
