//! The result of a program.

use super::*;

/// Returns the part of a status reply that is the result: between the times and the priority.
fn result_of(answer: &Answer) -> String {
    let (_, rest) = answer.0.split_once("</process_end_time>").expect("it has ended");
    rest.split_once("<priority>").expect("a priority").0.to_owned()
}

#[test]
fn output_becomes_the_result() {
    let (_home, server) = shell("eval \"$ACTIOND_PARAM_DO\"", "");
    let token = |script: &str| server.post("Run", &[("Do", script)]).success().must("token");
    for (script, expected) in [
        ("echo hello", "<output>hello</output>"),
        ("printf \"<a b=\\\"1\\\"><c>x</c></a><d/>\"", "<a b=\"1\"><c>x</c></a><d/>"),
        ("printf \"<a>\"", "<output>&lt;a&gt;</output>"),
        (
            "echo '{\"pages\": 3, \"names\": [\"x\", \"y\"]}'",
            "<names>x</names><names>y</names><pages>3</pages>",
        ),
        ("printf \"a\\377b\"", "<output>a\u{FFFD}b</output>"),
        ("true", ""),
        ("echo more; echo \"<from>file</from>\" > result.xml", "<from>file</from>"),
        ("echo more; echo \"{\\\"from\\\": \\\"file\\\"}\" > result.json", "<from>file</from>"),
        ("echo out; echo secret > x; ln -s x result.xml", "<output>out</output>"),
        ("echo out; ln -s /etc/passwd result.json; mkdir result.xml", "<output>out</output>"),
        ("mkfifo result.xml; echo out", "<output>out</output>"),
    ] {
        let answer = server.outcome("Run", &token(script));
        assert_eq!(answer.must("status"), "Finished", "{script}: {}", answer.0);
        assert_eq!(result_of(&answer), expected, "{script}");
    }
}

#[test]
fn too_much_output_is_cut_and_blocks_nobody() {
    let script = "head -c 100000000 /dev/zero | tr \"\\\\0\" x; head -c 100000000 /dev/zero >&2; head -c 100000000 /dev/zero >&3";
    let (_home, server) = shell(script, "MaxOutputBytes=1000\nSuccessExitCodes=0");
    let answer = run(&server, "");
    assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    assert_eq!(answer.must("output"), "x".repeat(1_000));
    assert_eq!(answer.must("output_truncated"), "true");

    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let peak = status.ok().and_then(|status| {
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    assert!(peak.is_none_or(|kilobytes| kilobytes < 150_000), "{peak:?} KB were used");

    let (_home, server) = shell("printf \"<a>12345</a><b/>\"", "MaxOutputBytes=12");
    let answer = run(&server, "");
    assert_eq!(answer.must("output"), "<a>12345</a>");
    assert_eq!(answer.must("output_truncated"), "true");
}
