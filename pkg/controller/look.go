package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// lookOf is what a snapshot shows of one execution's job. Builds and items with another
// uid are not ours: a job of that name may have been made anew.
func lookOf(uid string, at time.Time, session string, jobs map[jenkins.JobRef]jenkins.JobState, ref jenkins.JobRef) pipeline.Look {
	look := pipeline.Look{At: at, Session: session}
	job, ok := jobs[ref]
	if !ok {
		return look
	}
	look.Exists, look.NextBuild = true, int64(job.NextBuild)
	look.Items, look.Builds = itemsOf(job.Queued, uid), buildsOf(job.Builds, uid)
	for _, a := range job.Agents {
		look.Waiting = a.Why
	}
	return look
}

func itemsOf(items []jenkins.QueueItem, uid string) []pipeline.EngineItem {
	var out []pipeline.EngineItem
	for _, it := range items {
		if it.UID == uid {
			out = append(out, pipeline.EngineItem{ID: it.ID, Why: it.Why, Attempt: int32(it.Attempt)})
		}
	}
	return out
}

func buildsOf(builds []jenkins.Build, uid string) []pipeline.EngineBuild {
	var out []pipeline.EngineBuild
	for _, b := range builds {
		if b.UID == uid {
			out = append(out, pipeline.EngineBuild{Number: int64(b.Number), QueueID: b.QueueID, Building: b.Building,
				Result: phaseOf(b.Result), Raw: string(b.Result), URL: b.URL})
		}
	}
	return out
}

// phaseOf: what is no success is a failure, also what we do not know.
func phaseOf(r jenkins.Result) v1alpha1.Phase {
	switch r {
	case jenkins.Success:
		return v1alpha1.PhaseSucceeded
	case jenkins.Aborted:
		return v1alpha1.PhaseAborted
	default:
		return v1alpha1.PhaseFailed
	}
}

func stagesOf(stages []jenkins.Stage) []pipeline.EngineStage {
	out := make([]pipeline.EngineStage, 0, len(stages))
	for _, s := range stages {
		out = append(out, pipeline.EngineStage{Name: s.Name, Phase: stagePhase(s.Status), Start: s.Start, Duration: s.Duration, Error: s.Error})
	}
	return out
}

// stagePhase: a word we do not know is no end.
func stagePhase(s jenkins.StageStatus) v1alpha1.Phase {
	switch s {
	case jenkins.StageNotRun:
		return v1alpha1.PhasePending
	case jenkins.StagePaused:
		return v1alpha1.PhasePaused
	case jenkins.StageSuccess:
		return v1alpha1.PhaseSucceeded
	case jenkins.StageUnstable, jenkins.StageFailed:
		return v1alpha1.PhaseFailed
	case jenkins.StageAborted:
		return v1alpha1.PhaseAborted
	default:
		return v1alpha1.PhaseRunning
	}
}

func isOver(l pipeline.Look) bool {
	n := len(l.Builds)
	return n > 0 && !l.Builds[n-1].Building
}

// sameLook compares what people would call the same: Jenkins' reasons count seconds.
func sameLook(a, b pipeline.Look) bool {
	return a.Exists == b.Exists && a.NextBuild == b.NextBuild && a.Session == b.Session && withoutDigits(a.Waiting) == withoutDigits(b.Waiting) &&
		slices.Equal(a.Builds, b.Builds) &&
		slices.EqualFunc(a.Items, b.Items, func(a, b pipeline.EngineItem) bool {
			return a.ID == b.ID && withoutDigits(a.Why) == withoutDigits(b.Why)
		})
}

// sameStages ignores how long a stage runs.
func sameStages(a, b []pipeline.EngineStage) bool {
	return slices.EqualFunc(a, b, func(a, b pipeline.EngineStage) bool {
		return a.Name == b.Name && a.Phase == b.Phase && a.Error == b.Error
	})
}

func withoutDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, s)
}

// engineFailure says in our words why Jenkins did not do what was asked.
func engineFailure(err error) *pipeline.Failure {
	var e *jenkins.Error
	cause := err.Error()
	if errors.As(err, &e) && e.Status == 0 && e.Err != nil {
		cause = e.Err.Error()
	}
	switch {
	case errors.Is(err, jenkins.ErrNameConflict):
		return &pipeline.Failure{Reason: v1alpha1.ReasonNameConflict, Message: err.Error(), Terminal: true}
	case errors.Is(err, jenkins.ErrInvalid):
		return &pipeline.Failure{Reason: v1alpha1.ReasonEngineError, Message: err.Error(), Terminal: true}
	case errors.Is(err, jenkins.ErrHidden):
		return &pipeline.Failure{Reason: v1alpha1.ReasonEngineUnauthorized, Message: "Jenkins hides it: " + err.Error()}
	case jenkins.IsUnauthorized(err):
		return &pipeline.Failure{Reason: v1alpha1.ReasonEngineUnauthorized, Message: "Jenkins does not accept the credentials: " + err.Error()}
	case jenkins.IsForbidden(err):
		return &pipeline.Failure{Reason: v1alpha1.ReasonEngineUnauthorized, Message: "Jenkins does not permit it: " + err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &pipeline.Failure{Reason: v1alpha1.ReasonEngineUnavailable, Message: "Jenkins does not answer in time"}
	default:
		return &pipeline.Failure{Reason: v1alpha1.ReasonEngineUnavailable, Message: fmt.Sprintf("Jenkins cannot be used: %s", cause)}
	}
}
