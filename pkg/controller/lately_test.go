package controller

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestLatelyForgets(t *testing.T) {
	var l lately[string]
	now := time.Now()
	l.note("shop", time.Minute, now)
	if !l.knows("shop", time.Minute, now.Add(59*time.Second)) || l.knows("shop", time.Minute, now.Add(time.Minute)) || l.knows("bank", time.Minute, now) {
		t.Error("shop is to be known for a minute, and nothing else")
	}
	for i := range 10_000 {
		l.note(fmt.Sprint(i), time.Minute, now.Add(time.Duration(i)*time.Second))
	}
	if n := len(l.since); n > 200 {
		t.Errorf("%d are remembered, of which 60 are not too old", n)
	}
	l.drop("9999")
	if l.knows("9999", time.Minute, now.Add(9999*time.Second)) {
		t.Error("what was dropped is known")
	}
}

func TestKeyedMutex(t *testing.T) {
	var k keyedMutex
	counts := map[string]*int{"a": new(int), "b": new(int)}
	var wg sync.WaitGroup
	for i := range 200 {
		key := []string{"a", "b"}[i%2]
		wg.Go(func() {
			defer k.lock(key)()
			*counts[key]++
		})
	}
	wg.Wait()
	if *counts["a"] != 100 || *counts["b"] != 100 || len(k.locks) != 0 {
		t.Errorf("counts %d and %d, %d locks are left", *counts["a"], *counts["b"], len(k.locks))
	}
}
