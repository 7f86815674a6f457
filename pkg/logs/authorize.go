package logs

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create

var (
	errNotAuthenticated = errors.New("the token is not valid, or was not made for " + Audience)
	errBusy             = errors.New("too many unknown tokens at once")
)

// reviewer asks the API server whose token it is, and remembers good ones for a while.
// What is remembered is a hash of the token, never the token.
type reviewer struct {
	api   rest.Interface
	now   func() time.Time
	limit *rate.Limiter

	mu       sync.Mutex
	verdicts map[[sha256.Size]byte]verdict
}

type verdict struct {
	user  string
	until time.Time
}

func newReviewer(api rest.Interface, now func() time.Time) *reviewer {
	return &reviewer{
		api: api, now: now, limit: rate.NewLimiter(reviewsPerSecond, reviewBurst),
		verdicts: map[[sha256.Size]byte]verdict{},
	}
}

// user is the name of whoever the token belongs to. Errors: errNotAuthenticated,
// errBusy, or why the API server could not say.
func (r *reviewer) user(ctx context.Context, token string) (string, error) {
	key := sha256.Sum256([]byte(token))
	if user, ok := r.remembered(key); ok {
		return user, nil
	}
	if !r.limit.AllowN(r.now(), 1) {
		return "", errBusy
	}
	user, err := r.review(ctx, token)
	if err == nil {
		r.remember(key, user)
	}
	return user, err
}

func (r *reviewer) review(ctx context.Context, token string) (string, error) {
	body, err := json.Marshal(&authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{Audience}},
	})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// By hand, since the typed client of this group brings all other groups with it.
	result := r.api.Post().AbsPath("/apis/authentication.k8s.io/v1/tokenreviews").
		SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").
		Body(body).Do(ctx)
	if err := result.Error(); err != nil { // Raw's says less
		return "", fmt.Errorf("review token: %w", err)
	}
	answer, err := result.Raw()
	if err != nil {
		return "", fmt.Errorf("review token: %w", err)
	}
	var review authenticationv1.TokenReview
	if err := json.Unmarshal(answer, &review); err != nil {
		return "", fmt.Errorf("review token: decode answer: %w", err)
	}
	// An API server whose authenticator knows nothing of audiences names none: its yes
	// says nothing about what the token was made for.
	// (https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/)
	if !review.Status.Authenticated || !slices.Contains(review.Status.Audiences, Audience) {
		return "", errNotAuthenticated
	}
	return review.Status.User.Username, nil
}

func (r *reviewer) remembered(key [sha256.Size]byte) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.verdicts[key]
	return v.user, ok && r.now().Before(v.until)
}

func (r *reviewer) remember(key [sha256.Size]byte, user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if len(r.verdicts) >= maxVerdicts {
		for k, v := range r.verdicts {
			if !now.Before(v.until) {
				delete(r.verdicts, k)
			}
		}
	}
	for k := range r.verdicts {
		if len(r.verdicts) < maxVerdicts {
			break
		}
		delete(r.verdicts, k) // any will do: it costs its owner one more review
	}
	r.verdicts[key] = verdict{user, now.Add(verdictTTL)}
}

// mayRead tells whether a user reads the logs of a project: its log reader does, and
// nobody else, whatever other rights they have.
func mayRead(user, namespace string) bool {
	return user == "system:serviceaccount:"+namespace+":"+ReaderServiceAccount
}
