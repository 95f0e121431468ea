package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// screen shows an answer word by word, with who speaks in the margin.
type screen struct {
	out    io.Writer
	colour bool

	speaker string
	column  int  // of the text, behind the margin
	broken  bool // the line on the screen is not one of text
}

const (
	margin = 14 // columns
	width  = 72 // of the text
)

// colours, as terminals know them.
const (
	plain = ""
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func (s *screen) in(colour, text string) string {
	if !s.colour || colour == plain {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (s *screen) title(text string) {
	fmt.Fprintf(s.out, "\n%s\n\n", s.in(bold, text))
	s.column, s.broken = 0, true
}

// say shows a piece of text. Behind a mark it goes on in the column where the text broke off.
func (s *screen) say(text string) {
	for _, word := range strings.SplitAfter(text, " ") {
		n := utf8.RuneCountInString(word)
		if s.column > 0 && s.column+n > width {
			s.column = 0
			if !s.broken {
				fmt.Fprintf(s.out, "\n%*s%s", margin, "", s.in(dim, "│ "))
			}
		}
		if s.broken && word != "" {
			fmt.Fprintf(s.out, "%s%s%*s", s.in(bold, fmt.Sprintf("%*s ", margin-1, s.speaker)), s.in(dim, "│ "), s.column, "")
			s.broken = false
		}
		fmt.Fprintf(s.out, "%s", word)
		s.column += n
	}
}

// mark shows what happened, on a line of its own.
func (s *screen) mark(colour, sign, text string) {
	s.endLine()
	fmt.Fprintf(s.out, "%*s %s\n", margin-1, "", s.in(colour, sign+" "+text))
	s.broken = true
}

func (s *screen) endLine() {
	if !s.broken {
		fmt.Fprintln(s.out)
	}
}

// restart takes back what was shown. A page would clear it; paper can only say so.
func (s *screen) restart() {
	s.mark(red, "—", "begun anew; what was shown does not count —")
	s.column = 0
}
