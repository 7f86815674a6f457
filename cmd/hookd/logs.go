package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/controller"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/logs"
)

// sources makes each project's Jenkins the source of its logs.
func sources(c *controller.Connector) func(context.Context, string) (logs.Source, error) {
	return func(ctx context.Context, project string) (logs.Source, error) {
		client, err := c.Client(ctx, project)
		if err != nil {
			return nil, err
		}
		return logSource{client}, nil
	}
}

type logSource struct{ client *jenkins.Client }

func (s logSource) ReadLog(ctx context.Context, job string, build int64, from logs.Position, w io.Writer) (logs.Read, error) {
	ref := jenkins.JobRef{Name: job}
	if i := strings.LastIndexByte(job, '/'); i >= 0 {
		ref = jenkins.JobRef{Folder: job[:i], Name: job[i+1:]}
	}
	read, err := s.client.Log(ctx, ref, int(build), jenkins.LogPosition(from), w)
	switch {
	case jenkins.IsNotFound(err):
		err = logs.Permanent(fmt.Errorf("Jenkins does not have the build: %w", err))
	case err != nil && !jenkins.IsTemporary(err):
		err = logs.Permanent(err)
	}
	return logs.Read{Next: logs.Position(read.Next), More: read.More, Full: read.Full, Reset: read.Reset}, err
}
