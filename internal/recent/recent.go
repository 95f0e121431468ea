// Package recent is a stand-in until the real one arrives.
package recent

import "time"

type Log struct{}

func (l *Log) Record(now time.Time, ok bool, latency time.Duration) {}
func (l *Log) Fail(now time.Time, kind string, status int)          {}
