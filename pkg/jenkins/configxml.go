package jenkins

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Parameters every job of ours declares. They are in config.xml, not in the Jenkinsfile: a declared parameter works from the first
// build on, and its value makes each trigger distinct, so that Jenkins never merges two executions in its queue.
const (
	ParamUID     = "EXECUTION_UID"
	ParamAttempt = "ATTEMPT"
)

// maxConfig bounds a job's script. A Jenkinsfile of 50 stages with 10 steps is near 300 KiB.
const maxConfig = 16 << 20

const managedBy = "managed-by=kubectl-pipeline"

// marker is the last line of a description: how we know our own jobs again, and whether their config is the one we would write.
var marker = regexp.MustCompile(regexp.QuoteMeta(managedBy) + `; uid=([^;\s]*); hash=sha256:([0-9a-f]{64})`)

// configXML renders a Pipeline job. The XML version is 1.0: in 1.1, which Jenkins writes itself, U+0085 and U+2028 in a
// description would be read as line ends; and the control characters that only 1.1 can carry are refused.
func configXML(j Job) (text, hash string, err error) {
	for what, s := range map[string]string{"script": j.Script, "description": j.Description, "uid": j.UID} {
		if err := checkText(s); err != nil {
			return "", "", fmt.Errorf("%s of job %s: %w", what, j.Ref, err)
		}
	}
	switch {
	case len(j.Script) > maxConfig:
		return "", "", fmt.Errorf("script of job %s: %d bytes, at most %d: %w", j.Ref, len(j.Script), maxConfig, ErrInvalid)
	case j.UID == "" || strings.ContainsAny(j.UID, "; \t\r\n"):
		return "", "", fmt.Errorf("uid %q of job %s: %w", j.UID, j.Ref, ErrInvalid)
	}
	sum := sha256.Sum256([]byte(renderConfig(j, j.Description)))
	hash = hex.EncodeToString(sum[:])
	mark := fmt.Sprintf("%s; uid=%s; hash=sha256:%s", managedBy, j.UID, hash)
	if j.Description != "" {
		mark = j.Description + "\n" + mark
	}
	return renderConfig(j, mark), hash, nil
}

func renderConfig(j Job, description string) string {
	return `<?xml version='1.0' encoding='UTF-8'?>
<flow-definition>
  <description>` + escape(description) + `</description>
  <keepDependencies>false</keepDependencies>
  <properties>
    <hudson.model.ParametersDefinitionProperty><parameterDefinitions>
      ` + stringParameter(ParamUID, "the PipelineExecution this build belongs to") + `
      ` + stringParameter(ParamAttempt, "how often this execution was triggered") + `
    </parameterDefinitions></hudson.model.ParametersDefinitionProperty>
    <org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty><abortPrevious>false</abortPrevious></org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty>
    <org.jenkinsci.plugins.workflow.job.properties.DurabilityHintJobProperty><hint>MAX_SURVIVABILITY</hint></org.jenkinsci.plugins.workflow.job.properties.DurabilityHintJobProperty>
  </properties>
  <definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>` + escape(j.Script) + `</script><sandbox>true</sandbox></definition>
  <triggers/>
  <disabled>false</disabled>
</flow-definition>
`
}

func stringParameter(name, description string) string {
	return "<hudson.model.StringParameterDefinition><name>" + name + "</name><description>" + escape(description) +
		"</description><defaultValue></defaultValue><trim>false</trim></hudson.model.StringParameterDefinition>"
}

const folderXML = `<?xml version='1.0' encoding='UTF-8'?>
<com.cloudbees.hudson.plugins.folder.Folder>
  <description>` + managedBy + `</description>
</com.cloudbees.hudson.plugins.folder.Folder>
`

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}

// checkText refuses what XML 1.0 cannot carry. Jenkins would answer it with status 500, or store something else.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("not UTF-8: %w", ErrInvalid)
	}
	for i, r := range s {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return fmt.Errorf("character U+%04X at byte %d: %w", r, i, ErrInvalid)
		}
	}
	return nil
}

// readMarker finds our marker in a config.xml as Jenkins gives it. Not ours: ok is false.
func readMarker(config string) (uid, hash string, ok bool) {
	// Jenkins writes XML 1.1, which encoding/xml refuses by its declaration. The root's own description comes first.
	config = strings.Replace(config, "version='1.1'", "version='1.0'", 1)
	config = strings.Replace(config, `version="1.1"`, `version="1.0"`, 1)
	dec := xml.NewDecoder(strings.NewReader(config))
	for depth := 0; ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) || err != nil {
			return "", "", false
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			depth++
			if depth == 2 && tok.Name.Local == "description" {
				var text string
				if dec.DecodeElement(&text, &tok) != nil {
					return "", "", false
				}
				m := marker.FindStringSubmatch(text)
				if m == nil {
					return "", "", false
				}
				return m[1], m[2], true
			}
		case xml.EndElement:
			depth--
		}
	}
}
