package pipeline

import "errors"

// MaxConfigBytes is the most that a config file may have, as the API allows in a snapshot.
const MaxConfigBytes = 256 << 10

// ParseConfig reads a config file strictly, applies defaults and checks everything that can be checked without a run. The error is
// ConfigErrors: all mistakes, in the order of their lines.
func ParseConfig(text string) (*Config, error) { return nil, errors.New("being written") }

// Unsupported lists what the file asks for and this version does not do yet, by name.
func (c *Config) Unsupported() []ConfigError { return nil }
