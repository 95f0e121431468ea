module github.com/holdfast-ai/holdfast

go 1.26.0

require (
	github.com/hashicorp/go-retryablehttp v0.7.8
	github.com/oschwald/geoip2-golang/v2 v2.5.0
	golang.org/x/time v0.16.0
)

require (
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/oschwald/maxminddb-golang/v2 v2.8.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
