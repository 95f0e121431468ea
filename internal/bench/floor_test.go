package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// floor is what a careful engineer writes in an afternoon: net/http, encoding/json with only the fields that matter, and a
// bufio.Scanner over the stream. It keeps the whole text, the stop reason, the usage and the tool calls.
var floor = contender{name: "floor", dialects: dialects, open: func(s setup) (asker, error) {
	f := &floorClient{setup: s, url: s.url + "/v1/messages", messages: make([]floorMessage, len(s.turns))}
	if s.dialect == chat {
		f.url = s.url + "/v1/chat/completions"
	}
	for i, t := range s.turns {
		f.messages[i] = floorMessage{Role: t.role, Content: t.text}
	}
	f.transport = http.DefaultTransport.(*http.Transport).Clone()
	f.transport.MaxIdleConnsPerHost = 128
	f.http = &http.Client{Transport: f.transport}
	return f, nil
}}

type floorClient struct {
	setup
	url       string
	messages  []floorMessage
	http      *http.Client
	transport *http.Transport
}

type floorMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type floorRequest struct {
	Model         string              `json:"model"`
	MaxTokens     int                 `json:"max_tokens,omitempty"`
	Messages      []floorMessage      `json:"messages"`
	Stream        bool                `json:"stream,omitempty"`
	StreamOptions *floorStreamOptions `json:"stream_options,omitempty"`
}

type floorStreamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type floorToolCall struct {
	id, name string
	args     strings.Builder
}

func (f *floorClient) close() { f.transport.CloseIdleConnections() }

func (f *floorClient) post(ctx context.Context, stream bool) (*http.Response, error) {
	request := floorRequest{Model: f.dialect.model(), Messages: f.messages, Stream: stream}
	switch {
	case f.dialect == claude:
		request.MaxTokens = maxTokens
	case stream:
		request.StreamOptions = &floorStreamOptions{IncludeUsage: true}
	}
	body, err := json.Marshal(&request)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if f.dialect == claude {
		r.Header.Set("X-Api-Key", apiKey)
		r.Header.Set("Anthropic-Version", "2023-06-01")
	} else {
		r.Header.Set("Authorization", "Bearer "+apiKey)
	}
	resp, err := f.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		message, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return nil, fmt.Errorf("%s: %s", resp.Status, message)
	}
	return resp, nil
}

func (f *floorClient) chat(ctx context.Context) (answer, error) {
	resp, err := f.post(ctx, false)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	if f.dialect == claude {
		return floorClaude(body)
	}
	return floorChat(body)
}

func floorClaude(body []byte) (answer, error) {
	var message struct {
		Content []struct {
			Type  string          `json:"type"`
			Text  string          `json:"text"`
			ID    string          `json:"id"`
			Name  string          `json:"name"`
			Input json.RawMessage `json:"input"`
		} `json:"content"`
		StopReason string      `json:"stop_reason"`
		Usage      claudeUsage `json:"usage"`
	}
	if err := json.Unmarshal(body, &message); err != nil {
		return answer{}, err
	}
	a := answer{stop: message.StopReason, input: message.Usage.InputTokens, output: message.Usage.OutputTokens}
	for _, block := range message.Content {
		a.text += block.Text
	}
	return a, nil
}

type claudeUsage struct {
	InputTokens          int `json:"input_tokens"`
	CacheReadInputTokens int `json:"cache_read_input_tokens"`
	OutputTokens         int `json:"output_tokens"`
}

func floorChat(body []byte) (answer, error) {
	var completion struct {
		Choices []struct {
			Message struct {
				Content   string              `json:"content"`
				ToolCalls []chatToolCallDelta `json:"tool_calls"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Usage chatTokens `json:"usage"`
	}
	if err := json.Unmarshal(body, &completion); err != nil {
		return answer{}, err
	}
	if len(completion.Choices) == 0 {
		return answer{}, errors.New("no choices")
	}
	c := completion.Choices[0]
	return answer{c.Message.Content, c.FinishReason, completion.Usage.PromptTokens, completion.Usage.CompletionTokens}, nil
}

type chatTokens struct {
	PromptTokens        int `json:"prompt_tokens"`
	CompletionTokens    int `json:"completion_tokens"`
	PromptTokensDetails struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

type chatToolCallDelta struct {
	Index    int    `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

func (f *floorClient) stream(ctx context.Context, show func(piece string)) (answer, error) {
	resp, err := f.post(ctx, true)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	read := readChatEvent
	if f.dialect == claude {
		read = readClaudeEvent
	}
	var reply floorReply
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		if err := read(bytes.TrimSpace(data), &reply, show); err != nil {
			return answer{}, err
		}
	}
	if err := lines.Err(); err != nil {
		return answer{}, err
	}
	if !reply.done {
		return answer{}, io.ErrUnexpectedEOF
	}
	reply.answer.text = reply.text.String()
	return reply.answer, nil
}

// floorReply is what a stream adds up to.
type floorReply struct {
	answer answer
	text   strings.Builder
	calls  []*floorToolCall
	done   bool
}

func (r *floorReply) add(piece string, show func(string)) {
	if piece != "" {
		r.text.WriteString(piece)
		show(piece)
	}
}

func readClaudeEvent(data []byte, r *floorReply, show func(string)) error {
	var event struct {
		Type    string `json:"type"`
		Message struct {
			Usage claudeUsage `json:"usage"`
		} `json:"message"`
		ContentBlock struct {
			Type string `json:"type"`
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"content_block"`
		Delta struct {
			Type        string `json:"type"`
			Text        string `json:"text"`
			PartialJSON string `json:"partial_json"`
			StopReason  string `json:"stop_reason"`
		} `json:"delta"`
		Usage claudeUsage `json:"usage"`
		Error struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return err
	}
	switch event.Type {
	case "message_start":
		r.answer.input = event.Message.Usage.InputTokens
	case "content_block_start":
		if event.ContentBlock.Type == "tool_use" {
			r.calls = append(r.calls, &floorToolCall{id: event.ContentBlock.ID, name: event.ContentBlock.Name})
		}
	case "content_block_delta":
		if event.Delta.Type == "input_json_delta" && len(r.calls) > 0 {
			r.calls[len(r.calls)-1].args.WriteString(event.Delta.PartialJSON)
		}
		r.add(event.Delta.Text, show)
	case "message_delta":
		r.answer.stop = event.Delta.StopReason
		r.answer.output = event.Usage.OutputTokens
	case "message_stop":
		r.done = true
	case "error":
		return fmt.Errorf("%s: %s", event.Error.Type, event.Error.Message)
	}
	return nil
}

func readChatEvent(data []byte, r *floorReply, show func(string)) error {
	if string(data) == "[DONE]" {
		r.done = true
		return nil
	}
	var chunk struct {
		Choices []struct {
			Delta struct {
				Content   string              `json:"content"`
				ToolCalls []chatToolCallDelta `json:"tool_calls"`
			} `json:"delta"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Usage *chatTokens `json:"usage"`
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(data, &chunk); err != nil {
		return err
	}
	if chunk.Error != nil {
		return errors.New(chunk.Error.Message)
	}
	if chunk.Usage != nil {
		r.answer.input, r.answer.output = chunk.Usage.PromptTokens, chunk.Usage.CompletionTokens
	}
	if len(chunk.Choices) == 0 {
		return nil
	}
	c := chunk.Choices[0]
	if c.FinishReason != "" {
		r.answer.stop = c.FinishReason
	}
	for _, d := range c.Delta.ToolCalls {
		for len(r.calls) <= d.Index && d.Index < 128 {
			r.calls = append(r.calls, &floorToolCall{})
		}
		if d.Index >= 0 && d.Index < len(r.calls) {
			call := r.calls[d.Index]
			call.id += d.ID
			call.name += d.Function.Name
			call.args.WriteString(d.Function.Arguments)
		}
	}
	r.add(c.Delta.Content, show)
	return nil
}
