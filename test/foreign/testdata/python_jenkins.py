"""Drives a Jenkins with python-jenkins (Debian: python3-jenkins) the way its users do, in folders.

Usage: python_jenkins.py URL USER SECRET; an empty USER is nobody. Prints a JSON object of what it saw. The scripts of the jobs are
those of the double's scripted agent: "say TEXT" and "hang".
"""

import json
import sys
import time

import jenkins
import requests

FOLDER = "<com.cloudbees.hudson.plugins.folder.Folder/>"
SECRET = """<org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl>
  <scope>GLOBAL</scope><id>token</id><description>d</description><secret>s3cret</secret>
</org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl>"""
JOB = """<?xml version='1.1' encoding='UTF-8'?>
<flow-definition>
  <description>%s</description>
  <properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
    <hudson.model.StringParameterDefinition><name>WHO</name><defaultValue>nobody</defaultValue></hudson.model.StringParameterDefinition>
  </parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>
  <definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>%s</script><sandbox>true</sandbox></definition>
</flow-definition>"""
PLAIN = "<flow-definition/>"
NAME = "team é/app 1"


def script(command):
    return "podTemplate(yaml: 'kind: Pod') {\nnode(POD_LABEL) {\nstage('talk') {\nsh(script: '%s')\n}\n}\n}" % command


def until(what, condition):
    deadline = time.monotonic() + 60
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise SystemExit("%s did not happen within a minute" % what)
        time.sleep(0.02)


def refused(call, *args):
    """The exception of a call that must fail."""
    try:
        call(*args)
    except jenkins.JenkinsException as e:
        return "%s: %s" % (type(e).__name__, str(e).splitlines()[0])
    raise SystemExit("%s%r did not fail" % (call.__name__, args))


def main(url, user, secret):
    server = jenkins.Jenkins(url, user or None, secret or None, timeout=30)
    seen = {"plugin": server.get_plugin_info("workflow-job")["active"], "version": server.get_version()}
    if user:
        seen["whoami"] = server.get_whoami()["id"]

    # create, in a folder, with names that need quoting
    server.create_job("team é", FOLDER)
    server.create_job(NAME, JOB % ("first", script("say hello")))
    server.create_job("plain", PLAIN)
    seen["exists"] = [server.job_exists(NAME), server.job_exists("team é/none"), server.is_folder("team é")]
    seen["twice"] = refused(server.create_job, NAME, JOB % ("again", ""))
    seen["nowhere"] = refused(server.create_job, "none/app", PLAIN)

    # update
    server.reconfig_job(NAME, JOB % ("zweite ü", script("say hello again")))
    config = server.get_job_config(NAME)
    info = server.get_job_info(NAME)
    seen["config"] = [config.startswith('<?xml version="1.1" encoding="UTF-8"?>'), "<description>zweite " in config, info["description"]]
    seen["listed"] = sorted(job["fullname"] for job in server.get_all_jobs())
    seen["debug"] = [info["nextBuildNumber"], info["inQueue"], info["color"]]

    # trigger with parameters, follow queue -> build
    def build_of(number):
        return lambda: (server.get_queue_item(number).get("executable") or {}).get("number")

    item = server.build_job(NAME, {"WHO": "a b&c=é"})
    number = until("the build", build_of(item))
    done = until("its end", lambda: (lambda b: b if not b["building"] else None)(server.get_build_info(NAME, number)))
    parameters = {p["name"]: p["value"] for a in done["actions"] for p in a.get("parameters", [])}
    seen["build"] = [number, done["result"], parameters, done["queueId"] == item]
    console = server.get_build_console_output(NAME, number)
    seen["console"] = ["hello again\n" in console, console.endswith("Finished: SUCCESS\n"), "\x1b" in console]
    item = server.build_job("plain")
    number = until("the plain build", build_of(item))
    seen["plain"] = number

    # the queue
    server.disable_job("plain")
    seen["disabled"] = server.get_job_info("plain")["color"]
    server.enable_job("plain")
    server.quiet_down()
    item = server.build_job(NAME, {"WHO": "queued"})
    seen["queue"] = [[i["id"] == item, i["task"]["name"], i["why"]] for i in server.get_queue_info()]
    try:
        server.cancel_queue(item)  # 204, which this version takes for a lost connection: it cancels nevertheless
        seen["cancel"] = "fine"
    except jenkins.EmptyResponseException:
        seen["cancel"] = "EmptyResponseException"
    seen["cancelled"] = server.get_queue_item(item)["cancelled"]
    print(json.dumps({"step": "quiet"}), flush=True)
    sys.stdin.readline()  # the test calls the quiet down off, which this client cannot

    # stop
    server.reconfig_job(NAME, JOB % ("slow", script("hang")))
    item = server.build_job(NAME, {"WHO": "slow"})
    number = until("the slow build", build_of(item))
    until("its stage", lambda: "hang" in server.get_job_config(NAME) and "[Pipeline] sh" in server.get_build_console_output(NAME, number))
    server.stop_build(NAME, number)
    done = until("its end", lambda: (lambda b: b if not b["building"] else None)(server.get_build_info(NAME, number)))
    seen["stopped"] = [number, done["result"]]

    # copy, credentials
    server.copy_job("plain", "copy")
    server.create_credential("team é", SECRET)
    seen["credentials"] = [
        [c["id"] for c in server.list_credentials("team é")],
        server.credential_exists("token", "team é"),
        "s3cret" in server.get_credential_config("token", "team é"),
        refused(server.create_credential, "team é", SECRET),
        refused(server.reconfig_credential, "team é", SECRET),  # this version posts nothing
    ]
    server.delete_credential("token", "team é")

    # delete
    try:
        server.delete_build(NAME, 1)
        seen["delete"] = "fine"
    except TypeError:  # this version cannot add a crumb to this one request
        seen["delete"] = "TypeError"
        server.jenkins_open(requests.Request("POST", server.get_job_info(NAME)["url"] + "1/doDelete"))
    seen["left"] = [b["number"] for b in server.get_job_info(NAME, fetch_all_builds=True)["builds"]]
    seen["gone"] = refused(server.get_build_info, NAME, 1)
    for name in (NAME, "plain", "copy", "team é"):
        server.delete_job(name)
    seen["end"] = [job["fullname"] for job in server.get_all_jobs()]
    wrong = jenkins.Jenkins(url, "nobody", "wrong", timeout=30)
    seen["wrong"] = refused(wrong.get_info) if user else ""
    print(json.dumps(seen), flush=True)


main(*sys.argv[1:])
