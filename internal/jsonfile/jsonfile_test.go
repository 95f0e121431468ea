package jsonfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

type name string

type place struct {
	Name     name              `json:"name"`
	URL      string            `json:"url"`
	APIKey   string            `json:"api_key"`
	Timeout  time.Duration     `json:"timeout,omitempty"`
	Wait     *time.Duration    `json:"wait"`
	Tier     int               `json:"tier"`
	Small    int8              `json:"small"`
	Count    uint16            `json:"count"`
	Weight   float64           `json:"weight"`
	Half     float32           `json:"half"`
	Local    bool              `json:"local"`
	Strict   *bool             `json:"strict"`
	Models   map[string]string `json:"models"`
	Signing  *signing          `json:"signing"`
	Extra    json.RawMessage   `json:"extra"`
	Any      any               `json:"any"`
	Hidden   string            `json:"-"`
	Proxies  []netip.Prefix    `json:"proxies"`
	Blob     []byte            `json:"blob"`
	Verdicts map[name]*place   `json:"verdicts"`
	Own      own               `json:"own"`
	Hook     func()            `json:"hook"`
	Reader   io.Reader         `json:"reader"`
	Odd      map[int]string    `json:"odd"`
	Untagged int
	private  int
}

var _ = place{}.private // its key must be unknown

type signing struct {
	ClientID string `json:"client_id"`
}

type base struct {
	Region  string `json:"region"`
	Covered string `json:"covered"`
}

type Deep struct {
	Depth string `json:"depth"`
}

type config struct {
	base
	*Deep
	Covered   int      `json:"covered"`
	Endpoints []place  `json:"endpoints"`
	Hosts     []string `json:"hosts"`
	Matrix    [][]int  `json:"matrix"`
}

// own reads itself and names the place of its fault.
type own struct{ on bool }

func (o *own) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case `"on"`:
		o.on = true
		return nil
	case `"inner"`:
		return Fault{Path: "switch", Message: "is broken"}
	case `"indexed"`:
		return Fault{Path: "[1]", Message: "is broken"}
	}
	return errors.New("cannot take " + string(data))
}

func TestDecode(t *testing.T) {
	t.Parallel()
	yes, wait := true, 90*time.Second
	cases := map[string]struct {
		doc  string
		want config
	}{
		"empty": {`{}`, config{}},
		"every type": {`{"endpoints":[{
			"name":"a","url":"https:\/\/x\u00e9\ud83d\ude00","timeout":"30s","wait":"1m30s","tier":-3,"small":-128,"count":65535,
			"weight":1e2,"half":0.5,"local":true,"strict":true,"models":{"smart":"m","a b":"n"},"signing":{"client_id":"c"},
			"extra":{"a": [1, null]},"any":{"b":[1,"x",null]},"proxies":["10.0.0.0/8"],"blob":"aGk=",
			"verdicts":{"v":{"tier":1}},"own":"on","Untagged":7}]}`, config{Endpoints: []place{{
			Name: "a", URL: "https://xé😀", Timeout: 30 * time.Second, Wait: &wait, Tier: -3, Small: -128, Count: 65535,
			Weight: 100, Half: 0.5, Local: true, Strict: &yes, Models: map[string]string{"smart": "m", "a b": "n"},
			Signing: &signing{ClientID: "c"}, Extra: json.RawMessage(`{"a": [1, null]}`),
			Any: map[string]any{"b": []any{1.0, "x", nil}}, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Blob: []byte("hi"), Verdicts: map[name]*place{"v": {Tier: 1}}, Own: own{on: true}, Untagged: 7,
		}}}},
		"embedded":        {`{"region":"eu","covered":4,"depth":"d"}`, config{base: base{Region: "eu"}, Deep: &Deep{"d"}, Covered: 4}},
		"null is absent":  {`{"region":null,"endpoints":null,"hosts":[],"depth":null}`, config{Hosts: []string{}}},
		"null in a map":   {`{"endpoints":[{"models":{"a":null},"extra":null}]}`, config{Endpoints: []place{{Models: map[string]string{}}}}},
		"nested lists":    {`{"matrix":[[1,2],[],[3]]}`, config{Matrix: [][]int{{1, 2}, {}, {3}}}},
		"byte order mark": {"\xEF\xBB\xBF{\"region\":\"eu\"}\r\n", config{base: base{Region: "eu"}}},
		"negative zero":   {`{"endpoints":[{"count":-0,"tier":-0}]}`, config{Endpoints: []place{{}}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got config
			if faults := Decode([]byte(c.doc), &got); faults != nil {
				t.Fatalf("got faults %v, want none", faults)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestDecodeKeepsDefaults(t *testing.T) {
	t.Parallel()
	got := config{base: base{Region: "eu"}, Hosts: []string{"a", "b"}}
	if faults := Decode([]byte(`{"region":null,"hosts":["c"]}`), &got); faults != nil {
		t.Fatalf("got %v, want no faults", faults)
	}
	if want := (config{base: base{Region: "eu"}, Hosts: []string{"c"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestFaults gives each document's faults as "path: message". No message may hold the value "hunter2" or 31337.
func TestFaults(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		doc  string
		want []string
	}{
		"all at once": {
			`{"hostz":[],"region":1,"endpoints":[{"tier":"hunter2"},{"url":5,"nope":1,"timeout":30}],"matrix":[[true]]}`,
			[]string{
				`hostz: is no known key: did you mean "hosts"?`,
				"region: expected a string, found a number",
				"endpoints[0].tier: expected a number, found a string",
				"endpoints[1].url: expected a string, found a number",
				"endpoints[1].nope: is no known key",
				`endpoints[1].timeout: a bare number has no unit: write "30s"`,
				"matrix[0][0]: expected a number, found true or false",
			},
		},
		"one more letter":     {`{"hostss":[]}`, []string{`hostss: is no known key: did you mean "hosts"?`}},
		"one letter less":     {`{"host":[]}`, []string{`host: is no known key: did you mean "hosts"?`}},
		"another letter":      {`{"hasts":[]}`, []string{`hasts: is no known key: did you mean "hosts"?`}},
		"letters swapped":     {`{"hotss":[]}`, []string{`hotss: is no known key: did you mean "hosts"?`}},
		"another case":        {`{"Hosts":[]}`, []string{`Hosts: is no known key: did you mean "hosts"?`}},
		"other words":         {`{"endpoints":[{"apiKey":"hunter2"}]}`, []string{`endpoints[0].apiKey: is no known key: did you mean "api_key"?`}},
		"two edits":           {`{"hos":[]}`, []string{"hos: is no known key"}},
		"hidden field":        {`{"endpoints":[{"Hidden":"hunter2"}]}`, []string{"endpoints[0].Hidden: is no known key"}},
		"private field":       {`{"endpoints":[{"private":31337}]}`, []string{"endpoints[0].private: is no known key"}},
		"embedded by name":    {`{"base":{}}`, []string{"base: is no known key"}},
		"twice":               {"{\"region\":\"a\",\n \"region\":\"hunter2\"}", []string{"region: line 2:2: is given twice"}},
		"twice by escape":     {`{"region":"a","\u0072egion":"b"}`, []string{"region: line 1:15: is given twice"}},
		"twice in a map":      {`{"endpoints":[{"models":{"a":"x","a":"y"}}]}`, []string{"endpoints[0].models.a: line 1:34: is given twice"}},
		"twice in raw JSON":   {`{"endpoints":[{"extra":{"a":1,"a":2}}]}`, []string{"endpoints[0].extra.a: line 1:31: is given twice"}},
		"odd keys":            {`{"endpoints":[{"models":{"gpt 4.1":31337,"":31337}}]}`, []string{`endpoints[0].models["gpt 4.1"]: expected a string, found a number`, `endpoints[0].models[""]: expected a string, found a number`}},
		"long key":            {`{"` + strings.Repeat("é", 500) + `":1}`, []string{`["` + strings.Repeat("é", 32) + `"…]: is no known key`}},
		"object for string":   {`{"region":{"a":"hunter2"}}`, []string{"region: expected a string, found an object {…}"}},
		"list for string":     {`{"region":["hunter2"]}`, []string{"region: expected a string, found a list […]"}},
		"string for list":     {`{"hosts":"hunter2"}`, []string{"hosts: expected a list […], found a string"}},
		"string for struct":   {`{"endpoints":["hunter2"]}`, []string{"endpoints[0]: expected an object {…}, found a string"}},
		"string for pointer":  {`{"endpoints":[{"signing":"hunter2","strict":"hunter2"}]}`, []string{"endpoints[0].signing: expected an object {…}, found a string", "endpoints[0].strict: expected true or false, found a string"}},
		"string for map":      {`{"endpoints":[{"models":"hunter2"}]}`, []string{"endpoints[0].models: expected an object {…}, found a string"}},
		"null in a list":      {`{"hosts":["a",null],"endpoints":[null]}`, []string{"hosts[1]: is null: remove it from the list", "endpoints[0]: is null: remove it from the list"}},
		"null alone":          {`null`, []string{"expected an object {…}, found null"}},
		"list alone":          {`[]`, []string{"expected an object {…}, found a list […]"}},
		"bad duration":        {`{"endpoints":[{"timeout":"hunter2","wait":true}]}`, []string{`endpoints[0].timeout: expected a duration such as "30s", "1m30s" or "250ms"`, `endpoints[0].wait: expected a duration such as "30s", found true or false`}},
		"unit missing":        {`{"endpoints":[{"timeout":"31337"}]}`, []string{`endpoints[0].timeout: expected a duration such as "30s", "1m30s" or "250ms"`}},
		"fraction":            {`{"endpoints":[{"tier":1.5,"count":1e2}]}`, []string{"endpoints[0].tier: expected a whole number, written without a point or exponent", "endpoints[0].count: expected a whole number, written without a point or exponent"}},
		"int8 overflow":       {`{"endpoints":[{"small":31337}]}`, []string{"endpoints[0].small: is out of range: must lie between -128 and 127"}},
		"int overflow":        {`{"endpoints":[{"tier":99999999999999999999}]}`, []string{"endpoints[0].tier: is out of range: must lie between -9223372036854775808 and 9223372036854775807"}},
		"uint overflow":       {`{"endpoints":[{"count":65536}]}`, []string{"endpoints[0].count: is out of range: must lie between 0 and 65535"}},
		"uint negative":       {`{"endpoints":[{"count":-1}]}`, []string{"endpoints[0].count: is out of range: must lie between 0 and 65535"}},
		"float overflow":      {`{"endpoints":[{"weight":1e999,"half":1e39,"any":[1e999]}]}`, []string{"endpoints[0].weight: is out of range", "endpoints[0].half: is out of range", "endpoints[0].any: holds a number that is out of range"}},
		"base64":              {`{"endpoints":[{"blob":"hunter2!"}]}`, []string{"endpoints[0].blob: expected a string in base64"}},
		"text type":           {`{"endpoints":[{"proxies":["hunter2",31337]}]}`, []string{"endpoints[0].proxies[0]: is not a valid Prefix", "endpoints[0].proxies[1]: expected a string, found a number"}},
		"own error":           {`{"endpoints":[{"own":"hunter2"},{"own":"inner"},{"own":"indexed"}]}`, []string{"endpoints[0].own: is not a valid own", "endpoints[1].own.switch: is broken", "endpoints[2].own[1]: is broken"}},
		"not for files":       {`{"endpoints":[{"hook":1,"reader":{},"odd":{"1":"hunter2"}}]}`, []string{"endpoints[0].hook: cannot be set in a file", "endpoints[0].reader: cannot be set in a file", "endpoints[0].odd: cannot be set in a file"}},
		"invalid UTF-8":       {"{\"region\":\"h\xffunter2\",\"hosts\":[\"\xc3\"],\"\xf0\":1}", []string{"region: line 1:11: holds bytes that are not UTF-8", "hosts[0]: line 1:31: holds bytes that are not UTF-8", "line 1:36: holds bytes that are not UTF-8", `["�"]: is no known key`}},
		"lone surrogate":      {`{"hosts":["\ud83d","\udc00 ","\ud83d\u0041","\\ud83d","\ud83d\ude00"]}`, []string{"hosts[0]: line 1:11: holds one half of a \\u surrogate pair", "hosts[1]: line 1:20: holds one half of a \\u surrogate pair", "hosts[2]: line 1:30: holds one half of a \\u surrogate pair"}},
		"empty file":          {" \n", []string{"line 2:1: the file is empty: expected an object {…}"}},
		"UTF-16":              {"\xff\xfe{\x00}\x00", []string{"line 1:1: the file is not UTF-8 but UTF-16: save it as UTF-8"}},
		"truncated":           {`{"endpoints":[{"url":`, []string{"endpoints[0].url: line 1:22: the file ends here: expected a value"}},
		"truncated string":    {"{\n\"region\":\"hunter2", []string{"region: line 2:18: the file ends inside the string that begins at line 2:10"}},
		"faults, then syntax": {"{\"nope\":1,\n\"hosts\":[\"é\",\t\"a\" \"hunter2\"]}", []string{"nope: is no known key", "hosts: line 2:19: expected a comma or ]"}},
		"trailing comma":      {"{\"hosts\":[\"a\",\n]}", []string{"hosts: line 1:14: a comma before ]: remove it"}},
		"trailing comma 2":    {`{"region":"a",}`, []string{"line 1:14: a comma before }: remove it"}},
		"comment":             {"{// hunter2\n}", []string{"line 1:2: JSON has no comments: expected a key in double quotes"}},
		"single quotes":       {`{'region':'hunter2'}`, []string{"line 1:2: JSON has double quotes only: expected a key in double quotes"}},
		"bare key":            {`{region:"hunter2"}`, []string{"line 1:2: expected a key in double quotes"}},
		"no colon":            {`{"region" "hunter2"}`, []string{"region: line 1:11: expected a colon after the key"}},
		"no value":            {`{"region":}`, []string{"region: line 1:11: expected a value"}},
		"bare word":           {`{"region":hunter2}`, []string{"region: line 1:11: expected a value"}},
		"python word":         {`{"region":True}`, []string{"region: line 1:11: expected a value"}},
		"word too long":       {`{"region":truest}`, []string{"region: line 1:11: expected a value"}},
		"bad number":          {`{"endpoints":[{"tier":031337}]}`, []string{"endpoints[0].tier: line 1:23: is not a number as JSON writes it"}},
		"bad escape":          {`{"region":"a\tb\hunter2"}`, []string{`region: line 1:16: is no escape of JSON: a backslash itself is written \\`}},
		"bad u escape":        {`{"region":"\u12x4"}`, []string{`region: line 1:12: is no escape of JSON: a backslash itself is written \\`}},
		"line break":          {"{\"region\":\"hunter2\n\"}", []string{`region: line 1:19: a line break inside a string: close the string before it, or write \n`}},
		"control character":   {"{\"region\":\"\x00\"}", []string{`region: line 1:12: a control character inside a string: write it as \u00…`}},
		"data behind":         {"{}\n{}", []string{"line 2:1: unexpected data after the end of the document"}},
		"closed too often":    {`{}}`, []string{"line 1:3: unexpected data after the end of the document"}},
		"wrong bracket":       {`{"hosts":["a"}}`, []string{"hosts: line 1:14: expected a comma or ]"}},
		"deep lists":          {`{"matrix":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, []string{"matrix[0][0]: expected a number, found a list […]", "matrix: line 1:110: nested more than 100 deep"}},
		"deep objects":        {strings.Repeat(`{"a":`, 10000), []string{"a: is no known key", "a: line 1:501: nested more than 100 deep"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range Decode([]byte(c.doc), new(config)) {
				got = append(got, f.Error())
				for _, secret := range []string{"hunter2", "31337"} {
					if strings.Contains(f.Error(), secret) {
						t.Errorf("%q quotes a value", f.Error())
					}
				}
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestDepthLimitIsExact(t *testing.T) {
	t.Parallel()
	for levels, want := range map[int]bool{maxDepth - 3: true, maxDepth - 2: false} {
		doc := `{"endpoints":[{"any":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}]}`
		if got := Decode([]byte(doc), new(config)) == nil; got != want {
			t.Errorf("%d levels: accepted %v, want %v", levels+3, got, want)
		}
	}
}

func TestManyFaults(t *testing.T) {
	t.Parallel()
	doc := `{"hosts":[` + strings.Repeat("1,", 300) + `1],"region":"a"` + strings.Repeat(`,"region":"b"`, 300)
	faults := Decode([]byte(doc+`}`), new(config))
	if len(faults) != maxFaults+1 || faults[99].Path != "hosts[99]" || faults[100].Path != "" {
		t.Errorf("got %d faults, want the first %d and a word that there are more", len(faults), maxFaults)
	}
	faults = Decode([]byte(doc), new(config))
	if len(faults) != maxFaults+2 || !strings.Contains(faults[101].Message, "the file ends here") {
		t.Errorf("got %d faults, want the syntax error behind them", len(faults))
	}
}

func TestManyRepeatedKeysTakeLinearTime(t *testing.T) {
	t.Parallel()
	doc := "{" + strings.Repeat("\"region\":\"b\",\n", 300_000) + `"region":"a"}`
	if faults := Decode([]byte(doc), new(config)); len(faults) != maxFaults+1 {
		t.Errorf("got %d faults, want %d", len(faults), maxFaults+1)
	}
}

func TestDecodeIntoNoStruct(t *testing.T) {
	t.Parallel()
	for _, into := range []any{nil, config{}, (*config)(nil), new(int), new(map[string]any)} {
		if faults := Decode([]byte(`{}`), into); len(faults) != 1 {
			t.Errorf("into %T: got %v, want one fault", into, faults)
		}
	}
}

func TestFieldConflicts(t *testing.T) {
	t.Parallel()
	type A struct {
		Same, Tagged string
		Only         string
	}
	type B struct {
		Same   string
		Tagged string `json:"Tagged"`
	}
	type loop struct {
		*loop
		A
		B
	}
	_ = loop{}.loop
	known := fieldsOf(reflect.TypeFor[loop]())
	if got, want := strings.Join(sortedKeys(known), " "), "Only Tagged"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var v loop
	if faults := Decode([]byte(`{"Tagged":"x"}`), &v); faults != nil || v.B.Tagged != "x" {
		t.Errorf("got %+v and %v, want the tagged field set", v.B, faults)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	const doc = `{"region":"eu"}`
	for limit, want := range map[int]string{
		len(doc):     "",
		len(doc) - 1: "is larger than 14 bytes",
		0:            "is larger than 0 bytes",
		math.MaxInt:  "",
	} {
		faults, err := Read(iotest.OneByteReader(strings.NewReader(doc)), limit, new(config))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(faults) > 0 {
			got = faults[0].Error()
		}
		if got != want {
			t.Errorf("limit %d: got %q, want %q", limit, got, want)
		}
	}
	broken := errors.New("broken disk")
	if _, err := Read(iotest.ErrReader(broken), 10, new(config)); !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's own error", err)
	}
}

// FuzzDecode holds Decode against encoding/json: what is accepted must mean the same there, and what encoding/json refuses
// must be refused.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"region":"eu","covered":3,"depth":"d","hosts":["a","b"],"matrix":[[1],[2,3]]}`, `{"region":null}`, `{"a`, `[1]`,
		`{"region":"\ud83d\ude00\n","covered":-0}`, `{"Region":"x"}`, "{\"region\":\"\xff\"}", `{"covered":1e5}`, `{"hosts":[null]}`,
		`{"region":"a","region":"b"}`, "\xEF\xBB\xBF{}", `{} {}`, `{"hosts":["a",]}`,
	} {
		f.Add([]byte(seed))
	}
	type plain struct {
		base
		*Deep
		Covered int      `json:"covered"`
		Hosts   []string `json:"hosts"`
		Matrix  [][]int  `json:"matrix"`
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var got, want plain
		faults := Decode(doc, &got)
		d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(doc, byteOrderMark)))
		d.DisallowUnknownFields()
		err := d.Decode(&want)
		if err != nil && faults == nil {
			t.Fatalf("accepted, while encoding/json says %v", err)
		}
		if faults == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for _, fault := range faults {
			if fault.Message == "" || strings.ContainsAny(fault.Error(), "\n\r\x00") {
				t.Errorf("got %q, want a message of one line", fault.Error())
			}
		}
	})
}
