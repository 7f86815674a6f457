package logs

import (
	"bytes"
	"testing"
)

// FuzzReplay: however a log is cut, read again and gone on with, what was written is
// never lost and never doubled: it is what each version of the log brought.
func FuzzReplay(f *testing.F) {
	f.Add([]byte("hello"), []byte(" world"), uint16(3), uint8(2))
	f.Add([]byte(""), []byte("x"), uint16(0), uint8(1))
	f.Fuzz(func(t *testing.T, first, more []byte, cut uint16, piece uint8) {
		keep := first[:len(first)-min(int(cut), len(first))]
		second := append(bytes.Clone(keep), more...)
		var out bytes.Buffer
		r := newReplay(&out)
		for i, log := range [][]byte{first, second} {
			for p := log; len(p) > 0; {
				n := min(int(piece)+1, len(p))
				if _, err := r.Write(p[:n]); err != nil {
					t.Fatal(err)
				}
				p = p[n:]
			}
			if i == 0 {
				r.restart()
			}
		}
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		same := 0
		for same < len(first) && same < len(second) && first[same] == second[same] {
			same++
		}
		want := append(bytes.Clone(first), second[same:]...)
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("wrote %q, want %q", out.Bytes(), want)
		}
	})
}
