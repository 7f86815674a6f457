package jenkins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// StageStatus is the state of one stage, in our words for what two plugins say in theirs.
type StageStatus string

// States of a stage. StageUnknown stands for a word we do not know.
const (
	StageNotRun   StageStatus = "NotRun"
	StageRunning  StageStatus = "Running"
	StagePaused   StageStatus = "Paused" // waits for an input
	StageSuccess  StageStatus = "Success"
	StageUnstable StageStatus = "Unstable"
	StageFailed   StageStatus = "Failed"
	StageAborted  StageStatus = "Aborted"
	StageUnknown  StageStatus = "Unknown"
)

// Stage is one `stage` step that has started. The list of a build is flat and in the order of their start.
type Stage struct {
	ID       string // flow node, stable during the build
	Name     string
	Status   StageStatus
	Start    time.Time
	Duration time.Duration // so far, while it runs
	Error    string        // of a failed stage, e.g. "script returned exit code 1"; graph view does not tell it
}

// stageAPI is which of two plugins answers. It is found once per session: plugins change only with a restart.
type stageAPI int

const (
	stagesUnknown stageAPI = iota
	stagesREST             // pipeline-rest-api: wfapi/describe
	stagesGraph            // pipeline-graph-view: stages/tree
	stagesNone
)

// Stages reads the stages of a build. It is best effort by nature: whether a build is over, and how, comes from [Build] alone.
// Without a plugin that tells, the error is [ErrNoStages]; a build that does not exist is [IsNotFound].
func (c *Client) Stages(ctx context.Context, ref JobRef, number int) ([]Stage, error) {
	c.mu.Lock()
	api := c.stages
	c.mu.Unlock()

	var stages []Stage
	var err error
	switch api {
	case stagesREST:
		stages, err = c.describe(ctx, ref, number)
	case stagesGraph:
		stages, err = c.stageTree(ctx, ref, number)
	case stagesNone:
		err = ErrNoStages
	default:
		return c.probeStages(ctx, ref, number)
	}
	return stages, wrap(err, "read stages of %s #%d", ref, number)
}

// probeStages tries both endpoints. A 404 of both means "no plugin" only if the build itself is there.
func (c *Client) probeStages(ctx context.Context, ref JobRef, number int) ([]Stage, error) {
	tries := []struct {
		api  stageAPI
		read func(context.Context, JobRef, int) ([]Stage, error)
	}{{stagesREST, c.describe}, {stagesGraph, c.stageTree}}
	for _, try := range tries {
		stages, err := try.read(ctx, ref, number)
		if err == nil {
			c.setStageAPI(try.api)
			return stages, nil
		}
		if !IsNotFound(err) {
			return nil, fmt.Errorf("read stages of %s #%d: %w", ref, number, err)
		}
	}
	if _, err := c.Build(ctx, ref, number); err != nil {
		return nil, err
	}
	c.setStageAPI(stagesNone)
	return nil, fmt.Errorf("read stages of %s #%d: %w", ref, number, ErrNoStages)
}

func (c *Client) setStageAPI(api stageAPI) {
	c.mu.Lock()
	c.stages = api
	c.mu.Unlock()
}

func (c *Client) describe(ctx context.Context, ref JobRef, number int) ([]Stage, error) {
	var out struct {
		Stages []struct {
			ID     string `json:"id"`
			Name   string `json:"name"`
			Status string `json:"status"`
			Error  struct {
				Message string `json:"message"`
			} `json:"error"`
			Start    int64 `json:"startTimeMillis"`
			Duration int64 `json:"durationMillis"`
		} `json:"stages"`
	}
	if _, err := c.getJSON(ctx, ref.buildPath(number)+"/wfapi/describe", "", maxJSON, &out); err != nil {
		return nil, err
	}
	stages := make([]Stage, 0, len(out.Stages))
	for _, s := range out.Stages {
		stages = append(stages, Stage{
			ID: s.ID, Name: s.Name, Status: restStatus(s.Status), Error: s.Error.Message,
			Start: millis(s.Start), Duration: time.Duration(s.Duration) * time.Millisecond,
		})
	}
	return stages, nil
}

func restStatus(s string) StageStatus {
	switch s {
	case "NOT_EXECUTED":
		return StageNotRun
	case "IN_PROGRESS":
		return StageRunning
	case "PAUSED_PENDING_INPUT":
		return StagePaused
	case "SUCCESS":
		return StageSuccess
	case "UNSTABLE":
		return StageUnstable
	case "FAILED":
		return StageFailed
	case "ABORTED":
		return StageAborted
	}
	return StageUnknown
}

type graphStage struct {
	ID       string       `json:"id"`
	Name     string       `json:"name"`
	State    string       `json:"state"`
	Type     string       `json:"type"`
	Start    int64        `json:"startTimeMillis"`
	Total    int64        `json:"totalDurationMillis"`
	Children []graphStage `json:"children"`
}

func (c *Client) stageTree(ctx context.Context, ref JobRef, number int) ([]Stage, error) {
	var out struct {
		Status string `json:"status"`
		Data   struct {
			Stages []graphStage `json:"stages"`
		} `json:"data"`
	}
	if _, err := c.getJSON(ctx, ref.buildPath(number)+"/stages/tree", "", maxJSON, &out); err != nil {
		return nil, err
	}
	if out.Status != "ok" {
		return nil, &Error{Method: "GET", Path: ref.buildPath(number) + "/stages/tree", Status: 200, Sent: true,
			Err: errors.New("status " + out.Status)}
	}
	stages := flatten(nil, out.Data.Stages)
	slices.SortStableFunc(stages, func(a, b Stage) int { return a.Start.Compare(b.Start) })
	return stages, nil
}

// flatten keeps `stage` steps; the branches of `parallel` are no stages in the other plugin's list, so they are none here.
func flatten(into []Stage, nodes []graphStage) []Stage {
	for _, n := range nodes {
		if n.Type == "STAGE" {
			into = append(into, Stage{
				ID: n.ID, Name: n.Name, Status: graphStatus(n.State), Start: millis(n.Start),
				Duration: time.Duration(n.Total) * time.Millisecond,
			})
		}
		into = flatten(into, n.Children)
	}
	return into
}

func graphStatus(s string) StageStatus {
	switch strings.ToLower(s) {
	case "queued", "skipped", "not_built":
		return StageNotRun
	case "running":
		return StageRunning
	case "paused":
		return StagePaused
	case "success":
		return StageSuccess
	case "unstable":
		return StageUnstable
	case "failure":
		return StageFailed
	case "aborted":
		return StageAborted
	}
	return StageUnknown
}
