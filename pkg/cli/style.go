package cli

import (
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// screen is the terminal behind a stream; a pipe or a file has tty false.
type screen struct {
	tty           bool
	width, height int // in characters
}

// detectScreen asks the operating system, each time: windows are resized.
func detectScreen(w io.Writer) screen {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return screen{}
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	return screen{tty: enableEscapes(f), width: width, height: height}
}

// style is how text may look on one stream.
type style struct {
	color   bool
	unicode bool
}

type color string

const (
	plain   color = ""
	red     color = "31"
	green   color = "32"
	yellow  color = "33"
	magenta color = "35"
	cyan    color = "36"
	dim     color = "2"
	bold    color = "1"
)

// paint colours text that is already padded: escapes have no width that fmt knows of.
func (s style) paint(c color, text string) string {
	if !s.color || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// style follows --color, then https://no-color.org and its counterpart
// CLICOLOR_FORCE, then what the stream is.
func (a *app) style(w io.Writer) style {
	s := style{unicode: a.unicode()}
	switch {
	case a.color == "always":
		s.color = true
	case a.color == "never", a.getenv("NO_COLOR") != "":
	case a.getenv("CLICOLOR_FORCE") != "" && a.getenv("CLICOLOR_FORCE") != "0":
		s.color = true
	default:
		s.color = a.live(w)
	}
	return s
}

// live tells whether w is a terminal that can be redrawn.
func (a *app) live(w io.Writer) bool {
	return a.getenv("TERM") != "dumb" && a.screen(w).tty
}

// unicode tells whether the locale is UTF-8 (POSIX: the first of these that is set).
func (a *app) unicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(a.getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return runtime.GOOS == "windows" || runtime.GOOS == "darwin"
}

// look is how a phase is shown: never by colour alone.
type look struct {
	glyph, ascii string
	color        color
}

var looks = map[v1alpha1.Phase]look{
	v1alpha1.PhaseQueued:    {"◷", "~", yellow},
	v1alpha1.PhasePending:   {"·", ".", dim},
	v1alpha1.PhaseRunning:   {"●", "*", cyan},
	v1alpha1.PhasePaused:    {"‖", "=", yellow},
	v1alpha1.PhaseSucceeded: {"✔", "+", green},
	v1alpha1.PhaseFailed:    {"✖", "x", red},
	v1alpha1.PhaseAborted:   {"■", "#", magenta},
	v1alpha1.PhaseSkipped:   {"○", "-", dim},
}

func (s style) glyph(p v1alpha1.Phase) string {
	l, ok := looks[p]
	if !ok {
		l = look{"?", "?", plain}
	}
	if s.unicode {
		return l.glyph
	}
	return l.ascii
}

func (s style) phaseColor(p v1alpha1.Phase) color { return looks[p].color }
