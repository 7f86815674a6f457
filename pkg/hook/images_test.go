package hook

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

const imageToken = "the token that the registry was told"

var imageDigest = "sha256:" + strings.Repeat("ab", 32)

// waitsFor makes a pipeline wait for images.
func waitsFor(triggers ...v1alpha1.ImageTrigger) func(*v1alpha1.Pipeline) {
	return func(p *v1alpha1.Pipeline) {
		for i := range triggers {
			if triggers[i].TokenSecretRef == nil {
				triggers[i].TokenSecretRef = &v1alpha1.SecretKeyReference{Name: "registry"}
			}
		}
		p.Spec.Triggers = &v1alpha1.Triggers{Image: triggers}
	}
}

// newImages is a fixture whose pipelines wait for images of every kind of registry.
func newImages(t testing.TB) *fixture {
	t.Helper()
	f := newFixture(t)
	f.api.put(t, "secrets", secret("registry", map[string]string{"token": imageToken}), secret("other", map[string]string{"token": "a token that somebody else was told"}))
	var all []v1alpha1.ImageTrigger
	for _, typ := range []v1alpha1.RegistryType{
		v1alpha1.RegistryDistribution, v1alpha1.RegistryHarbor, v1alpha1.RegistryDockerHub, v1alpha1.RegistryAliyun, v1alpha1.RegistryQuay, v1alpha1.RegistryGitLab, v1alpha1.RegistryGHCR,
	} {
		all = append(all, v1alpha1.ImageTrigger{Registry: typ, Repository: "acme/*", Tags: &v1alpha1.Filter{Exclude: []string{"*-rc"}}, Branch: "rebuild"})
	}
	f.api.put(t, "pipelines",
		pipelineOf("deploy", "shop", waitsFor(all...)),
		pipelineOf("bare", "", func(p *v1alpha1.Pipeline) { waitsFor(all[0])(p); p.Spec.RepositoryRef, p.Spec.Config = nil, "x" }),
		pipelineOf("lost", "nowhere", waitsFor(all[0])),
		pipelineOf("foreign", "shop", waitsFor(v1alpha1.ImageTrigger{Registry: v1alpha1.RegistryDistribution, Repository: "**", TokenSecretRef: &v1alpha1.SecretKeyReference{Name: "other"}})),
		pipelineOf("open", "shop", func(p *v1alpha1.Pipeline) {
			p.Spec.Triggers = &v1alpha1.Triggers{Image: []v1alpha1.ImageTrigger{{Registry: v1alpha1.RegistryDistribution, Repository: "**"}}}
		}),
	)
	eventually(t, "the pipelines are known", func() bool {
		p, err := f.h.store.waitingFor("team", v1alpha1.RegistryDistribution)
		return err == nil && len(p) == 5
	})
	return f
}

func notify(path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// pushed is what a distribution sends.
func pushed(repository, tag, id string) string {
	return fmt.Sprintf(`{"events":[{"id":%q,"action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"repository":%q,"tag":%q},"request":{"host":"registry.example.com"},"actor":{"name":"ann"}}]}`, id, imageDigest, repository, tag)
}

const imagesPath = "/hooks/images/team/"

func bearer(body string) *http.Request {
	return notify(imagesPath+"distribution", body, "Authorization", "Bearer "+imageToken, "Content-Type", "application/vnd.docker.distribution.events.v2+json")
}

func TestPushedImagesStartTheRunsThatWaitForThem(t *testing.T) {
	f := newImages(t)
	code, a, _ := f.send(bearer(pushed("acme/app", "v1", "8f1c9b5e-0b2e")))
	if code != http.StatusAccepted || len(a.Created) != 2 {
		t.Fatalf("%d, %+v\n%s", code, a, f.log)
	}
	whys := map[string]string{}
	for _, s := range a.Skipped {
		whys[s.Pipeline] = s.Reason
	}
	want := map[string]string{
		"foreign": "triggers.image[0].tokenSecretRef: not what the sender is proved by",
		"lost":    "SourceCodeRepository nowhere does not exist",
		"open":    "triggers.image[0].tokenSecretRef: not what the sender is proved by",
	}
	if diff := cmp.Diff(want, whys); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	image := &v1alpha1.ImageReference{Repository: "registry.example.com/acme/app", Tag: "v1", Digest: imageDigest}
	trigger := v1alpha1.Trigger{Type: v1alpha1.EventImage, User: "ann", DeliveryID: "8f1c9b5e-0b2e", Image: image}
	for _, name := range a.Created {
		e := f.execution(name)
		want := v1alpha1.PipelineExecutionSpec{PipelineRef: e.Spec.PipelineRef, Trigger: trigger, Control: v1alpha1.ControlRun}
		if e.Spec.PipelineRef.Name == "deploy" {
			want.Source = &v1alpha1.Source{RepositoryURL: "https://github.com/acme/shop.git", Ref: "refs/heads/rebuild", Branch: "rebuild"}
		}
		if diff := cmp.Diff(want, e.Spec); diff != "" {
			t.Errorf("run of %s (-want +got):\n%s", e.Spec.PipelineRef.Name, diff)
		}
	}
	for what, c := range map[string]struct {
		body             string
		created, existed int
	}{
		"the same notification":       {pushed("acme/app", "v1", "8f1c9b5e-0b2e"), 0, 2},
		"the same tag pushed again":   {pushed("acme/app", "v1", "8f1c9b5e-0b2f"), 2, 0},
		"another tag":                 {pushed("acme/app", "v2", "8f1c9b5e-0b2e"), 2, 0},
		"a tag that nobody wants":     {pushed("acme/app", "v2-rc", "8f1c9b5e-0b30"), 0, 0},
		"an image that nobody wants":  {pushed("other/app", "v2", "8f1c9b5e-0b31"), 0, 0},
		"a layer":                     {strings.ReplaceAll(pushed("acme/app", "", "8f1c9b5e-0b32"), "application/vnd.oci.image.manifest.v1+json", "application/octet-stream"), 0, 0},
		"a body that is not decoded":  {`{"events":"none"}`, 0, 0},
		"a body that is not JSON":     {`events`, 0, 0},
		"a body without an event":     {`{"events":[]}`, 0, 0},
		"a body that is of no object": {`null`, 0, 0},
	} {
		// Anything else than success would come back for ever and hold up the rest.
		if code, a, _ := f.send(bearer(c.body)); code != http.StatusAccepted || len(a.Created) != c.created || len(a.Existing) != c.existed {
			t.Errorf("%s: %d, %+v", what, code, a)
		}
	}
	if !strings.Contains(f.log.String(), "namespace=team") || strings.Contains(f.log.String(), imageToken) {
		t.Errorf("the log:\n%s", f.log)
	}
}

func TestEveryRegistryStartsARun(t *testing.T) {
	f := newImages(t)
	ghcr := fmt.Sprintf(`{"action":"published","package":{"package_version":{"package_url":"ghcr.io/acme/app:v1","container_metadata":{"tag":{"name":"v1","digest":%q}}}}}`, imageDigest)
	for name, c := range map[string]struct {
		send       func() *http.Request
		repository string
		again      int // runs that the same request starts when it is repeated
	}{
		"distribution": {func() *http.Request { return bearer(pushed("acme/app", "v1", "8f1c9b5e-0b2e")) }, "registry.example.com/acme/app", 0},
		"gitlab": {func() *http.Request {
			return notify(imagesPath+"gitlab", pushed("acme/app", "v1", "8f1c9b5e-0b33"), "Authorization", "Bearer "+imageToken, "Content-Type", "application/vnd.docker.distribution.events.v1+json")
		}, "registry.example.com/acme/app", 0},
		"harbor": {func() *http.Request {
			return notify(imagesPath+"harbor", `{"type":"PUSH_ARTIFACT","occur_at":1,"event_data":{"resources":[{"tag":"v1","resource_url":"harbor.example.com/acme/app:v1"}],"repository":{"repo_full_name":"acme/app"}}}`, "Authorization", imageToken)
		}, "harbor.example.com/acme/app", 0},
		"harbor, CloudEvents": {func() *http.Request {
			return notify(imagesPath+"harbor", `{"id":"4b2f89a6-548d","type":"harbor.artifact.pushed","data":{"resources":[{"tag":"v1","resource_url":"harbor.example.com/acme/app:v1"}],"repository":{"repo_full_name":"acme/app"}}}`,
				"Authorization", imageToken, "Content-Type", "application/cloudevents+json")
		}, "harbor.example.com/acme/app", 0},
		"dockerhub": {func() *http.Request {
			return notify(imagesPath+"dockerhub/"+strings.ReplaceAll(imageToken, " ", "%20"), `{"push_data":{"pushed_at":1,"tag":"v1"},"repository":{"repo_name":"acme/app"}}`)
		}, "docker.io/acme/app", 0},
		"quay, which tells nothing to know a repetition by": {func() *http.Request {
			return notify(imagesPath+"quay/"+strings.ReplaceAll(imageToken, " ", "%20"), `{"docker_url":"quay.io/acme/app","updated_tags":["v1"]}`)
		}, "quay.io/acme/app", 1},
		"aliyun": {func() *http.Request {
			return notify(imagesPath+"aliyun/"+strings.ReplaceAll(imageToken, " ", "%20"), `{"push_data":{"pushed_at":"1","tag":"v1"},"repository":{"repo_full_name":"acme/app","region":"cn-hangzhou"}}`)
		}, "registry.cn-hangzhou.aliyuncs.com/acme/app", 0},
		"ghcr, also under another id": {func() *http.Request {
			return notify(imagesPath+"ghcr", ghcr, "X-GitHub-Event", "package", "X-GitHub-Delivery", "delivery-"+fmt.Sprint(time.Now().UnixNano()), "X-Hub-Signature-256", "sha256="+hexHMAC(imageToken, []byte(ghcr)))
		}, "ghcr.io/acme/app", 0},
	} {
		_, a, _ := f.send(c.send())
		_, again, _ := f.send(c.send())
		found := false
		for _, run := range a.Created {
			if e := f.execution(run); e.Spec.PipelineRef.Name == "deploy" {
				found = e.Spec.Trigger.Image.Repository == c.repository && e.Spec.Trigger.Image.Tag == "v1"
			}
		}
		if !found || len(again.Created) != c.again {
			t.Errorf("%s: %+v, then %+v", name, a, again)
		}
	}
}

// Security: whoever cannot be proved learns nothing, not even whether there is a project.
func TestImagesOfNobodyAreRefused(t *testing.T) {
	f := newImages(t)
	body := pushed("acme/app", "v1", "8f1c9b5e-0b2e")
	auth := "Bearer " + imageToken
	var unauthorized []answer
	for what, c := range map[string]struct {
		r    *http.Request
		code int
	}{
		"a wrong token":                   {notify(imagesPath+"distribution", body, "Authorization", auth+"x"), 401},
		"no token":                        {notify(imagesPath+"distribution", body), 401},
		"the token in the address":        {notify(imagesPath+"distribution/"+strings.ReplaceAll(imageToken, " ", "%20"), body), 401},
		"a wrong token in the address":    {notify(imagesPath+"dockerhub/x", body), 401},
		"no token in the address":         {notify(imagesPath+"dockerhub", body, "Authorization", auth), 401},
		"another project":                 {notify("/hooks/images/nobody/distribution", body, "Authorization", auth), 401},
		"a project with odd letters":      {notify("/hooks/images/te%2Fam/distribution", body, "Authorization", auth), 404},
		"a registry that nobody knows":    {notify(imagesPath+"nexus", body, "Authorization", auth), 404},
		"no registry":                     {notify("/hooks/images/team", body, "Authorization", auth), 404},
		"nothing":                         {notify("/hooks/images/", body, "Authorization", auth), 404},
		"a form":                          {notify(imagesPath+"harbor", body, "Authorization", auth, "Content-Type", "application/x-www-form-urlencoded"), 415},
		"another registry's type of body": {notify(imagesPath+"harbor", body, "Authorization", auth, "Content-Type", "application/vnd.docker.distribution.events.v1+json"), 415},
		"a compressed body":               {notify(imagesPath+"harbor", body, "Authorization", auth, "Content-Encoding", "gzip"), 415},
		"a body of more than 1 MiB":       {notify(imagesPath+"harbor", strings.Repeat(" ", MaxImageBody+1), "Authorization", auth), 413},
		"one of more than 1 MiB, by surprise": {func() *http.Request {
			r := notify(imagesPath+"harbor", strings.Repeat(" ", MaxImageBody+1), "Authorization", auth)
			r.ContentLength = -1
			return r
		}(), 413},
	} {
		code, a, _ := f.send(c.r)
		if code != c.code {
			t.Errorf("%s: %d, %+v, want %d", what, code, a, c.code)
		}
		if code == http.StatusUnauthorized {
			unauthorized = append(unauthorized, a)
		}
	}
	for _, a := range unauthorized[1:] {
		if diff := cmp.Diff(unauthorized[0], a, cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("two who are not known are told different things:\n%s", diff)
		}
	}
	if n := f.runs(); len(n) != 0 {
		t.Errorf("runs %v", n)
	}
	if strings.Contains(f.log.String(), imageToken) || strings.Contains(f.log.String(), "/hooks/") {
		t.Errorf("the log tells an address or a token:\n%s", f.log)
	}
}

// Security: closed without a usable token, and open again when there is one.
func TestImageTokensAreRotated(t *testing.T) {
	f := newImages(t)
	send := func() int {
		code, _, _ := f.send(bearer(pushed("acme/app", "v1", "8f1c9b5e-0b2e")))
		return code
	}
	for _, c := range []struct {
		why  string
		data map[string]string
		want int
	}{
		{"a token", map[string]string{"token": imageToken}, http.StatusAccepted},
		{"a new token beside it", map[string]string{"token": "another token, of the next month", "token-old": imageToken}, http.StatusAccepted},
		{"the new token alone", map[string]string{"token": "another token, of the next month"}, http.StatusUnauthorized},
		{"an empty one", map[string]string{"token": ""}, http.StatusUnauthorized},
		{"a short one", map[string]string{"token": "short"}, http.StatusUnauthorized},
		{"none", map[string]string{}, http.StatusUnauthorized},
		{"the token again", map[string]string{"token": imageToken}, http.StatusAccepted},
	} {
		f.api.put(t, "secrets", secret("registry", c.data))
		f.advance(SecretTTL + time.Second)
		if code := send(); code != c.want {
			t.Errorf("%s: %d, want %d", c.why, code, c.want)
		}
	}
}

// A registry that insists is told of trouble that passes, and of no other.
func TestInsistentRegistriesHearOfPassingTroubleOnly(t *testing.T) {
	f := newImages(t)
	f.h.createTimeout, f.h.doubtTimeout = 300*time.Millisecond, 50*time.Millisecond
	var code atomic.Int64
	f.api.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
		if c := int(code.Load()); c != 0 && r.Method == http.MethodPost {
			writeStatus(w, c, metav1.StatusReason(http.StatusText(c)), "trouble")
			return true
		}
		return false
	})
	for _, c := range []struct{ api, distribution, harbor int }{
		{http.StatusServiceUnavailable, http.StatusServiceUnavailable, http.StatusServiceUnavailable},
		{http.StatusUnprocessableEntity, http.StatusAccepted, http.StatusInternalServerError},
		{0, http.StatusAccepted, http.StatusAccepted},
	} {
		code.Store(int64(c.api))
		if got, a, h := f.send(bearer(pushed("acme/app", "v1", "8f1c9b5e-0b2e"))); got != c.distribution || (got == 503) != (h.Get("Retry-After") != "") {
			t.Errorf("API server %d: distribution gets %d, %+v, want %d", c.api, got, a, c.distribution)
		}
		r := notify(imagesPath+"harbor", `{"type":"PUSH_ARTIFACT","occur_at":1,"event_data":{"resources":[{"tag":"v1"}],"repository":{"repo_full_name":"acme/app"}}}`, "Authorization", imageToken)
		if got, a, _ := f.send(r); got != c.harbor {
			t.Errorf("API server %d: Harbor gets %d, %+v, want %d", c.api, got, a, c.harbor)
		}
	}
	f.h.rates.Clear()
	code.Store(int64(http.StatusServiceUnavailable))
	f.api.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/secrets/") {
			return false
		}
		writeStatus(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "trouble")
		return true
	})
	f.advance(SecretTTL + time.Second)
	if got, a, _ := f.send(bearer(pushed("acme/app", "v2", "8f1c9b5e-0b2e"))); got != http.StatusServiceUnavailable {
		t.Errorf("a secret that cannot be read: %d, %+v", got, a)
	}
}

// A bug of ours, met by an authentic notification, would be met for ever.
func TestInsistentRegistriesAreToldOfNoPanic(t *testing.T) {
	f := newImages(t)
	f.h.rates = nil // a bug
	if code, a, _ := f.send(bearer(pushed("acme/app", "v1", "8f1c9b5e-0b2e"))); code != http.StatusAccepted || a.Error == "" {
		t.Errorf("distribution: %d, %+v", code, a)
	}
	r := notify(imagesPath+"harbor", `{"type":"PUSH_ARTIFACT"}`, "Authorization", imageToken)
	if code, a, _ := f.send(r); code != http.StatusInternalServerError {
		t.Errorf("Harbor: %d, %+v", code, a)
	}
	f.h.secrets = nil // one before it is known who sends
	if code, a, _ := f.send(bearer(pushed("acme/app", "v1", "8f1c9b5e-0b2e"))); code != http.StatusInternalServerError {
		t.Errorf("nobody we know: %d, %+v", code, a)
	}
}
