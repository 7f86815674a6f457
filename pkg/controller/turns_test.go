package controller

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

func TestTurnsComeInTheOrderInWhichTheyWereAskedFor(t *testing.T) {
	key := func(n int) types.NamespacedName { return types.NamespacedName{Name: fmt.Sprint(n)} }
	var woken []string
	turns := newTurns(2, func(k types.NamespacedName) { woken = append(woken, k.Name) })
	takes := func(n int) func() {
		done, _ := turns.take(key(n))
		return done
	}
	first, second := takes(1), takes(2)
	if first == nil || second == nil {
		t.Fatal("the first two have to wait")
	}
	for _, n := range []int{3, 4, 5, 3, 6} { // asking again does not move anybody back
		if takes(n) != nil {
			t.Fatalf("%d does not wait", n)
		}
	}
	turns.leave(key(4))
	turns.leave(key(9))
	first()
	if takes(5) != nil {
		t.Error("5 comes before 3")
	}
	third := takes(3)
	if third == nil {
		t.Fatal("3 still waits")
	}
	second()
	turns.leave(key(5)) // it was woken and wants nothing any more
	if takes(7) != nil {
		t.Error("7 comes before 6")
	}
	sixth := takes(6)
	if sixth == nil {
		t.Fatal("6 still waits")
	}
	third()
	sixth()
	if diff := cmp.Diff([]string{"3", "5", "6", "7", "7"}, woken); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	if done := takes(7); done == nil || len(turns.waiting) > 0 {
		t.Errorf("7 still waits, and %v", turns.waiting)
	}
}

// TestTurnsLetEverybodyThrough: workers that take, give and lose interest leave nobody
// behind.
func TestTurnsLetEverybodyThrough(t *testing.T) {
	const keys = 500
	work := make(chan types.NamespacedName, 100*keys) // a queue that forgets nothing
	over := make(chan struct{})
	turns := newTurns(3, func(k types.NamespacedName) { work <- k })
	var mu sync.Mutex
	through, busy := map[string]int{}, 0
	var left sync.WaitGroup
	left.Add(keys)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for {
				var k types.NamespacedName
				select {
				case <-t.Context().Done():
					return
				case <-over:
					return
				case k = <-work:
				}
				mu.Lock()
				again := through[k.Name] > 0
				mu.Unlock()
				if again {
					turns.leave(k)
					continue
				}
				done, ok := turns.take(k)
				if !ok {
					continue
				}
				mu.Lock()
				if busy++; busy > 3 {
					t.Error("more than three at once")
				}
				through[k.Name]++
				once := through[k.Name] == 1
				busy--
				mu.Unlock()
				done()
				if once {
					left.Done()
				}
			}
		})
	}
	for i := range keys {
		work <- types.NamespacedName{Name: fmt.Sprint(i)}
	}
	left.Wait()
	close(over)
	workers.Wait()
	for _, k := range slices.Clone(turns.waiting) { // who were through and asked once more
		turns.leave(k)
	}
	if turns.free != 3 || len(turns.waiting) > 0 {
		t.Errorf("%d turns are free, want 3; %v wait", turns.free, turns.waiting)
	}
}
