// Package repo tests the repository itself: who may import whom, that every package
// says what it is for, that the README's commands exist. It holds no code; each
// failure says why the rule is there.
package repo
