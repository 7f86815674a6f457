package jenkins

import "strings"

// maxSessions is how many sessions a position remembers. One would do for a Jenkins, but behind a load balancer several may
// answer in turn, and each change costs a read from the beginning.
const maxSessions = 4

// inSession tells whether a session is among those that are known, and returns these with the session at their end. An answer
// without a session, from a proxy that drops the header, is taken for one of a session that is known.
func inSession(sessions, session string) (next string, known bool) {
	if session == "" || strings.ContainsRune(session, ',') {
		return sessions, true
	}
	var others []string
	if sessions != "" {
		others = strings.Split(sessions, ",")
	}
	for i, s := range others {
		if s == session {
			return strings.Join(append(append(others[:i:i], others[i+1:]...), session), ","), true
		}
	}
	if len(others) == maxSessions {
		others = others[1:]
	}
	return strings.Join(append(others, session), ","), false
}
