package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/samples"
)

var (
	key    = []byte("0123456789abcdef0123456789abcdef")
	digest = "sha256:" + strings.Repeat("ab", 32)
)

func hexHMAC(key, body []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

func sender(t testing.TB, typ v1alpha1.RegistryType) Sender {
	t.Helper()
	s, ok := SenderOf(Word(typ))
	if !ok || s.Type != typ {
		t.Fatalf("%s is no sender", typ)
	}
	return s
}

// Security: every kind is proved by what it can send, and by nothing else.
func TestNotificationsAreProved(t *testing.T) {
	body, token := []byte(`{"a":1}`), string(key)
	auth := func(v string) http.Header { return http.Header{"Authorization": {v}} }
	signed := http.Header{"X-Hub-Signature-256": {"sha256=" + hexHMAC(key, body)}}
	right, wrong := error(nil), delivery.ErrSignature
	byHeader := []v1alpha1.RegistryType{v1alpha1.RegistryDistribution, v1alpha1.RegistryGitLab, v1alpha1.RegistryHarbor}
	byPath := []v1alpha1.RegistryType{v1alpha1.RegistryDockerHub, v1alpha1.RegistryQuay}
	for _, c := range []struct {
		why    string
		types  []v1alpha1.RegistryType
		header http.Header
		path   string
		want   error
	}{
		{"a bearer token", byHeader, auth("Bearer " + token), "", right},
		{"the scheme in lower case", byHeader, auth("bearer " + token), "", right},
		{"the token by itself", byHeader, auth(token), "", right},
		{"another token", byHeader, auth("Bearer " + token[1:] + "0"), "", wrong},
		{"another scheme", byHeader, auth("Basic " + token), "", wrong},
		{"no header", byHeader, nil, "", wrong},
		{"an empty header", byHeader, auth(""), "", wrong},
		{"a scheme by itself", byHeader, auth("Bearer "), "", wrong},
		{"two headers", byHeader, http.Header{"Authorization": {"Bearer " + token, "x"}}, "", wrong},
		{"the token in the address", byHeader, nil, token, wrong},
		{"both", byHeader, auth("Bearer " + token), token, wrong},
		{"the token in the address", byPath, nil, token, right},
		{"another in the address", byPath, nil, token + "/", wrong},
		{"a part of it", byPath, nil, token[:20], wrong},
		{"none", byPath, nil, "", wrong},
		{"a bearer token", byPath, auth("Bearer " + token), "", wrong},
		{"the token in the address", []v1alpha1.RegistryType{v1alpha1.RegistryAliyun}, nil, token, right},
		{"a bearer token", []v1alpha1.RegistryType{v1alpha1.RegistryAliyun}, auth("Bearer " + token), "", right},
		{"a wrong address and a right header", []v1alpha1.RegistryType{v1alpha1.RegistryAliyun}, auth("Bearer " + token), "x", wrong},
		{"a signature", []v1alpha1.RegistryType{v1alpha1.RegistryGHCR}, signed, "", right},
		{"a signature at another address", []v1alpha1.RegistryType{v1alpha1.RegistryGHCR}, signed, "x", wrong},
		{"a token", []v1alpha1.RegistryType{v1alpha1.RegistryGHCR}, auth("Bearer " + token), "", wrong},
	} {
		for _, typ := range c.types {
			if err := sender(t, typ).Verify([][]byte{key}, c.header, c.path, body); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v, want %v", typ, c.why, err, c.want)
			}
		}
	}
	for _, s := range senders() {
		for _, keys := range [][][]byte{nil, {{}}, {[]byte("short")}} {
			if err := s.Verify(keys, auth("short"), "", body); !errors.Is(err, delivery.ErrNoKey) && !errors.Is(err, delivery.ErrSignature) {
				t.Errorf("%s without a usable key: %v", s.Type, err)
			}
			if err := s.Verify(keys, nil, "short", body); err == nil {
				t.Errorf("%s was open without a usable key", s.Type)
			}
		}
		if len(s.Events) == 0 || len(s.MediaTypes) == 0 || s.Patience <= 0 {
			t.Errorf("%s says too little: %+v", s.Type, s)
		}
	}
	if _, ok := SenderOf("Harbor"); ok {
		t.Error("addresses are in lower case")
	}
}

// What a distribution registry 2.8 sends of an image: of a layer, and of its manifest.
const (
	manifestEvent = `{"id":"8f1c9b5e-0b2e-4a8e-9a0e-2f6b8f1c9b5e","timestamp":"2026-04-03T02:01:00.123Z","action":"push","target":{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":528,"digest":"DIGEST","length":528,"repository":"library/app","url":"http://127.0.0.1:5000/v2/library/app/manifests/DIGEST","tag":"v1"},"request":{"id":"r1","addr":"127.0.0.1:40000","host":"registry.example.com:5000","method":"PUT","useragent":"crane"},"actor":{"name":"ann"},"source":{"addr":"host:5000","instanceID":"i1"}}`
	blobEvent     = `{"id":"8f1c9b5e-0b2e-4a8e-9a0e-2f6b8f1c9b5f","timestamp":"2026-04-03T02:01:00.023Z","action":"push","target":{"mediaType":"application/octet-stream","size":10,"digest":"DIGEST","length":10,"repository":"library/app","url":"http://127.0.0.1:5000/v2/library/app/blobs/DIGEST"},"request":{"host":"registry.example.com:5000"},"actor":{},"source":{}}`
)

func events(list ...string) string {
	return strings.ReplaceAll(`{"events":[`+strings.Join(list, ",")+`]}`, "DIGEST", digest)
}

func TestNotificationsAreUnderstood(t *testing.T) {
	push := func(id, repository, tag, digest, user string) Push {
		return Push{ID: id, User: user, Image: v1alpha1.ImageReference{Repository: repository, Tag: tag, Digest: digest}}
	}
	first := push("8f1c9b5e-0b2e-4a8e-9a0e-2f6b8f1c9b5e", "registry.example.com:5000/library/app", "v1", digest, "ann")
	with := func(old, new string) string { return events(strings.ReplaceAll(manifestEvent, old, new)) }
	harbor := func(change ...string) string {
		return strings.NewReplacer(append(change, "DIGEST", digest)...).Replace(`{"type":"PUSH_ARTIFACT","occur_at":1680501893,"operator":"ann","event_data":{"resources":[{"digest":"DIGEST","tag":"v1","resource_url":"harbor.example.com/library/app:v1"}],"repository":{"name":"app","namespace":"library","repo_full_name":"library/app","repo_type":"public"}}}`)
	}
	cloud := strings.ReplaceAll(`{"specversion":"1.0","id":"4b2f89a6-548d-4c12-9993-a1f5790b97d2","requestid":"x","source":"/projects/1/webhook/policies/3","type":"harbor.artifact.pushed","datacontenttype":"application/json","time":"2023-04-03T06:04:53Z","data":{"resources":[{"digest":"DIGEST","tag":"v1","resource_url":"harbor.example.com/library/app:v1"},{"digest":"DIGEST","tag":"v2","resource_url":"harbor.example.com/library/app:v2"}],"repository":{"repo_full_name":"library/app"}},"operator":"ann"}`, "DIGEST", digest)
	hub := `{"callback_url":"https://registry.hub.docker.com/u/acme/app/hook/1/","push_data":{"pushed_at":1417566161,"pusher":"ann","tag":"v1","images":[]},"repository":{"repo_name":"acme/app","name":"app","namespace":"acme","status":"Active"}}`
	aliyun := strings.ReplaceAll(`{"push_data":{"digest":"DIGEST","pushed_at":"2016-10-28 22:28:48","tag":"v1"},"repository":{"date_created":"2016-10-28 21:31:42","name":"app","namespace":"acme","region":"cn-hangzhou","repo_full_name":"acme/app","repo_type":"PUBLIC"}}`, "DIGEST", digest)
	ghcr := func(kind string, change ...string) string {
		return strings.NewReplacer(append(change, "DIGEST", digest)...).Replace(`{"action":"published","` + kind + `":{"name":"app","namespace":"Acme","package_type":"CONTAINER","package_version":{"id":1,"version":"DIGEST","package_url":"ghcr.io/Acme/app:v1","container_metadata":{"tag":{"name":"v1","digest":"DIGEST"}}}},"sender":{"login":"ann"}}`)
	}
	nothing := []Push(nil)
	for name, c := range map[string]struct {
		typ   v1alpha1.RegistryType
		event string // of GitHub's header
		body  string
		want  []Push
	}{
		"a manifest of the distribution":       {v1alpha1.RegistryDistribution, "", events(manifestEvent), []Push{first}},
		"of GitLab's registry":                 {v1alpha1.RegistryGitLab, "", events(manifestEvent), []Push{first}},
		"an index of OCI":                      {v1alpha1.RegistryDistribution, "", with("docker.distribution.manifest.v2+json", "oci.image.index.v1+json"), []Push{first}},
		"between layers":                       {v1alpha1.RegistryDistribution, "", events(blobEvent, manifestEvent, blobEvent), []Push{first}},
		"two tags":                             {v1alpha1.RegistryDistribution, "", events(manifestEvent, strings.NewReplacer(`"tag":"v1"`, `"tag":"v2"`, "9b5e\",", "9b60\",").Replace(manifestEvent)), []Push{first, push("8f1c9b5e-0b2e-4a8e-9a0e-2f6b8f1c9b60", first.Image.Repository, "v2", digest, "ann")}},
		"a layer":                              {v1alpha1.RegistryDistribution, "", events(blobEvent), nothing},
		"a child of an index, without a tag":   {v1alpha1.RegistryDistribution, "", with(`,"tag":"v1"`, ""), nothing},
		"a pull":                               {v1alpha1.RegistryDistribution, "", with(`"action":"push"`, `"action":"pull"`), nothing},
		"a deleted tag, without a media type":  {v1alpha1.RegistryDistribution, "", events(`{"id":"x","action":"delete","target":{"repository":"library/app","tag":"v1"}}`), nothing},
		"no events":                            {v1alpha1.RegistryDistribution, "", `{"events":[]}`, nothing},
		"nothing":                              {v1alpha1.RegistryDistribution, "", `{}`, nothing},
		"a host that is one word":              {v1alpha1.RegistryDistribution, "", with("registry.example.com:5000", "registry"), []Push{push(first.ID, "library/app", "v1", digest, "ann")}},
		"a host that is none":                  {v1alpha1.RegistryDistribution, "", with("registry.example.com:5000", "evil.example/x;y"), []Push{push(first.ID, "library/app", "v1", digest, "ann")}},
		"a repository that is none":            {v1alpha1.RegistryDistribution, "", with("library/app", "library/$(id)"), nothing},
		"a tag that is none":                   {v1alpha1.RegistryDistribution, "", with(`"tag":"v1"`, `"tag":"v1;id"`), nothing},
		"a digest that is none":                {v1alpha1.RegistryDistribution, "", strings.ReplaceAll(events(manifestEvent), digest, "sha256:short"), []Push{push(first.ID, first.Image.Repository, "v1", "", "ann")}},
		"a push to Harbor":                     {v1alpha1.RegistryHarbor, "", harbor(), []Push{push(idOf("1.680501893e+09", "harbor.example.com/library/app", "v1", digest), "harbor.example.com/library/app", "v1", digest, "ann")}},
		"an artifact of Harbor without a tag":  {v1alpha1.RegistryHarbor, "", harbor(`"tag":"v1"`, `"tag":"`+digest+`"`), nothing},
		"Harbor's test button":                 {v1alpha1.RegistryHarbor, "", `{"type":"TEST_ENDPOINT"}`, nothing},
		"a pull from Harbor":                   {v1alpha1.RegistryHarbor, "", harbor("PUSH_ARTIFACT", "PULL_ARTIFACT"), nothing},
		"Harbor's CloudEvent of two tags":      {v1alpha1.RegistryHarbor, "", cloud, []Push{push("4b2f89a6-548d-4c12-9993-a1f5790b97d2", "harbor.example.com/library/app", "v1", digest, "ann"), push("4b2f89a6-548d-4c12-9993-a1f5790b97d2", "harbor.example.com/library/app", "v2", digest, "ann")}},
		"a CloudEvent of a pull":               {v1alpha1.RegistryHarbor, "", strings.ReplaceAll(cloud, "artifact.pushed", "artifact.pulled"), nothing},
		"a push to Docker Hub":                 {v1alpha1.RegistryDockerHub, "", hub, []Push{push(idOf("1417566161", "docker.io/acme/app", "v1", ""), "docker.io/acme/app", "v1", "", "ann")}},
		"Docker Hub without a time":            {v1alpha1.RegistryDockerHub, "", strings.ReplaceAll(hub, `"pushed_at":1417566161,`, ""), []Push{push("", "docker.io/acme/app", "v1", "", "ann")}},
		"Docker Hub without anything":          {v1alpha1.RegistryDockerHub, "", `{}`, nothing},
		"tags of Quay":                         {v1alpha1.RegistryQuay, "", `{"name":"app","repository":"acme/app","namespace":"acme","docker_url":"quay.io/acme/app","homepage":"https://quay.io/repository/acme/app","updated_tags":["latest","v1"]}`, []Push{push("", "quay.io/acme/app", "latest", "", ""), push("", "quay.io/acme/app", "v1", "", "")}},
		"tags of an older Quay":                {v1alpha1.RegistryQuay, "", `{"repository":"acme/app","docker_url":"quay.io/acme/app","updated_tags":{"v1":"346dc","latest":"aaa"}}`, []Push{push("", "quay.io/acme/app", "latest", "", ""), push("", "quay.io/acme/app", "v1", "", "")}},
		"Quay of one's own without an address": {v1alpha1.RegistryQuay, "", `{"repository":"acme/app","updated_tags":["v1"]}`, []Push{push("", "acme/app", "v1", "", "")}},
		"Quay's test":                          {v1alpha1.RegistryQuay, "", `{"repository":"acme/app","docker_url":"quay.io/acme/app"}`, nothing},
		"a push to Aliyun":                     {v1alpha1.RegistryAliyun, "", aliyun, []Push{push(idOf(`"2016-10-28 22:28:48"`, "registry.cn-hangzhou.aliyuncs.com/acme/app", "v1", digest), "registry.cn-hangzhou.aliyuncs.com/acme/app", "v1", digest, "")}},
		"Aliyun without a region":              {v1alpha1.RegistryAliyun, "", strings.ReplaceAll(aliyun, `"region":"cn-hangzhou",`, ""), []Push{push(idOf(`"2016-10-28 22:28:48"`, "acme/app", "v1", digest), "acme/app", "v1", digest, "")}},
		"a package of GitHub":                  {v1alpha1.RegistryGHCR, "package", ghcr("package"), []Push{push("72d3162e-cc78-11e3-81ab-4c9367dc0958", "ghcr.io/acme/app", "v1", digest, "ann")}},
		"a package as an app is told":          {v1alpha1.RegistryGHCR, "registry_package", ghcr("registry_package"), []Push{push("72d3162e-cc78-11e3-81ab-4c9367dc0958", "ghcr.io/acme/app", "v1", digest, "ann")}},
		"a package without an address":         {v1alpha1.RegistryGHCR, "package", ghcr("package", `"package_url":"ghcr.io/Acme/app:v1",`, ""), []Push{push("72d3162e-cc78-11e3-81ab-4c9367dc0958", "ghcr.io/acme/app", "v1", digest, "ann")}},
		"an image without a tag":               {v1alpha1.RegistryGHCR, "package", ghcr("package", `"name":"v1"`, `"name":""`, "app:v1", "app:"), nothing},
		"a package that is no image":           {v1alpha1.RegistryGHCR, "package", `{"action":"published","package":{"name":"app","package_version":{"version":"1.0.0"}}}`, nothing},
		"a package under another name":         {v1alpha1.RegistryGHCR, "package", ghcr("registry_package"), nothing},
		"another action":                       {v1alpha1.RegistryGHCR, "package", ghcr("package", "published", "deleted"), nothing},
		"GitHub's ping":                        {v1alpha1.RegistryGHCR, "ping", `{"zen":"x"}`, nothing},
		"another event of GitHub":              {v1alpha1.RegistryGHCR, "push", `{"ref":1}`, nothing},
	} {
		h := http.Header{}
		if c.event != "" {
			h.Set("X-GitHub-Event", c.event)
			h.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
		}
		n, err := sender(t, c.typ).Parse(h, []byte(c.body))
		if err != nil || (n.Nothing == "") != (len(n.Pushes) > 0) || n.Event == "" {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
		if diff := cmp.Diff(c.want, n.Pushes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The same tag pushed again is another push, as far as the registry tells; the same
// notification is not.
func TestIDsTellPushesApart(t *testing.T) {
	parse := func(typ v1alpha1.RegistryType, body string) string {
		n, err := sender(t, typ).Parse(http.Header{"X-Github-Event": {"package"}}, []byte(body))
		if err != nil || len(n.Pushes) != 1 {
			t.Fatalf("%s: %+v, %v", typ, n, err)
		}
		return n.Pushes[0].ID
	}
	for typ, c := range map[v1alpha1.RegistryType]struct{ body, old, later string }{
		v1alpha1.RegistryDistribution: {events(strings.ReplaceAll(manifestEvent, `"id":"8f1c9b5e-0b2e-4a8e-9a0e-2f6b8f1c9b5e",`, "")), "02:01:00.123Z", "02:01:00.124Z"},
		v1alpha1.RegistryHarbor:       {`{"type":"PUSH_ARTIFACT","occur_at":1680501893,"event_data":{"resources":[{"tag":"v1"}],"repository":{"repo_full_name":"a/b"}}}`, "1680501893", "1680501894"},
		v1alpha1.RegistryDockerHub:    {`{"push_data":{"pushed_at":1417566161,"tag":"v1"},"repository":{"repo_name":"a/b"}}`, "1417566161", "1417566162"},
		v1alpha1.RegistryAliyun:       {`{"push_data":{"pushed_at":"2016-10-28 22:28:48","tag":"v1"},"repository":{"repo_full_name":"a/b"}}`, "22:28:48", "22:28:49"},
	} {
		first, again, later := parse(typ, c.body), parse(typ, c.body), parse(typ, strings.ReplaceAll(c.body, c.old, c.later))
		if first == "" || first != again || first == later {
			t.Errorf("%s: ids %q, the same %q, later %q", typ, first, again, later)
		}
	}
}

// Security: what no registry sends is refused, and the answer quotes nothing of it.
func TestOddNotificationsAreRefused(t *testing.T) {
	for _, s := range senders() {
		for _, body := range []string{"", "null", `["secret-text"]`, `{"events":"secret-text","push_data":"secret-text","updated_tags":"secret-text","event_data":"secret-text","package":"secret-text"}`, "{", `{"a":` + strings.Repeat("[", 100)} {
			n, err := s.Parse(http.Header{"X-Github-Event": {"package"}}, []byte(body))
			if err == nil {
				t.Errorf("%s accepted %q: %+v", s.Type, body, n)
			} else if strings.Contains(err.Error(), "secret-text") {
				t.Errorf("%s quotes the body: %v", s.Type, err)
			}
		}
	}
	if _, err := sender(t, v1alpha1.RegistryGHCR).Parse(nil, []byte("{}")); err == nil {
		t.Error("GitHub's header is missing, and was not missed")
	}
}

func TestDockerHubSampleOfTheLibrary(t *testing.T) {
	n, err := sender(t, v1alpha1.RegistryDockerHub).Parse(nil, samples.Library(t, "docker")["docker_hub_build_notice"])
	if err != nil || len(n.Pushes) != 1 || n.Pushes[0].Image.Repository != "docker.io/svendowideit/testhook" || n.Pushes[0].ID == "" {
		t.Errorf("%+v, %v", n, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range senders() {
		f.Add(Word(s.Type), "package", []byte(events(manifestEvent, blobEvent)))
		f.Add(Word(s.Type), "registry_package", []byte(`{"push_data":{"tag":"v1"},"repository":"a/b","updated_tags":{"v1":1}}`))
	}
	f.Add("dockerhub", "", samples.Library(f, "docker")["docker_hub_build_notice"])
	f.Fuzz(func(t *testing.T, word, event string, body []byte) {
		s, ok := SenderOf(word)
		if !ok {
			return
		}
		n, err := s.Parse(http.Header{"X-Github-Event": {event}}, body)
		if err != nil {
			return
		}
		if (n.Nothing == "") != (len(n.Pushes) > 0) || len(n.Pushes) > maxPushes {
			t.Errorf("%d pushes, %q", len(n.Pushes), n.Nothing)
		}
		for _, p := range n.Pushes {
			_, repository := splitHost(p.Image.Repository)
			if !repositoryPattern.MatchString(repository) || !tagPattern.MatchString(p.Image.Tag) || p.Image.Digest != "" && !digestPattern.MatchString(p.Image.Digest) || len(p.Image.Repository) > 512 {
				t.Errorf("no image reference: %+v", p)
			}
			if text, err := json.Marshal(p); err != nil || len(text) > 4096 {
				t.Errorf("%d bytes, %v", len(text), err)
			}
		}
	})
}
