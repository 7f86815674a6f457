package main

// app is the small real program that the demo pushes.
func app(image string) map[string]string {
	return map[string]string{
		"go.mod": "module example.com/greet\n\ngo 1.24\n",
		"main.go": `package main

import (
	"fmt"
	"os"
)

func greet(name string) string { return "Hello, " + name + "!" }

func main() { fmt.Println(greet(os.Getenv("CICD_GIT_REPO_NAME"))) }
`,
		"main_test.go": `package main

import "testing"

func TestGreet(t *testing.T) {
	if got := greet("cluster"); got != "Hello, cluster!" {
		t.Errorf("got %q", got)
	}
}
`,
		".pipeline.yml": `# The steps of a stage run in parallel, the stages one after the other.
timeout: 10
stages:
- name: Check
  steps:
  - name: test
    runScriptConfig: {image: "` + image + `", shellScript: "go test -v ./..."}
  - name: toolchain
    runScriptConfig: {image: "` + image + `", shellScript: "go version"}
- name: Build
  steps:
  - name: compile
    runScriptConfig:
      image: "` + image + `"
      shellScript: |
        go build -buildvcs=false -o greet .
        ./greet
    env: {CGO_ENABLED: "0"}
- name: Release
  when: {branch: "release/**"}
  steps:
  - name: announce
    runScriptConfig: {image: "` + image + `", shellScript: "echo released"}
`,
	}
}
