package holdfast

import (
	"net/http"

	"github.com/holdfast-ai/holdfast/internal/jsonscan"
)

// decodeOpenAIError stands in for the error parser of both codecs.
func decodeOpenAIError(status int, _ http.Header, body []byte) *Error {
	s := jsonscan.New(body)
	var e *Error
	for ok := s.Object(); ok && s.NextKey(); {
		if string(s.Key()) != "error" || s.Kind() != jsonscan.Object {
			s.Skip()
			continue
		}
		e = &Error{Status: status}
		for ok := s.Object(); ok && s.NextKey(); {
			switch string(s.Key()) {
			case "type":
				e.Type = s.String()
			case "code":
				e.Code = s.String()
			case "message":
				e.Message = s.String()
			default:
				s.Skip()
			}
		}
	}
	return e
}
