package controller

import (
	"sync"
	"time"
)

// lately remembers for a while that something was so. What is too old is forgotten, also
// when nobody asks for it again: projects come and go.
type lately[K comparable] struct {
	mu    sync.Mutex
	since map[K]time.Time
	swept time.Time
}

// knows tells whether key was noted less than age ago.
func (l *lately[K]) knows(key K, age time.Duration, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.since[key]
	return ok && now.Sub(at) < age
}

// note takes key down, and forgets what is older than age.
func (l *lately[K]) note(key K, age time.Duration, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since == nil {
		l.since = map[K]time.Time{}
	}
	if now.Sub(l.swept) >= age {
		l.swept = now
		for k, at := range l.since {
			if now.Sub(at) >= age {
				delete(l.since, k)
			}
		}
	}
	l.since[key] = now
}

func (l *lately[K]) drop(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.since, key)
}

// keyedMutex is a mutex for each key, for as long as somebody holds it or waits for it.
type keyedMutex struct {
	mu    sync.Mutex
	locks map[string]*countedMutex
}

type countedMutex struct {
	sync.Mutex
	users int
}

func (k *keyedMutex) lock(key string) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*countedMutex{}
	}
	m := k.locks[key]
	if m == nil {
		m = &countedMutex{}
		k.locks[key] = m
	}
	m.users++
	k.mu.Unlock()
	m.Lock()
	return func() {
		m.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if m.users--; m.users == 0 {
			delete(k.locks, key)
		}
	}
}
