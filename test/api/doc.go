// Package api tests the API and the manifests on a real API server: that it takes the
// samples, refuses test/invalid with the message that each file names, serves what
// kubectl shows, and that hookd's role allows what hookd does and no more.
//
// It holds no code. Start reading at api_test.go.
package api
