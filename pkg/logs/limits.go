package logs

import "time"

// Audience is what a token must be made for to read logs with it, so that a token
// which leaks here opens nothing else, and no other token opens the logs.
const Audience = "hookd.kubectl-pipeline.io"

// ReaderServiceAccount is the ServiceAccount of a project whose tokens read the
// project's logs. It has no rights of its own: the right to make its tokens is the
// right to read logs.
const ReaderServiceAccount = "pipeline-log-reader"

// Headers of a request and trailers of an answer.
const (
	// HeaderToken carries the token. It is not Authorization because the API server,
	// whose service proxy requests come through, keeps that header to itself.
	HeaderToken = "X-Pipeline-Token"
	// TrailerComplete is "true" when the log was delivered to its end, else "false". An
	// answer that ends without it broke off on the way.
	TrailerComplete = "X-Pipeline-Log-Complete"
	// TrailerError says why the log is not complete. It is absent when nothing is wrong:
	// the run goes on and following it was not asked for.
	TrailerError = "X-Pipeline-Log-Error"
)

// Limits of all streams of one hookd together.
const (
	// MaxStreams are served at the same time; more are told to come back. With
	// historySize and net/http's buffers, that is at most 25 MiB.
	MaxStreams = 128
	// reviewsPerSecond bounds the TokenReviews that strangers can make hookd send: they
	// count against hookd's share of the API server. Tokens known to be good need none.
	reviewsPerSecond = 20
	reviewBurst      = 40
	// maxVerdicts is how many good tokens are remembered, verdictTTL for how long: that
	// much longer a token works than the API server says.
	maxVerdicts = 1024
	verdictTTL  = 60 * time.Second
)

// Limits of one stream.
const (
	// maxToken bounds a token in bytes. Those of Kubernetes have about a thousand.
	maxToken = 16 << 10
	// historySize is how much of what was delivered is kept in memory to find the place
	// again after the log was cut: twice maxHistory at most.
	maxHistory  = 64 << 10
	historySize = 2 * maxHistory
	// maxChunk is written at once, and has to arrive in chunkTimeout: a reader that is
	// slower than about 1 KiB/s is cut off, since what it holds others cannot have.
	maxChunk     = 32 << 10
	chunkTimeout = 30 * time.Second
	// minDelay and maxDelay bound the time between two looks at a log, or at a run
	// that waits to be started: the first after something was new, more the longer
	// nothing is.
	minDelay = time.Second
	maxDelay = 5 * time.Second
	// maxFailures in a row, about five minutes, end a stream: a Jenkins that restarts
	// takes less.
	maxFailures = 60
	// requestTimeout bounds each request to the API server.
	requestTimeout = 10 * time.Second
	// maxMessage bounds an error's text in a header or a body, in bytes.
	maxMessage = 1 << 10
)

// nextDelay is how long to wait before the next look: minDelay after something was
// new, else half as long again as before, up to maxDelay.
func nextDelay(last time.Duration, news bool) time.Duration {
	if news || last < minDelay {
		return minDelay
	}
	return min(last+last/2, maxDelay)
}
