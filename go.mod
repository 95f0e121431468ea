module github.com/holdfast-ai/holdfast

go 1.26
