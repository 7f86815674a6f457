package hook

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// read takes the body, at most limit bytes, in steps, each paid from the budget of all requests.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, memory *lease, limit int64) (body []byte, a answer, ok bool) {
	limited := http.MaxBytesReader(w, r.Body, limit)
	deadlines := http.NewResponseController(w)
	for {
		if len(body) == cap(body) {
			next := nextSize(int64(cap(body)), r.ContentLength)
			if !memory.grow(next) {
				return nil, overloaded("too many bytes at once"), false
			}
			grown := make([]byte, len(body), next)
			copy(grown, body)
			body = grown
			memory.shrink(next)
		}
		n, err := limited.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var tooLarge *http.MaxBytesError
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			_ = deadlines.SetReadDeadline(time.Time{})
			_ = deadlines.SetWriteDeadline(time.Now().Add(WriteTimeout))
			return body, answer{}, true
		case errors.As(err, &tooLarge):
			return nil, answer{status: http.StatusRequestEntityTooLarge, result: resultRefused, Error: fmt.Sprintf("the body is larger than %d bytes", limit)}, false
		default:
			return nil, answer{status: http.StatusBadRequest, result: resultRefused, Error: "the body could not be read to its end"}, false
		}
	}
}

// nextSize is how large a buffer becomes when it is full: it doubles, so that a
// client pays with bytes for memory, and goes to the promised length once a client has
// shown that it is serious. One byte more than the length lets the end be seen.
func nextSize(size, contentLength int64) int64 {
	next := max(readChunk, 2*size)
	switch {
	case contentLength >= 0 && (contentLength < next || size >= trustedBytes):
		next = contentLength + 1
	case size >= 4*trustedBytes: // another doubling of both would not fit the budget
		next = MaxBody + 1
	}
	return min(max(next, size+1), MaxBody+1)
}
