package pipeline

import (
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Verb is one thing to do outside the object itself.
type Verb string

// The verbs. None is repeated blindly: each is decided anew from what was seen after it.
const (
	DoNothing     Verb = ""
	DoInitialize  Verb = "Initialize"  // read the config at the commit, number the run
	DoProvision   Verb = "Provision"   // namespace, secrets, Jenkins folder and job
	DoStart       Verb = "Start"       // trigger the build
	DoFind        Verb = "Find"        // search evidence of a build
	DoCancelQueue Verb = "CancelQueue" // take Target out of Jenkins' queue
	DoStop        Verb = "Stop"        // of build Target
	DoTerm        Verb = "Term"        // of build Target
	DoKill        Verb = "Kill"        // of build Target
	DoDeleteAgent Verb = "DeleteAgent" // the pod
	DoPause       Verb = "Pause"       // build Target
	DoResume      Verb = "Resume"      // build Target
	DoReadLog     Verb = "ReadLog"     // the end of the log of build Target
	DoRelease     Verb = "Release"     // secrets, then the label that keeps it in memory
)

// Plan is what follows from what was observed.
type Plan struct {
	// Status to be written, if it differs.
	Status v1alpha1.PipelineExecutionStatus
	// Verb to be done first, at most one; Target is the build or queue item it is about.
	Verb   Verb
	Target int64
	// Missing: Jenkins does not show what should be there. The controller keeps since when.
	Missing bool
	// Held: the clocks of the timeouts stand still; Status.Hold says since when.
	Held bool
	// AgentGone: the agent went away while its build ran. The controller keeps that.
	AgentGone bool
	// After is when to decide again if nothing happens before; 0: nothing is due.
	After time.Duration
}

// Observed is everything that Next decides from: the object, what the process
// remembers, and how the outside looks.
type Observed struct {
	Execution *v1alpha1.PipelineExecution
	// Job is the full name of its Jenkins job.
	Job string
	// Server is the Jenkins that its project uses now, "" when there is none.
	Server    string
	Admission Admission
	Memory    Memory
	Engine    Engine
	Agent     *Agent // nil: no pod
}

// Memory is what one process knows of a run because it did it. It dies with the process,
// and everything must come out right without it.
type Memory struct {
	// Initialized is the outcome of DoInitialize.
	Initialized *Initialized
	// Provisioned is set when DoProvision succeeded; Provision is its failure.
	Provisioned bool
	Provision   *Failure
	// Intent is the intent that this process recorded and has not used yet.
	Intent time.Time
	// Start is the outcome of the last DoStart.
	Start *Started
	// Evidence is the outcome of the last DoFind that had one; Search is why the last had
	// none, nil when it had.
	Evidence *Evidence
	Search   *Failure
	// MissingSince is since when plans say Missing.
	MissingSince time.Time
	// Cancelled is the queue item that DoCancelQueue took out.
	Cancelled int64
	// PauseError is why the last DoPause or DoResume, at PauseTried, achieved nothing.
	PauseError string
	PauseTried time.Time
	// Log is the end of the build's log, nil before DoReadLog.
	Log *string
	// StopRung is the rung of the stop ladder that was tried last, "" for none; Stop is when.
	StopRung Verb
	Stop     time.Time
	// AgentGone is set when a plan said so.
	AgentGone bool
	// AgentDeleted is when DoDeleteAgent was done.
	AgentDeleted time.Time
}

// Failure is why something did not succeed.
type Failure struct {
	Reason, Message string
	Terminal        bool      // it cannot succeed until somebody changes something
	Until           time.Time // do not try again before
}

// Initialized is what a run will be, or why that is not known.
type Initialized struct {
	Failure *Failure
	Stages  []v1alpha1.StageStatus
	Nothing bool // every stage is skipped
	// Timeout of the run from the start of its agent, AgentTimeout of the agent's start;
	// 0: none.
	Timeout, AgentTimeout time.Duration
	// Namespace of its agent and its Secret.
	Namespace string
	// StepTimeouts are those of single steps, by their place in Stages; Jenkins keeps them.
	StepTimeouts map[StepIndex]time.Duration
}

// StepIndex is the place of a step in the status, both from 0.
type StepIndex struct{ Stage, Step int }

// Outcome is what is known of a trigger.
type Outcome string

// The outcomes of a trigger.
const (
	OutcomeAccepted Outcome = "Accepted"
	OutcomeRefused  Outcome = "Refused" // for sure nothing was started
	OutcomeUnknown  Outcome = "Unknown" // the answer was lost
)

// Started is the outcome of a trigger.
type Started struct {
	Intent  time.Time // that it carried out
	At      time.Time
	Outcome Outcome
	QueueID int64
	Session string
	Failure *Failure // unless accepted
}

// Engine is how Jenkins looked at last.
type Engine struct {
	Look
	// Server is the address of the Jenkins that was looked at.
	Server string
	// Down is the reason why it cannot be used now, "" when it can; DownSince is since when.
	Down, Message string
	DownSince     time.Time
	// QuietingDown: it starts nothing, and what runs freezes.
	QuietingDown bool
}

// Look is what Jenkins showed of a run's job.
type Look struct {
	At      time.Time // zero: not looked yet
	Session string
	Exists  bool
	// NextBuild is greater than 1 when a build was ever started.
	NextBuild int64
	Items     []EngineItem  // in the queue, with our uid
	Builds    []EngineBuild // with our uid, newest first
	Waiting   string        // why the build waits for its agent, in Jenkins' words
	Stages    []EngineStage
	StagesAt  time.Time // when they were read; zero: never
	NoStages  bool      // this Jenkins cannot tell stages
	Question  string    // that an input step asks
	Paused    bool      // the build is paused between two steps, by whomever
	PausedAt  time.Time // when that was read; zero: never
}

// Evidence is the outcome of a thorough search for one run.
type Evidence struct {
	At        time.Time
	Session   string
	Exists    bool
	NextBuild int64
	Items     []EngineItem
	Builds    []EngineBuild
}

// EngineItem is a queue item.
type EngineItem struct {
	ID      int64
	Why     string
	Attempt int32
}

// EngineBuild is a build.
type EngineBuild struct {
	Number   int64
	QueueID  int64
	Building bool
	// Result is how it ended: Succeeded, Failed or Aborted; Raw is Jenkins' word.
	Result v1alpha1.Phase
	Raw    string
	URL    string
}

// Agent is how the agent pod stands.
type Agent struct {
	Namespace, Name, Node string
	Ready                 bool // every container runs
	Deleting              bool
	// Trouble says why it does not start, or why it died; "" when nothing is known.
	Trouble string
	Dead    bool // it failed, was evicted, or a container died
}
