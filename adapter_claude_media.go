package holdfast

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
)

var claudeImages = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

func (e *claudeEncoder) image(at place, p *Image) error {
	e.open("image")
	e.key("source")
	switch {
	case p.File != nil || p.URL != "":
		if err := e.reference(at, p.URL, p.File); err != nil {
			return err
		}
	case !slices.Contains(claudeImages, mediaType(p.MIME)):
		return Unsupported(at.String()+".mime", "must be one of "+strings.Join(claudeImages, ", "))
	default:
		e.base64(mediaType(p.MIME), p.Bytes)
	}
	if p.Detail != "" {
		e.note(at.String() + ".detail")
	}
	if at.inner < 0 {
		e.mark(p.Cache, "messages[%d].parts[%d].cache", at.message, at.part)
	}
	e.out = append(e.out, '}')
	return nil
}

func (e *claudeEncoder) document(at place, p *Document) error {
	kind := mediaType(p.MIME)
	e.open("document")
	e.key("source")
	switch {
	case p.URL != "" && kind != "" && kind != "application/pdf":
		return Unsupported(at.String()+".mime", "Claude reads only application/pdf from a URL")
	case p.File != nil || p.URL != "":
		if err := e.reference(at, p.URL, p.File); err != nil {
			return err
		}
	case kind == "application/pdf":
		e.base64(kind, p.Bytes)
	case kind == "text/plain" && !utf8.Valid(p.Bytes):
		return Unsupported(at.String()+".bytes", "must be UTF-8")
	case kind == "text/plain":
		e.out = append(e.out, `{"type":"text","media_type":"text/plain","data":`...)
		e.out = append(jsonappend.String(e.out, p.Bytes), '}')
	default:
		return Unsupported(at.String()+".mime", "must be application/pdf or text/plain")
	}
	if p.Name != "" {
		e.text("title", p.Name)
	}
	if at.inner < 0 {
		e.mark(p.Cache, "messages[%d].parts[%d].cache", at.message, at.part)
	}
	e.out = append(e.out, '}')
	return nil
}

func (e *claudeEncoder) base64(mediaType string, data []byte) {
	e.out = append(e.out, '{')
	e.text("type", "base64")
	e.text("media_type", mediaType)
	e.key("data")
	e.out = append(jsonappend.Base64(e.out, "", data), '}')
}

// reference writes a source that is not in the request itself.
func (e *claudeEncoder) reference(at place, url string, file *FileRef) error {
	e.out = append(e.out, '{')
	switch {
	case file != nil:
		if err := e.to.elsewhere(at, claudeDialect.Name, file); err != nil {
			return err
		}
		e.text("type", "file")
		e.text("file_id", file.ID)
	case !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://"):
		return Unsupported(at.String()+".url", "must be an http or https URL: give data as bytes")
	default:
		e.text("type", "url")
		e.text("url", url)
	}
	e.out = append(e.out, '}')
	return nil
}
