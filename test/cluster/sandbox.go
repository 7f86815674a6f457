package cluster

import "os"

// sandboxEnv is set inside a sandbox, to the name of its control group.
const sandboxEnv = "KUBECTL_PIPELINE_SANDBOX"

// Sandboxed reports whether this process runs inside a sandbox.
func Sandboxed() bool { return os.Getenv(sandboxEnv) != "" }
