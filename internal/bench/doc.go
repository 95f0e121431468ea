// Package bench compares the CPU time and memory that clients of LLM APIs take in the caller's process. Everything is in
// its tests; README.md says what is measured and what the figures do not say.
package bench
