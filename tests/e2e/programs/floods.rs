//! Programs that write far too much, without an end, or where they should not: memory stays bounded and nothing hangs.

use std::time::{Duration, Instant};

use super::super::calls::Answer;
use super::super::server::{Server, wait_until};
use super::super::shop::{Shop, all_text, ended};

/// The most memory that the server has had, in kB.
fn peak(server: &Server) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How many kB more than before the server may have taken for any of this: far less than what is written.
const ROOM: u64 = 150_000;

fn output(answer: &Answer) -> String {
    all_text(answer, "output")
}

#[test]
fn output_is_cut_at_its_bound_and_not_before() {
    let shop =
        Shop::with(&[("Write", "/bin/sh %HOME%/write.sh {Bytes} {Text:x}", "MaxOutputBytes=1000")])
            .script("write.sh", "yes \"$2\" | tr -d '\\n' | head -c \"$1\"");
    let server = shop.start();
    let write = |bytes: &str, text: &str| {
        shop.run_to(
            &server,
            "Write",
            &[("Bytes", bytes.as_bytes()), ("Text", text.as_bytes())],
            "Finished",
        )
    };
    for (bytes, kept, truncated) in [
        ("0", 0, false),
        ("999", 999, false),
        ("1000", 1000, false),
        ("1001", 1000, true),
        ("500000", 1000, true),
    ] {
        let answer = write(bytes, "x");
        assert_eq!(output(&answer).len(), kept, "{bytes}: {}", answer.0);
        let told = answer.value("output_truncated");
        assert_eq!(told.as_deref(), truncated.then_some("true"), "{bytes}: {}", answer.0);
    }
    // Cut within a character: what is shown is text all the same.
    for text in ["é", "漢", "🎬", "x漢"] {
        let answer = write("5000", text);
        assert_eq!(answer.must("output_truncated"), "true");
        let shown = output(&answer);
        assert!(
            (990..=1000).contains(&shown.trim_end_matches('\u{fffd}').len()),
            "{}: {shown}",
            shown.len()
        );
    }
    // Cut XML is none.
    let answer = write("5000", "<a>1</a>");
    assert_eq!(answer.must("output_truncated"), "true");
    assert!(output(&answer).starts_with("<a>1</a><a>"), "{}", answer.0);
}

#[test]
fn a_program_that_writes_a_gigabyte_is_not_held_up() {
    let shop = Shop::with(&[("Write", "/bin/sh %HOME%/write.sh", "")]).script(
        "write.sh",
        "yes 0123456789abcdef0123456789abcdef | head -c 1000000000; echo done >&2; exit 7",
    );
    let server = shop.start();
    let before = peak(&server);
    let token = server.submit_to("Write", "");
    let answer = ended(&server, "Write", &token, Duration::from_secs(120));
    // It has come to its end, which is where it says so.
    assert_eq!(answer.must("exit_code"), "7");
    assert!(all_text(&answer, "log").contains("done"), "{}", &answer.0[answer.0.len() - 1_000..]);
    assert!(answer.0.len() < 1_100_000, "{}", answer.0.len());
    assert!(peak(&server) < before + ROOM, "{before} kB, then {}", peak(&server));
}

#[test]
fn floods_without_an_end_are_stopped() {
    let shop = Shop::with(&[
        ("Out", "yes %HOME%", ""),
        ("Err", "/bin/sh -c 'exec yes %HOME% >&2'", ""),
        ("Line", "/bin/sh -c 'exec perl -e \"print q(x) x 65536 while 1\" %HOME% >&2'", ""),
        ("Progress", "/bin/sh -c 'exec yes progress 1/2 %HOME% >&3'", ""),
        ("Long", "/bin/sh -c 'exec perl -e \"print q(x) x 65536 while 1\" %HOME% >&3'", ""),
        ("All", "/bin/sh -c 'yes %HOME% & yes %HOME% >&2 & yes partial %HOME% >&3'", ""),
        ("Other", "", ""),
    ]);
    let server = shop.start();
    let before = peak(&server);
    let queues = ["Out", "Err", "Line", "Progress", "Long", "All"];
    let tokens = queues.map(|queue| server.submit_to(queue, ""));
    for (queue, token) in queues.iter().zip(&tokens) {
        server.wait_in(queue, token, "Processing");
    }
    super::super::shop::let_pass(&server, "3");
    // Meanwhile the server answers.
    let asked = Instant::now();
    for (queue, token) in queues.iter().zip(&tokens) {
        let answer = server.about(queue, "getStatus", &format!("{token}&Log=true")).success();
        assert_eq!(answer.must("status"), "Processing", "{queue}: {}", answer.0);
        assert!(answer.0.len() < 1_500_000, "{queue}: {}", answer.0.len());
        server.about(queue, "progress", token).success();
    }
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
    for (queue, token) in queues.iter().zip(&tokens) {
        server.about(queue, "stop", token).success();
        let answer = server.outcome(queue, token);
        assert_eq!(answer.must("status"), "Stopped", "{queue}: {}", answer.0);
        assert!(answer.0.len() < 1_500_000, "{queue}: {}", answer.0.len());
    }
    shop.all_gone();
    assert!(peak(&server) < before + ROOM, "{before} kB, then {}", peak(&server));
}

/// A result in a file that is none, or has no end, or never comes.
#[test]
fn a_file_that_is_no_result_does_no_harm() {
    let shop = Shop::with(&[("Run", "/bin/sh %HOME%/run.sh", ""), ("Other", "", "")]);
    let server = shop.start();
    let before = peak(&server);
    for script in [
        "mkfifo result.xml",
        "mkdir result.xml",
        "ln -s /dev/zero result.xml",
        "ln -s /nowhere result.json",
        "ln -s result.json result.json",
        "truncate -s 4G result.json",
        "truncate -s 4G result.xml",
        "printf '<a><b></a>' > result.xml",
        "printf '[1' > result.json",
        "printf '\\377\\376' > result.xml",
        ": > result.json",
        "echo '{}' > result.json; chmod 000 result.json",
        "rm -rf \"$PWD\"",
        "printf '<a>1</a>' > result.xml; rm -rf \"$PWD\"; echo x",
    ] {
        std::fs::write(shop.path("run.sh"), format!("{script}\necho said\n")).unwrap();
        let token = server.submit_to("Run", "");
        let answer = ended(&server, "Run", &token, Duration::from_secs(30));
        // What it becomes is open: an end that says something, in bounded time and memory.
        assert!(
            ["Finished", "Error"].contains(&answer.must("status").as_str()),
            "{script}: {}",
            answer.0
        );
        assert!(answer.0.len() < 8_000_000, "{script}: {}", answer.0.len());
        assert!(peak(&server) < before + ROOM, "{script}: {before} kB, then {}", peak(&server));
    }
}

#[test]
fn many_lines_of_a_megabyte_each_leave_a_small_log() {
    let shop = Shop::with(&[("Run", "/bin/sh %HOME%/run.sh", "")]).script(
        "run.sh",
        "for n in $(seq 150); do head -c 1000000 /dev/zero | tr '\\000' x; echo; done >&2; echo the end >&2; exit 1",
    );
    let server = shop.start();
    let before = peak(&server);
    let token = server.submit_to("Run", "");
    let answer = ended(&server, "Run", &token, Duration::from_secs(60));
    assert_eq!(answer.must("status"), "Error");
    assert!(answer.0.contains("the end"), "{}", answer.0.len());
    assert!(answer.0.len() < 2_000_000, "{}", answer.0.len());
    assert!(peak(&server) < before + ROOM, "{before} kB, then {}", peak(&server));
    wait_until("its end", || shop.programs().is_empty());
}
