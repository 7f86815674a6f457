package cli

import (
	"io"
	"strings"
	"testing"
)

func TestColor(t *testing.T) {
	tty := screen{true, 80, 24}
	for name, c := range map[string]struct {
		screen screen
		env    map[string]string
		flag   string
		want   bool
	}{
		"on a terminal":                      {tty, nil, "auto", true},
		"not in a pipe":                      {screen{}, nil, "auto", false},
		"not with NO_COLOR":                  {tty, map[string]string{"NO_COLOR": "1"}, "auto", false},
		"an empty NO_COLOR does not count":   {tty, map[string]string{"NO_COLOR": ""}, "auto", true},
		"CLICOLOR_FORCE in a pipe":           {screen{}, map[string]string{"CLICOLOR_FORCE": "1"}, "auto", true},
		"NO_COLOR wins over CLICOLOR_FORCE":  {screen{}, map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, "auto", false},
		"not on a dumb terminal":             {tty, map[string]string{"TERM": "dumb"}, "auto", false},
		"the flag wins over the environment": {screen{}, map[string]string{"NO_COLOR": "1"}, "always", true},
		"never":                              {tty, nil, "never", false},
	} {
		a := &app{getenv: func(k string) string { return c.env[k] }, color: c.flag}
		a.screen = func(io.Writer) screen { return c.screen }
		if got := a.style(nil).color; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestUnicodeFollowsTheLocale(t *testing.T) {
	for env, want := range map[string]bool{"LANG=en_US.UTF-8": true, "LANG=C": false, "LC_ALL=C,LANG=en_US.utf8": false, "LC_CTYPE=C.utf8": true} {
		vars := map[string]string{}
		for kv := range strings.SplitSeq(env, ",") {
			k, v, _ := strings.Cut(kv, "=")
			vars[k] = v
		}
		a := &app{getenv: func(k string) string { return vars[k] }}
		if got := a.unicode(); got != want {
			t.Errorf("%s: %v", env, got)
		}
	}
}
