package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// readInput reads a config file, or standard input for "-".
func (a *app) readInput(file string) (string, error) {
	in := a.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("read config file: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, pipeline.MaxConfigBytes+1))
	if err != nil {
		return "", fmt.Errorf("read config file %s: %w", inputName(file), err)
	}
	switch {
	case len(text) > pipeline.MaxConfigBytes:
		return "", fmt.Errorf("config file %s has more than %d KiB", inputName(file), pipeline.MaxConfigBytes>>10)
	case strings.TrimSpace(string(text)) == "":
		return "", fmt.Errorf("config file %s is empty", inputName(file))
	}
	return string(text), nil
}

func inputName(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

// badConfig is a config file with mistakes.
type badConfig struct {
	name     string
	problems []string // name:line:column: what is wrong, as editors read it
}

func (e *badConfig) Error() string {
	return fmt.Sprintf("%s cannot be run:\n  %s", e.name, strings.Join(e.problems, "\n  "))
}

// checkConfig parses a config file and refuses what cannot be run yet. The error is a
// *badConfig; the config is returned with it when only the second is wrong.
func checkConfig(name, text string) (*pipeline.Config, error) {
	config, err := pipeline.ParseConfig(text)
	var mistakes pipeline.ConfigErrors
	switch {
	case errors.As(err, &mistakes):
		return nil, &badConfig{name, problems(name, mistakes)}
	case err != nil:
		return nil, &badConfig{name, []string{name + ": " + err.Error()}}
	}
	if mistakes = config.Unsupported(); len(mistakes) > 0 {
		return config, &badConfig{name, problems(name, mistakes)}
	}
	return config, nil
}

func problems(name string, mistakes []pipeline.ConfigError) []string {
	var lines []string
	for _, m := range mistakes {
		line := fmt.Sprintf("%s:%d:%d: ", name, m.Line, m.Column)
		if m.Path != "" {
			line += m.Path + ": "
		}
		lines = append(lines, line+m.Message)
	}
	return lines
}
