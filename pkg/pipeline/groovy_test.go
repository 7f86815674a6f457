package pipeline

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// hardTexts are texts that break naive encoders.
func hardTexts() map[string]string {
	return map[string]string{
		"plain":                   "go build ./...",
		"single quotes":           `'a' ''b'' '''c''' ''''`,
		"double quotes":           `"a" ""b"" """c"""`,
		"dollars":                 `$ $$ $x ${x} $(x) $((1+1)) \$x \${x}`,
		"backticks":               "`date` \\`date\\`",
		"backslashes":             `\ \\ \\\ \\\\ \n \t \0 \x41 \' \"`,
		"trailing backslash":      `echo \`,
		"only a backslash":        `\`,
		"unicode escapes":         `\u0041 \\u0041 \\\u0041 \uuuu0041 \u \u00 \U0001F600 u\u`,
		"escapes of dangers":      `\u0027); error('x') // \u005c\u000a`,
		"comments":                "/* a */ // b\n# c\n<!-- d --> ]]>",
		"line ends":               "a\nb\r\nc\rd\n\n\n",
		"line continuation":       "a \\\nb \\\r\nc",
		"tabs and controls":       "a\tb\x01\x02\x03\b\f\v\x1b[31m\x1f\x7f",
		"accents and scripts":     "ünïcödé 日本語 العربية \u00a0\u200b\u202e",
		"line separators":         "a\u0085b\u2028c\u2029d\ufeffe",
		"surrogates":              "😀 \U0010ffff \U00010000 👩‍👩‍👧",
		"backslash before accent": `\é \\é \😀 \\\日`,
		"non characters":          "\ufdd0\ufffd\U0001fffe\U0010ffff",
		"more controls":           "\x80\x0e\u0080\u009f\u0084"[1:],
		"markup":                  "<script>]]></script> &amp; &#13; <?xml version='1.1'?> <!-- --> &",
		"white space around":      " \t\n  x  \n\n \t \n",
		"carriage returns":        "\r\r\n\n\rx\r",
		"byte order marks":        "\ufeff#!/bin/sh\n\ufeff",
		"statements":              "') } } node { sh('rm -rf /') } //",
		"shebang":                 "#!/usr/bin/env python3\nprint('hi')\n",
		"here document":           "cat <<'EOF'\n$x \\u0041 '''\nEOF\n",
		"100 KB":                  strings.Repeat("echo 'é\\u0041 $x' \"😀\"\t\\\n", 3700),
		"literal bounds":          strings.Repeat("x", maxLiteral-3) + `\\\` + strings.Repeat("😀", maxLiteral/12) + "é",
		"many splits":             strings.Repeat(`\u`, 500),
	}
}

func TestGroovyStringRoundTrip(t *testing.T) {
	for name, text := range hardTexts() {
		t.Run(name, func(t *testing.T) { checkRoundTrip(t, text) })
	}
}

func checkRoundTrip(t *testing.T, text string) {
	t.Helper()
	source := groovyString(text)
	got, err := decodeGroovy(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	if diff := cmp.Diff(text, got); diff != "" {
		t.Errorf("decoded text (-want +got):\n%s", diff)
	}
	for line := range strings.SplitSeq(source, "\n") {
		if len(line) > maxLiteral+8 {
			t.Errorf("a literal has %d characters, want at most %d", len(line), maxLiteral)
		}
	}
}

func FuzzGroovyString(f *testing.F) {
	for _, text := range hardTexts() {
		if len(text) < 1000 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, bad := unrepresentable(text); bad {
			t.Skip("refused before it is encoded")
		}
		checkRoundTrip(t, text)
	})
}

// decodeGroovy reads a concatenation of single-quoted literals as Groovy does, in two passes: \uXXXX first, in the whole source, then
// the tokens. It is deliberately small and strict, and written from the language's rules, not from the encoder.
func decodeGroovy(source string) (string, error) {
	units, err := decodeUnicodeEscapes(source)
	if err != nil {
		return "", err
	}
	var out []uint16
	i := 0
	for {
		if i >= len(units) || units[i] != '\'' {
			return "", fmt.Errorf("want a quote at %d", i)
		}
		if i+2 < len(units) && units[i+1] == '\'' && units[i+2] == '\'' {
			return "", fmt.Errorf("a triple quote at %d", i)
		}
		for i++; ; i++ {
			if i >= len(units) {
				return "", fmt.Errorf("literal does not end")
			}
			c := units[i]
			if c == '\'' {
				break
			}
			switch c {
			case '\n', '\r', 0xFFFF:
				return "", fmt.Errorf("%U inside a literal at %d", c, i)
			case '\\':
				i++
				e, ok := map[uint16]uint16{'\\': '\\', '\'': '\'', 'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f'}[units[i]]
				if !ok {
					return "", fmt.Errorf("escape \\%c at %d", units[i], i)
				}
				c = e
			}
			out = append(out, c)
		}
		rest := string(utf16.Decode(units[i+1:]))
		if rest == "" {
			return string(utf16.Decode(out)), nil
		}
		after, ok := strings.CutPrefix(rest, " +\n")
		if !ok {
			return "", fmt.Errorf("want ' +' after a literal, got %.20q", rest)
		}
		i += 1 + len(utf16.Encode([]rune(rest))) - len(utf16.Encode([]rune(after)))
	}
}

func decodeUnicodeEscapes(source string) ([]uint16, error) {
	var out []uint16
	for i := 0; i < len(source); i++ {
		c := source[i]
		if c >= utf8.RuneSelf || c < ' ' && c != '\n' {
			return nil, fmt.Errorf("byte 0x%02x in the source", c)
		}
		if c != '\\' {
			out = append(out, uint16(c))
			continue
		}
		if i+1 >= len(source) {
			return nil, fmt.Errorf("source ends in a backslash")
		}
		if source[i+1] != 'u' {
			out = append(out, '\\', uint16(source[i+1])) // an escaped backslash begins no unicode escape
			i++
			continue
		}
		if i+6 > len(source) {
			return nil, fmt.Errorf("short unicode escape")
		}
		n, err := strconv.ParseUint(source[i+2:i+6], 16, 16)
		if err != nil {
			return nil, err
		}
		out = append(out, uint16(n))
		i += 5
	}
	return out, nil
}
