package scm

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the hash that known_hosts uses to hide names, sshd(8)
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
)

// dialSSH starts git-upload-pack on a host whose key is in known_hosts.
func dialSSH(ctx context.Context, u *url.URL, c Credential, limit int64) (wire, error) {
	user, port := "git", "22"
	if u.User != nil && u.User.Username() != "" {
		user = u.User.Username()
	} else if c.Username != "" {
		user = c.Username
	}
	if p := u.Port(); p != "" {
		port = p
	}
	auth, err := c.sshAuth()
	if err != nil {
		return nil, err
	}
	keys, err := knownKeys(c.KnownHosts, u.Hostname(), port)
	if err != nil {
		return nil, err
	}
	conn, stop, err := dialContext(ctx, net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	sc, chans, reqs, err := ssh.NewClientConn(conn, u.Host, &ssh.ClientConfig{
		User: user, Auth: auth,
		HostKeyCallback:   keys.check,
		HostKeyAlgorithms: keys.algorithms(),
	})
	if err != nil {
		stop()
		if wrong, ok := errors.AsType[*Error](err); ok {
			return nil, wrong
		}
		if strings.Contains(err.Error(), "unable to authenticate") {
			return nil, fmt.Errorf("%w: %v", transport.ErrAuthorizationFailed, err)
		}
		return nil, err
	}
	client := ssh.NewClient(sc, chans, reqs)
	closeAll := func() { _ = client.Close(); stop() }
	w, err := startUploadPack(client, u.Path, limit)
	if err != nil {
		closeAll()
		return nil, err
	}
	w.closer = closeAll
	return w, nil
}

func startUploadPack(client *ssh.Client, repoPath string, limit int64) (*streamWire, error) {
	s, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	in, err := s.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := s.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.Start(transport.UploadPackServiceName + " " + shellQuote(repoPath)); err != nil {
		return nil, err
	}
	said := &tail{done: make(chan struct{})}
	go said.read(stderr) // ends when the connection does
	return &streamWire{in: in, out: &boundedReader{r: out, left: limit}, stderr: said}, nil
}

// shellQuote is git's sq_quote: also '!' is taken out of the quotes, for csh.
func shellQuote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

func (c Credential) sshAuth() ([]ssh.AuthMethod, error) {
	if c.SSHPrivateKey == "" {
		if c.Password != "" {
			return []ssh.AuthMethod{ssh.Password(c.Password)}, nil
		}
		return nil, errorf(KindUnauthorized, "log in over ssh: the credential holds no ssh-privatekey")
	}
	signer, err := ssh.ParsePrivateKey([]byte(c.SSHPrivateKey))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, errorf(KindInvalid, "read ssh-privatekey: it needs a passphrase, wanted a key without one")
	case err != nil:
		return nil, errorf(KindInvalid, "read ssh-privatekey: it is no private key in PEM")
	}
	return []ssh.AuthMethod{ssh.PublicKeys(signer)}, nil
}

// hostKeys are the keys that known_hosts has for one host.
type hostKeys struct {
	host           string
	known, revoked []ssh.PublicKey
}

// knownKeys reads known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): patterns,
// negations, hashed names, ports, @revoked. Certificate authorities are passed over:
// a host that only has a certificate is refused.
func knownKeys(knownHosts, host, port string) (*hostKeys, error) {
	name := host
	if port != "22" {
		name = "[" + host + "]:" + port
	}
	k := &hostKeys{host: name}
	rest := []byte(knownHosts)
	for len(bytes.TrimSpace(rest)) > 0 {
		marker, hosts, key, _, next, err := ssh.ParseKnownHosts(rest)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errorf(KindInvalid, "read known_hosts: %v", err)
		}
		rest = next
		if marker == "cert-authority" || !matchesHost(hosts, name) {
			continue
		}
		if marker == "revoked" {
			k.revoked = append(k.revoked, key)
		} else {
			k.known = append(k.known, key)
		}
	}
	if len(k.known) == 0 {
		return nil, errorf(KindUnauthorized, "check the key of %s: known_hosts of the credential has no key of that host", name)
	}
	return k, nil
}

func matchesHost(patterns []string, name string) bool {
	matched := false
	for _, p := range patterns {
		negated := strings.HasPrefix(p, "!")
		p = strings.TrimPrefix(p, "!")
		if !matchesPattern(p, name) {
			continue
		}
		if negated {
			return false
		}
		matched = true
	}
	return matched
}

func matchesPattern(pattern, name string) bool {
	name = strings.ToLower(name)
	if hashed, ok := strings.CutPrefix(pattern, "|1|"); ok {
		salt64, sum64, _ := strings.Cut(hashed, "|")
		salt, err1 := base64.StdEncoding.DecodeString(salt64)
		sum, err2 := base64.StdEncoding.DecodeString(sum64)
		if err1 != nil || err2 != nil {
			return false
		}
		mac := hmac.New(sha1.New, salt)
		mac.Write([]byte(name))
		return hmac.Equal(mac.Sum(nil), sum)
	}
	pattern = strings.ToLower(pattern)
	if strings.HasPrefix(pattern, "[") || strings.HasPrefix(name, "[") {
		return pattern == name || strings.HasPrefix(pattern, "[") && strings.ContainsAny(pattern, "*?") &&
			matchGlob(strings.Trim(strings.Replace(pattern, "]", "", 1), "["), strings.Trim(strings.Replace(name, "]", "", 1), "["))
	}
	return matchGlob(pattern, name)
}

// matchGlob: only * and ? are special in known_hosts.
func matchGlob(pattern, name string) bool {
	pattern = strings.NewReplacer(`\`, `\\`, "[", `\[`).Replace(pattern)
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

func (k *hostKeys) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	for _, r := range k.revoked {
		if bytes.Equal(r.Marshal(), key.Marshal()) {
			return errorf(KindUnauthorized, "check the key of %s: known_hosts says that it is revoked", k.host)
		}
	}
	for _, w := range k.known {
		if bytes.Equal(w.Marshal(), key.Marshal()) {
			return nil
		}
	}
	return errorf(KindUnauthorized, "check the key of %s: it is not the one in known_hosts (%s)", k.host, ssh.FingerprintSHA256(key))
}

// algorithms asks the host for a kind of key that we can compare.
func (k *hostKeys) algorithms() []string {
	var out []string
	for _, key := range k.known {
		if key.Type() == ssh.KeyAlgoRSA {
			out = append(out, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		out = append(out, key.Type())
	}
	return out
}
