// Package conformance lets the official clients of the providers judge the servers of holdfasttest and the requests that
// holdfast sends. Everything is in its tests; README.md says what is judged, and by what.
package conformance
