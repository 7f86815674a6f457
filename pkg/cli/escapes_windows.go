package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// enableEscapes switches a Windows console to understanding escape sequences and tells
// whether it does.
// https://learn.microsoft.com/windows/console/console-virtual-terminal-sequences
func enableEscapes(f *os.File) bool {
	var mode uint32
	h := windows.Handle(f.Fd())
	if windows.GetConsoleMode(h, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
