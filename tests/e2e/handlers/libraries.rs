//! Files, scripts and programs.

use std::fs;

use super::super::server::{Home, wait_until};
use super::{config, wait_for_events};

#[test]
fn a_file_has_a_line_for_each_event() {
    let home = Home::new(&config(
        "LibraryName=TextFileHandler\nFilePath=events/all.jsonl\nFormat=simplejson",
    ));
    let server = home.start();
    let mut tokens: Vec<_> = (0..20).map(|_| server.submit("&Text=a%0Ab")).collect();
    wait_for_events(&server, "delivered", 20);
    let text = fs::read_to_string(home.path().join("events/all.jsonl")).expect("the file");
    let told = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let action = &line["autnresponse"]["responsedata"]["actions"]["action"][0];
        action["token"].as_str().expect("a token").to_owned()
    };
    let mut lines: Vec<_> = text.lines().map(told).collect();
    tokens.sort();
    lines.sort();
    assert_eq!(lines, tokens);
}

#[test]
fn a_script_gets_the_event() {
    let home = Home::new(&config(
        "LibraryName=LuaHandler\nLuaScript=events.lua\nAllowUnsafe=true\nRetries=0",
    ));
    let script = "function handler(request, xml)
        if xml:find('<status>Error</status>', 1, true) then error('I saw it') end
        assert(request.Name == 'Ada', 'the parameters are kept with the action')
        local file = io.open('told', 'w'); file:write(xml); file:close()
        os.rename('told', 'whole')
    end";
    fs::write(home.path().join("events.lua"), script).expect("the script");
    let server = home.start();
    let token = server.submit("&Name=Ada");
    wait_for_events(&server, "delivered", 1);
    let told = fs::read_to_string(home.path().join("whole")).expect("what it wrote");
    assert_eq!(told, server.about("Process", "getStatus", &token).0);
    server.submit("&Fail=x");
    let shown = wait_for_events(&server, "failed", 1);
    assert_eq!(shown.must("last_error"), "events.lua:2: I saw it");
}

#[test]
fn a_script_is_not_given_a_request_that_is_too_large_and_the_log_says_so() {
    let home = Home::new(&config("LibraryName=LuaHandler\nLuaScript=events.lua\nRetries=0"));
    let script = "function handler(request, xml) assert(next(request) == nil) end";
    fs::write(home.path().join("events.lua"), script).expect("the script");
    let server = home.start();
    server.post("Process", &[("Text", &*"x".repeat(5 << 20))]).success();
    server.wait_for_line(&["WARN", "of Process: its parameters have 5242", "its request is empty"]);
    wait_for_events(&server, "delivered", 1);
}

#[test]
fn a_program_reads_the_event() {
    let home = Home::new(&config(
        "LibraryName=CommandHandler\nCommand=sh -c 'cat >told; echo $ACTIOND_EVENT $ACTIOND_TOKEN >>told; mv told whole'\nRetries=0",
    ));
    let server = home.start();
    let token = server.submit("");
    wait_for_events(&server, "delivered", 1);
    let whole = home.path().join("whole");
    wait_until("what it wrote", || whole.exists());
    let told = fs::read_to_string(whole).expect("what it wrote");
    let shown = server.about("Process", "getStatus", &token).0;
    assert_eq!(told, format!("{shown}OnFinish {token}\n"));
}

#[test]
fn a_script_with_a_mistake_stops_the_start() {
    let home = Home::new(&config("LibraryName=LuaHandler\nLuaScript=events.lua"));
    fs::write(home.path().join("events.lua"), "function handler(\n").expect("the script");
    let output = home.command().output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("[H] LuaScript=events.lua: can't be used: events.lua:"), "{said}");
}

/// The server ends the processes that a command has left behind, and not a program that a handler runs.
#[test]
fn a_program_of_a_handler_is_left_alone_when_commands_end() {
    let home = Home::new(
        "[Actions]\nOnFinish=H\n[AsyncActions]\n0=C\n1=E\n[C]\nType=Command\nCommand=true\nMaximumThreads=2\n\
         [E]\nType=Echo\n[H]\nLibraryName=CommandHandler\nCommand=sh -c 'sleep 0.3'\nRetries=0\n",
    );
    let server = home.start();
    for _ in 0..10 {
        server.submit_to("C", "");
        server.submit_to("E", "");
    }
    let shown = wait_for_events(&server, "delivered", 20);
    assert_eq!(shown.number("failed"), 0, "{}", shown.0);
}
