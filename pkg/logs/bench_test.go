package logs

import (
	"io"
	"sync"
	"testing"
)

// BenchmarkStream is one log on its way from Jenkins to its reader, over HTTP twice.
func BenchmarkStream(b *testing.B) { benchmarkStreams(b, 1) }

// BenchmarkStreams is the same with fifty readers at once.
func BenchmarkStreams(b *testing.B) { benchmarkStreams(b, 50) }

func benchmarkStreams(b *testing.B, streams int) {
	log := newLongLog(4 << 20)
	url := serveLong(b, log)
	b.SetBytes(int64(streams * log.times * len(log.text)))
	for b.Loop() {
		var all sync.WaitGroup
		for range streams {
			all.Go(func() {
				resp, err := openLog(b.Context(), url)
				if err != nil {
					b.Error(err)
					return
				}
				defer resp.Body.Close()
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
	}
	b.StopTimer()
	b.ReportMetric(float64(streamMemory(b, 50))/1024, "KiB/stream")
}
