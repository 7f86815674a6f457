package scm

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func newSSHKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

// serveSSH runs git-upload-pack for whoever has the client key.
func serveSSH(t *testing.T, root string, hostKey ssh.Signer, client ssh.PublicKey) string {
	t.Helper()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(client.Marshal()) {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, nil
	}}
	config.AddHostKey(hostKey)
	return serveStream(t, func(c net.Conn) {
		_, chans, reqs, err := ssh.NewServerConn(c, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(reqs)
		for nc := range chans {
			ch, reqs, err := nc.Accept()
			if err != nil {
				return
			}
			for req := range reqs {
				if req.Type != "exec" {
					_ = req.Reply(false, nil)
					continue
				}
				_ = req.Reply(true, nil)
				var cmd struct{ Line string }
				_ = ssh.Unmarshal(req.Payload, &cmd)
				sh := exec.Command("sh", "-c", cmd.Line)
				sh.Dir = root
				sh.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}
				sh.Stdout, sh.Stderr = ch, ch.Stderr()
				in, _ := sh.StdinPipe() // not Stdin: Wait would wait for the client's end of it
				go func() { _, _ = io.Copy(in, ch); _ = in.Close() }()
				if sh.Start() == nil {
					_ = sh.Wait()
				}
				_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
				_ = ch.Close()
			}
		}
	})
}

func TestGitReadsOverSSH(t *testing.T) {
	h := newHistory(t)
	h.git("config", "uploadpack.allowFilter", "true")
	h.git("config", "uploadpack.allowAnySHA1InWant", "true")
	hostKey, _ := newSSHKey(t)
	client, clientPEM := newSSHKey(t)
	addr := serveSSH(t, filepath.Dir(h.dir), hostKey, client.PublicKey())
	repo := Repository{URL: "ssh://git@" + addr + h.dir, Credential: Credential{
		SSHPrivateKey: clientPEM, KnownHosts: knownhosts.Line([]string{addr}, hostKey.PublicKey()),
	}}
	checkReads(t, h, repo)

	r := NewReader(Options{})
	stranger, strangerPEM := newSSHKey(t)
	for name, c := range map[string]Credential{
		"a key that the host does not know": {SSHPrivateKey: strangerPEM, KnownHosts: repo.Credential.KnownHosts},
		"a host with another key":           {SSHPrivateKey: clientPEM, KnownHosts: knownhosts.Line([]string{addr}, stranger.PublicKey())},
		"a host that is not known":          {SSHPrivateKey: clientPEM, KnownHosts: knownhosts.Line([]string{"example.org"}, hostKey.PublicKey())},
		"no known_hosts":                    {SSHPrivateKey: clientPEM},
		"no key":                            {KnownHosts: repo.Credential.KnownHosts},
	} {
		other := repo
		other.Credential = c
		if _, err := r.Resolve(t.Context(), other, "main"); KindOf(err) != KindUnauthorized {
			t.Errorf("%s: %v, want Unauthorized", name, err)
		}
	}
	broken := repo
	broken.Credential.SSHPrivateKey = "-----BEGIN nonsense"
	if _, err := r.Resolve(t.Context(), broken, "main"); KindOf(err) != KindInvalid || strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a broken key: %v, want Invalid without the key in it", err)
	}
}

func TestKnownHostsFindTheKeysOfAHost(t *testing.T) {
	key, _ := newSSHKey(t)
	line := func(hosts string) string {
		return hosts + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey()))) + "\n"
	}
	for name, c := range map[string]struct {
		file, host, port string
		want             bool
	}{
		"a plain name":                       {line("git.example.org"), "git.example.org", "22", true},
		"a name in other case":               {line("git.example.org"), "Git.Example.org", "22", true},
		"one of several":                     {line("a.org,git.example.org,10.0.0.1"), "10.0.0.1", "22", true},
		"a wildcard":                         {line("*.example.org"), "git.example.org", "22", true},
		"a negation after a wildcard":        {line("*.example.org,!git.example.org"), "git.example.org", "22", false},
		"a port":                             {line("[git.example.org]:2222"), "git.example.org", "2222", true},
		"a port where none is written":       {line("git.example.org"), "git.example.org", "2222", false},
		"a hashed name":                      {line(knownhosts.HashHostname("git.example.org")), "git.example.org", "22", true},
		"another hashed name":                {line(knownhosts.HashHostname("other.org")), "git.example.org", "22", false},
		"a comment and blank lines before":   {"# a comment\n\n" + line("git.example.org"), "git.example.org", "22", true},
		"a certificate authority only":       {"@cert-authority " + line("*.example.org"), "git.example.org", "22", false},
		"an IPv6 address":                    {line("[2001:db8::1]:22,2001:db8::1"), "2001:db8::1", "22", true},
		"a wildcard with a port":             {line("[*.example.org]:2222"), "git.example.org", "2222", true},
		"a suffix that is not the same name": {line("example.org"), "evil-example.org", "22", false},
	} {
		k, err := knownKeys(c.file, c.host, c.port)
		if got := err == nil && k.check("", nil, key.PublicKey()) == nil; got != c.want {
			t.Errorf("%s: known = %v (%v), want %v", name, got, err, c.want)
		}
	}
	k, err := knownKeys(line("a.org")+"@revoked "+line("*"), "a.org", "22")
	if err != nil || k.check("", nil, key.PublicKey()) == nil {
		t.Errorf("a revoked key was accepted (%v)", err)
	}
}
