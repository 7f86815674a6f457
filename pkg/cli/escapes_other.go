//go:build !windows

package cli

import "os"

// enableEscapes tells whether the terminal understands escape sequences.
func enableEscapes(*os.File) bool { return true }
