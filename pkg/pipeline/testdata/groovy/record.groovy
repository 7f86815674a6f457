// Runs Jenkinsfiles in real Groovy with steps that only record their calls. Arguments: the files. Output: for each file a line with a
// JSON object {file, error, calls}, where calls are [step, depth, {argument: value}] in the order of execution. Everything is ASCII.
import groovy.json.JsonOutput
import org.codehaus.groovy.control.CompilerConfiguration

abstract class Recorder extends Script {
  List calls = []
  int depth = 0

  void record(String step, Map args, Closure body = null) {
    calls << [step, depth, args]
    if (body != null) {
      depth++
      body.call()
      depth--
    }
  }

  Map plain(Map args) { args.collectEntries { k, v -> [(k.toString()): v] } }

  def getPOD_LABEL() { 'POD_LABEL' }
  void podTemplate(Map args, Closure body) { record('podTemplate', plain(args), body) }
  void node(String label, Closure body) { record('node', [label: label], body) }
  void stage(String name, Closure body) { record('stage', [name: name], body) }
  void container(String name, Closure body) { record('container', [name: name], body) }
  void withEnv(List env, Closure body) { record('withEnv', [env: env], body) }
  void timeout(Map args, Closure body) { record('timeout', plain(args), body) }
  void retry(int count, Closure body) { record('retry', [count: count], body) }
  void sh(Map args) { record('sh', plain(args)) }
  void parallel(Map branches) {
    record('parallel', [failFast: branches.failFast], {
      branches.findAll { it.key != 'failFast' }.each { name, body -> record('branch', [name: name.toString()], body) }
    })
  }
}

// JsonOutput escapes what is not ASCII as UTF-16 units, but leaves U+007F as it is
def ascii = { String s -> s.collectReplacements { char c -> c > 126 ? String.format('\\u%04x', (int) c) : null } }
def config = new CompilerConfiguration(scriptBaseClass: Recorder.name)
args.each { file ->
  def result = [file: file, error: '', calls: []]
  try {
    def script = new GroovyShell(this.class.classLoader, new Binding(), config).parse(new File(file))
    script.run()
    result.calls = script.calls
  } catch (Throwable t) {
    result.error = t.toString()
  }
  println ascii(JsonOutput.toJson(result))
}
