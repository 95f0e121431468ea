package holdfast

import (
	"net/url"
	"strings"

	"github.com/holdfast-ai/holdfast/internal/jsonappend"
)

// geminiMedia is what images, documents and recordings have in common.
type geminiMedia struct {
	mime  string
	bytes []byte
	url   string
	file  *FileRef
}

// media writes an image, document or recording into the open part.
func (e *geminiEncoder) media(at place, p Part) error {
	var m geminiMedia
	var cache CacheHint
	fits := true
	switch p := p.(type) {
	case *Image:
		m, cache = geminiMedia{p.MIME, p.Bytes, p.URL, p.File}, p.Cache
		fits = m.mime == "" || strings.HasPrefix(m.mime, "image/")
		if p.Detail != "" {
			e.note("%v.detail", at)
		}
	case *Document:
		m, cache = geminiMedia{p.MIME, p.Bytes, p.URL, p.File}, p.Cache
		fits = m.mime != "application/msword" && !strings.HasPrefix(m.mime, "application/vnd.")
		if p.Name != "" {
			e.note("%v.name", at)
		}
	case *Audio:
		m, cache = geminiMedia{p.MIME, p.Bytes, p.URL, p.File}, p.Cache
		fits = m.mime == "" || strings.HasPrefix(m.mime, "audio/")
	}
	if !fits {
		return Unsupported(at.String()+".mime", "Gemini does not read this media type here")
	}
	if cache != "" {
		e.note("%v.cache", at)
	}
	if len(m.bytes) > 0 {
		e.key("inlineData")
		e.dst = append(e.dst, '{')
		e.str("mimeType", m.mime)
		e.key("data")
		e.dst = jsonappend.Base64(e.dst, "", m.bytes)
		e.shut()
		return nil
	}
	return e.fileData(at, m)
}

func (e *geminiEncoder) fileData(at place, m geminiMedia) error {
	uri := m.url
	if m.file != nil {
		if err := e.to.elsewhere(at, geminiName, m.file); err != nil {
			return err
		}
	}
	switch {
	case m.file == nil:
		if !e.reachable(uri) {
			return Unsupported(at.String()+".url", "Gemini fetches from Google's own storage only: send the bytes")
		}
	case strings.HasPrefix(m.file.ID, "files/"):
		uri = geminiAdapter{}.Dialect().URL + "/" + m.file.ID
	default:
		uri = m.file.ID
	}
	if m.mime == "" && (e.vertex() || strings.HasPrefix(uri, "gs://")) {
		return Unsupported(at.String()+".mime", "is required with a URL here")
	}
	e.key("fileData")
	e.dst = append(e.dst, '{')
	if m.mime != "" {
		e.str("mimeType", m.mime)
	}
	e.str("fileUri", uri)
	e.shut()
	return nil
}

// reachable reports whether Gemini takes the URL: Google's storage, and on Vertex any https URL.
func (e *geminiEncoder) reachable(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" {
		return false
	}
	host := u.Hostname()
	return u.Scheme == "gs" || u.Scheme == "https" && (e.vertex() || host == "googleapis.com" || strings.HasSuffix(host, ".googleapis.com"))
}
