package hook

import "time"

// Bytes.
const (
	// MaxBody is the largest delivery of a Git host; GitHub and GitLab send no larger ones
	// (https://docs.github.com/webhooks/webhook-events-and-payloads#payload-cap).
	MaxBody = 25 << 20
	// MaxImageBody is the largest notification of a registry.
	MaxImageBody = 1 << 20
	// MaxBytesInFlight bounds the bodies of all requests together: one of MaxBody and many
	// of the usual size.
	MaxBytesInFlight = 32 << 20
	// readChunk is the step in which a body may grow: a client pays with bytes before it
	// takes memory.
	readChunk = 64 << 10
	// trustedBytes is how much a client must have sent before its Content-Length is
	// believed.
	trustedBytes = 1 << 20
	// MaxHeaderBytes bounds the headers of a request.
	MaxHeaderBytes = 32 << 10
)

// Requests and connections.
const (
	// MaxRequests is how many deliveries are worked on at once; more get 503.
	MaxRequests = 256
	// MaxConnections is how many connections Listen keeps open; more wait in the kernel.
	MaxConnections = 1024
	// MaxParallelCreates is how many runs of one delivery are created at once.
	MaxParallelCreates = 8
	// RepositoryRate and RepositoryBurst bound the authentic deliveries of one repository,
	// per second: far above what a host sends, to stop a loop.
	RepositoryRate  = 2000
	RepositoryBurst = 4000
)

// Times.
const (
	// ReadHeaderTimeout, ReadTimeout and WriteTimeout are for one request, IdleTimeout for
	// a connection between two.
	ReadHeaderTimeout = 5 * time.Second
	ReadTimeout       = 10 * time.Second
	WriteTimeout      = 15 * time.Second
	IdleTimeout       = 30 * time.Second
	// CreateTimeout bounds verifying a delivery and storing what it starts. GitHub, GitLab and Gitea wait
	// 10 s for the answer.
	CreateTimeout = 8 * time.Second
	// DoubtTimeout is how long a 403 or 404 of the API server is not taken for its last
	// word.
	DoubtTimeout = 3 * time.Second
	// ShutdownTimeout is for answering what has been received before a replica ends.
	ShutdownTimeout = 20 * time.Second
	// RetryAfter is what a 503 or 429 asks senders to wait.
	RetryAfter = 10 * time.Second

	// SecretTTL and MissingSecretTTL are how long a webhook's Secret, or its absence, is
	// remembered; a wrong signature looks again once RotationDelay has passed.
	SecretTTL        = 10 * time.Second
	MissingSecretTTL = 5 * time.Second
	RotationDelay    = 2 * time.Second

	// StatusInterval is the least time between two updates of one repository's
	// status.webhook.lastDelivery.
	StatusInterval = 5 * time.Second
)

// Memory.
const (
	cachedSecrets = 1024
	cachedBodies  = 4096
	cachedRates   = 1024
)
