// Real Groovy as a witness of what Compile writes: it compiles Jenkinsfiles and runs them with steps that only record their calls.
//
// It reads a request from each line of standard input, and answers each with one line, a JSON object:
//
//   script BASE64   runs a Jenkinsfile
//   second BASE64   runs it as the second build of its job
//   job BASE64      runs the Jenkinsfile of a config.xml, which the JVM's own XML parser reads
//   text BASE64     evaluates an expression and answers its value, a string
//
// An answer has error (empty when all went well), and calls, script, text and constants as far as they apply. A call is
// [step, depth, {argument: value}], in the order of execution. Every string that a user may have written is answered as base64 of its
// UTF-16BE units, so that no encoding between here and the test can hide a difference.
import groovy.json.JsonOutput
import java.nio.ByteBuffer
import javax.xml.transform.TransformerFactory
import javax.xml.transform.stream.StreamResult
import javax.xml.transform.stream.StreamSource
import org.codehaus.groovy.ast.ClassNode
import org.codehaus.groovy.ast.expr.*
import org.codehaus.groovy.ast.stmt.*
import org.codehaus.groovy.classgen.GeneratorContext
import org.codehaus.groovy.control.CompilePhase
import org.codehaus.groovy.control.CompilerConfiguration
import org.codehaus.groovy.control.SourceUnit
import org.codehaus.groovy.control.customizers.CompilationCustomizer

/** How error ends a build. */
class Ended extends RuntimeException {}

/** The steps: they know their arguments as strictly as Jenkins does, and refuse every other. */
abstract class Steps extends Script {
  // arguments with their types; the first is the positional one when it is under ''; needs is the step that must be around
  static final Map KNOWN = [
    podTemplate: [args: [cloud: String, namespace: String, slaveConnectTimeout: Integer, showRawYaml: Boolean, yaml: String], body: true],
    node       : [positional: 'label', args: [label: String], body: true, needs: 'podTemplate'],
    stage      : [positional: 'name', args: [name: String], body: true],
    container  : [positional: 'name', args: [name: String], body: true, needs: 'node'],
    withEnv    : [positional: 'overrides', args: [overrides: List], body: true],
    timeout    : [args: [time: Integer, unit: String], body: true],
    retry      : [positional: 'count', args: [count: Integer], body: true],
    sh         : [args: [label: String, script: String], needs: 'node'],
    error      : [positional: 'message', args: [message: String]],
    parallel   : [:],
  ]

  List calls = []
  List around = []

  def getPOD_LABEL() { 'POD_LABEL' }

  Object invokeMethod(String name, Object given) {
    def step = KNOWN[name]
    if (step == null) throw new NoSuchMethodError("No such DSL method '$name'")
    def args = (given as Object[]) as List
    if (step.needs && !(step.needs in around)) throw new IllegalStateException("$name without $step.needs around it")
    if (name == 'parallel') return branches(args)
    Closure body = step.body ? args.pop() as Closure : null
    if (args.size() != 1) throw new IllegalArgumentException("$name with ${args.size()} arguments")
    Map map = step.positional ? [(step.positional): args[0]] : args[0] as Map
    if (map.keySet() != step.args.keySet()) throw new IllegalArgumentException("$name with ${map.keySet()}, want ${step.args.keySet()}")
    map.each { k, v -> if (!step.args[k].isInstance(v)) throw new IllegalArgumentException("$name: $k is a ${v?.class}") }
    record(name, map, body)
    if (name == 'error') throw new Ended()
  }

  def branches(List args) {
    Map map = args.size() == 1 ? args[0] as Map : [:]
    def failFast = map.remove('failFast')
    if (!(failFast instanceof Boolean) || map.isEmpty() || !map.values().every { it instanceof Closure }) throw new IllegalArgumentException('parallel')
    record('parallel', [failFast: failFast], { map.each { name, body -> record('branch', [name: name], body) } })
  }

  def record(String name, Map args, Closure body) {
    calls << [name, around.size(), args]
    around.push(name)
    try {
      body?.call()
    } finally {
      around.pop()
    }
  }
}

/**
 * What a script may consist of: calls of steps and of its own methods, closures, literals. It also has the limits of Jenkins'
 * transformer, which Groovy alone has not, and counts, rather too many, the constants that it makes of a script: one for each node of the
 * syntax tree, and two for each text.
 */
class Dialect extends CompilationCustomizer {
  int constants = 0
  Set texts = []
  Set methods

  Dialect() { super(CompilePhase.SEMANTIC_ANALYSIS) }

  void call(SourceUnit source, GeneratorContext context, ClassNode type) {
    if (!type.script) throw new IllegalStateException("a class: $type.name")
    def own = type.methods.findAll { it.name != 'main' }
    methods = own*.name as Set
    own.each {
      if (it.parameters) throw new IllegalStateException("$it.name has parameters")
      constants += 6
      visit(it.code)
    }
  }

  void visit(node) {
    constants++
    switch (node) {
      case BlockStatement: node.statements.each { visit(it) }; break
      case ExpressionStatement: visit(node.expression); break
      case MethodCallExpression:
        def name = node.methodAsString
        if (!node.implicitThis || !(name in methods || Steps.KNOWN.containsKey(name))) throw new IllegalStateException("a call of $name")
        constants += 2
        visit(node.arguments)
        break
      case MapExpression:
        if (node.mapEntryExpressions.size() > 125) throw new IllegalStateException("a map of ${node.mapEntryExpressions.size()} entries")
        node.mapEntryExpressions.each { visit(it.keyExpression); visit(it.valueExpression) }
        break
      case ListExpression:
        if (node.expressions.size() > 250) throw new IllegalStateException("a list of ${node.expressions.size()} elements")
        node.expressions.each { visit(it) }
        break
      case IfStatement: // is this the first build?
        def test = node.booleanExpression.expression
        if (!(test instanceof BinaryExpression && test.operation.text == '!=' && test.leftExpression.text == 'env.BUILD_NUMBER' &&
            test.rightExpression instanceof ConstantExpression && test.rightExpression.value instanceof String && node.elseBlock.empty)) {
          throw new IllegalStateException("a IfStatement: $test.text")
        }
        constants += 6
        visit(node.ifBlock)
        break
      case TupleExpression: node.expressions.each { visit(it) }; break
      case ClosureExpression:
        if (node.parameters) throw new IllegalStateException('a closure with parameters')
        constants += 2
        visit(node.code)
        break
      case BinaryExpression:
        if (node.operation.text != '+') throw new IllegalStateException("the operator $node.operation.text")
        visit(node.leftExpression)
        visit(node.rightExpression)
        break
      case ConstantExpression:
        if (!(node.value instanceof String || node.value instanceof Integer || node.value instanceof Boolean)) throw new IllegalStateException("the constant $node.text")
        if (node.value instanceof String && texts.add(node.value)) constants += 2
        break
      case VariableExpression:
        if (node.name != 'POD_LABEL') throw new IllegalStateException("the variable $node.name")
        break
      default: throw new IllegalStateException("a ${node.class.simpleName}: $node.text")
    }
  }
}

String units(CharSequence s) {
  def bytes = ByteBuffer.allocate(2 * s.length())
  bytes.asCharBuffer().put(s.toString())
  bytes.array().encodeBase64().toString()
}

def encode(value) {
  value instanceof CharSequence ? units(value) : value instanceof List ? value.collect { encode(it) } : value
}

/** The script of a config.xml, as it is sent and as Jenkins stores it: rewritten by the JVM, and declared as XML 1.1. */
String scriptOf(byte[] config) {
  def read = { byte[] xml ->
    def job = new XmlSlurper(false, false).parse(new ByteArrayInputStream(xml))
    if (job.definition.sandbox.text() != 'true') throw new IllegalStateException('not in the sandbox')
    job.definition.script.text()
  }
  def stored = new ByteArrayOutputStream()
  TransformerFactory.newInstance().newTransformer().transform(new StreamSource(new ByteArrayInputStream(config)), new StreamResult(stored))
  def newer = stored.toString('UTF-8').replaceFirst('version="1.0"', 'version="1.1"')
  if (!newer.startsWith('<?xml version="1.1" encoding="UTF-8"')) throw new IllegalStateException(newer.take(60))
  def script = read(config)
  if (read(stored.toByteArray()) != script || read(newer.getBytes('UTF-8')) != script) throw new IllegalStateException('Jenkins would store another script')
  script
}

def run(String text, String number = '1') {
  def dialect = new Dialect()
  def config = new CompilerConfiguration(scriptBaseClass: Steps.name)
  config.addCompilationCustomizers(dialect)
  def script = new GroovyShell(this.class.classLoader, new Binding(env: [BUILD_NUMBER: number]), config).parse(text, 'WorkflowScript')
  try {
    script.run()
  } catch (Ended e) {
    // calls has it
  }
  [calls: script.calls.collect { name, depth, args -> [name, depth, args.collectEntries { k, v -> [(k.toString()): encode(v)] }] }, constants: dialect.constants]
}

System.in.newReader('US-ASCII').eachLine { line ->
  def answer
  try {
    def (kind, data) = line.split(' ')
    byte[] bytes = data.decodeBase64()
    switch (kind) {
      case 'script': answer = run(new String(bytes, 'UTF-8')); break
      case 'second': answer = run(new String(bytes, 'UTF-8'), '2'); break
      case 'job':
        def text = scriptOf(bytes)
        answer = run(text) + [script: units(text)]
        break
      case 'text': answer = [text: units((String) new GroovyShell().evaluate(new String(bytes, 'UTF-8')))]; break
      default: throw new IllegalArgumentException(kind)
    }
  } catch (Throwable t) {
    answer = [error: units(t.toString())]
  }
  println JsonOutput.toJson(answer)
  System.out.flush()
}
