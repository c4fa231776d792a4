//! How `Command` becomes words, and parameters become arguments. No shell has a part in it.

use std::fs;

use super::super::calls::Answer;
use super::super::server::Server;
use super::super::shop::{Shop, refused};

/// Writes its arguments, each with a NUL behind it.
pub(super) const ARGUMENTS: &str =
    r#"for word in "$@"; do printf '%s\0' "$word"; done > "$H/new"; mv "$H/new" "$H/words""#;

/// A shop with a queue for each of these templates: `Q0`, `Q1` and so on.
fn shop(templates: &[&str]) -> Shop {
    let names: Vec<String> = (0..templates.len()).map(|number| format!("Q{number}")).collect();
    let commands: Vec<String> =
        templates.iter().map(|words| format!("/bin/sh %HOME%/words.sh {words}")).collect();
    let queues: Vec<_> = names
        .iter()
        .zip(&commands)
        .map(|(name, line)| (name.as_str(), line.as_str(), ""))
        .collect();
    Shop::with(&queues).script("words.sh", ARGUMENTS)
}

/// Runs an action of this queue; returns the arguments that its program had.
fn words_of(shop: &Shop, server: &Server, queue: &str, given: &[(&str, &[u8])]) -> Vec<Vec<u8>> {
    shop.run_to(server, queue, given, "Finished");
    let bytes = fs::read(shop.path("words")).expect("it wrote its arguments");
    shop.unsay("words");
    let mut words: Vec<_> = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(words.pop().as_deref(), Some(&b""[..]), "each has a NUL behind it");
    words
}

fn texts(words: &[Vec<u8>]) -> Vec<String> {
    words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

#[test]
fn a_template_is_split_once_and_filled_in() {
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        ("-i {Input} -o {Output}", &[("Input", "a b"), ("Output", "c")], &["-i", "a b", "-o", "c"]),
        // Names of parameters are compared without regard to case, here as everywhere.
        ("{input} {OUTPUT}", &[("INPUT", "a"), ("output", "b")], &["a", "b"]),
        ("{A}{B} x{A}y", &[("A", "1 2"), ("B", "3")], &["1 23", "x1 2y"]),
        (
            r#"--title="{Title} by {Author}" end"#,
            &[("Title", "It's"), ("Author", "\"Ada\"")],
            &["--title=It's by \"Ada\"", "end"],
        ),
        // The words of the template, as a shell would split them.
        (
            r#"'one word' "two $HOME" three\ words "" ''"#,
            &[],
            &["one word", "two $HOME", "three words", "", ""],
        ),
        // But nothing that a shell would do with them.
        (
            "$HOME * ~ > out | cat && true ; x & #x",
            &[],
            &["$HOME", "*", "~", ">", "out", "|", "cat", "&&", "true", ";", "x", "&"],
        ),
        // What may be missing: a word that is only that is left out.
        ("-a {Width?} -b", &[], &["-a", "-b"]),
        ("-a {Width?} -b", &[("Width", "6 40")], &["-a", "6 40", "-b"]),
        ("scale={Width?} -b", &[], &["scale=", "-b"]),
        ("scale={Width?}:x -b", &[("width", "640")], &["scale=640:x", "-b"]),
        ("{A?} {B?} {C?}", &[("B", "2")], &["2"]),
        ("{A?}", &[], &[]),
        ("{Name:Ada} x{Name:Ada}", &[], &["Ada", "xAda"]),
        ("{Name:Ada} x{Name:Ada}", &[("Name", "Grace")], &["Grace", "xGrace"]),
        ("'{Name:Ada Lovelace}'", &[], &["Ada Lovelace"]),
        // Up to the first colon is the name.
        ("{Url:http://localhost:80/}", &[], &["http://localhost:80/"]),
        // Two braces are one.
        ("a{{b {{Input}", &[("Input", "x")], &["a{b", "{Input}"]),
        ("{{{Input}", &[("Input", "x")], &["{x"]),
    ];
    let templates: Vec<&str> = cases.iter().map(|(template, _, _)| *template).collect();
    let shop = shop(&templates);
    let server = shop.start();
    for (number, (template, given, expected)) in cases.iter().enumerate() {
        let given: Vec<_> = given.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let words = texts(&words_of(&shop, &server, &format!("Q{number}"), &given));
        // A `#` may begin a comment, as in a shell.
        let words = match words.split_last() {
            Some((last, rest)) if last == "#x" => rest.to_vec(),
            _ => words,
        };
        assert_eq!(words, *expected, "{template} with {given:?}");
    }
    assert!(!shop.was_said("out"), "a shell has seen the command");
}

/// "Whatever it holds": one argument, or a part of one, unchanged.
#[test]
fn a_value_is_one_argument_whatever_it_holds() {
    let shop =
        shop(&["{Value} {Last?}", "--value={Value}! end", "{Value?} end", "{Value:none} end"]);
    let server = shop.start();
    let values: &[&[u8]] = &[
        b"plain",
        b" two  words ",
        b"'single' \"double\" `back` \\ \\n $HOME ${HOME} $(touch /nowhere) %s %n",
        b"; rm -rf / & | > < && || ! # * ? [a-z] ~ ~root {a,b}",
        b"-rf",
        b"--help",
        b"--",
        b"-",
        b"{Last} {Value} {{ }} { } {Value?} {x:y}",
        b"line 1\nline 2\r\n\ttab",
        "ünïcödé 漢字 🎬 \u{202e}x\u{200b}".as_bytes(),
        b"\x01\x02\x1b[31m\x7f",
        // No UTF-8, as file names may be.
        b"/etc/passwd",
        b"../../x",
        b"a=b&c=d",
        b"100%25",
        b"@file",
        b"null",
    ];
    for value in values {
        let shown = String::from_utf8_lossy(value);
        let given = [("Value", *value)];
        assert_eq!(words_of(&shop, &server, "Q0", &given), [value.to_vec()], "{shown}");
        let part = [&b"--value="[..], value, b"!"].concat();
        assert_eq!(words_of(&shop, &server, "Q1", &given), [part, b"end".to_vec()], "{shown}");
        for queue in ["Q2", "Q3"] {
            let words = words_of(&shop, &server, queue, &given);
            assert_eq!(words, [value.to_vec(), b"end".to_vec()], "{shown}");
        }
    }
    // The value of one never becomes a place for another.
    let words = words_of(&shop, &server, "Q0", &[("Value", b"{Last?}"), ("Last", b"{Value}")]);
    assert_eq!(texts(&words), ["{Last?}", "{Value}"]);
}

/// An empty value was given, so it is an argument. Whether it counts as missing where it may be missing is open.
#[test]
fn an_empty_value_is_an_empty_argument() {
    let shop = shop(&["a {Value} b", "a x{Value}y b", "a {Value?} b", "a {Value:c} b"]);
    let server = shop.start();
    let given: [(&str, &[u8]); 1] = [("Value", b"")];
    assert_eq!(texts(&words_of(&shop, &server, "Q0", &given)), ["a", "", "b"]);
    assert_eq!(texts(&words_of(&shop, &server, "Q1", &given)), ["a", "xy", "b"]);
    let words = texts(&words_of(&shop, &server, "Q2", &given));
    assert!(words == ["a", "", "b"] || words == ["a", "b"], "{words:?}");
    let words = texts(&words_of(&shop, &server, "Q3", &given));
    assert!(words == ["a", "", "b"] || words == ["a", "c", "b"], "{words:?}");
}

#[test]
fn a_missing_parameter_is_refused_at_submission_by_its_name() {
    let shop = shop(&["{Input} {Width?} {Output} {Speed:1}"]);
    let server = shop.start();
    for (given, missing) in [
        ("", "Input"),
        ("&Width=3&Output=x", "Input"),
        ("&Input=x", "Output"),
        ("&Input=x&Synchronous=true", "Output"),
        ("&Input=x&Wait=20", "Output"),
        ("&Input=x&Idempotency-Key=k", "Output"),
    ] {
        refused(&server.ask(&format!("Q0{given}")), "ERRORPARAMMISSING", &[missing]);
    }
    server.nothing_was_queued("Q0");
    assert!(!shop.was_said("words"));
}

#[test]
fn a_nul_byte_is_refused_at_submission() {
    let shop = shop(&["{Input} {Width?} {Speed:1}"]);
    let server = shop.start();
    for (given, named) in [
        ("&Input=a%00b", "Input"),
        ("&Input=x&Width=%00", "Width"),
        ("&Input=x&Speed=1%00", "Speed"),
    ] {
        for more in ["", "&Synchronous=true"] {
            let answer = server.ask(&format!("Q0{given}{more}"));
            refused(&answer, "ERRORPARAMINVALID", &[named]);
            assert!(answer.must("errorid").ends_with("502"), "{}", answer.0);
        }
    }
    server.nothing_was_queued("Q0");
    // One that is no argument can't be a variable of the environment, but the program may run all the same.
    let answer = server.ask("Q0&Input=x&Else=a%00b&Wait=20");
    if answer.is_success() {
        assert_eq!(answer.must("status"), "Finished", "{}", answer.0);
    } else {
        refused(&answer, "ERRORPARAMINVALID", &["Else"]);
    }
}

/// `(name, required)` of the parameters that Help lists for this action.
fn helped(help: &Answer) -> Vec<(String, String)> {
    help.with(|document| {
        let all = document.descendants().filter(|node| node.has_tag_name("parameter"));
        let told = |node: roxmltree::Node<'_, '_>, name: &str| {
            node.attribute(name).unwrap_or_default().to_owned()
        };
        all.map(|node| (told(node, "name"), told(node, "required"))).collect()
    })
}

#[test]
fn help_lists_the_parameters_of_the_command() {
    let shop = shop(&["{Input} {Width?} s={Height?} {Speed:1} {Input} {{NotOne}"]);
    let server = shop.start();
    let listed = helped(&server.ask("Help&HelpAction=Q0").success());
    let expected = [("Input", "true"), ("Width", "false"), ("Height", "false"), ("Speed", "false")];
    for (name, required) in expected {
        let found: Vec<_> = listed.iter().filter(|(listed, _)| listed == name).collect();
        assert_eq!(found.len(), 1, "{name} once in {listed:?}");
        assert_eq!(found[0].1, required, "{name}");
    }
    assert!(!listed.iter().any(|(name, _)| name == "NotOne"), "{listed:?}");

    let json = server.ask("Help&HelpAction=Q0&ResponseFormat=json").0;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let mut names = Vec::new();
    named(&json, &mut names);
    for (name, _) in expected {
        assert!(names.contains(&name.to_owned()), "{name} in {names:?}");
    }
    // They are known, so a strict server takes them.
    let strict = "[Server]\nStrictActionValidation=true\n";
    let text = fs::read_to_string(shop.path("test.cfg")).unwrap();
    fs::write(shop.path("test.cfg"), format!("{strict}{text}")).unwrap();
    drop(server);
    let server = shop.start();
    let given: [(&str, &[u8]); 3] = [("Input", b"a"), ("Width", b"b"), ("Height", b"c")];
    assert_eq!(
        texts(&words_of(&shop, &server, "Q0", &given)),
        ["a", "b", "s=c", "1", "a", "{NotOne}"]
    );
}

/// The values of all members `@name`, at any depth.
fn named(json: &serde_json::Value, names: &mut Vec<String>) {
    match json {
        serde_json::Value::Array(all) => all.iter().for_each(|one| named(one, names)),
        serde_json::Value::Object(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(name) if key == "@name" => names.push(name.to_owned()),
                    _ => named(value, names),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn a_template_that_can_not_be_used_stops_the_start() {
    for (line, number) in [
        ("Command=/bin/echo \"open", 5),
        ("Command=/bin/echo 'open", 5),
        ("Command=/bin/echo {Input", 5),
        ("Command=/bin/echo {}", 5),
        ("Command=true\nMaxOutputBytes=many", 6),
        ("Command=true\nSuccessExitCodes=zero", 6),
        ("Command=true\nSuccessExitCodes=0,256", 6),
        ("Command=true\nKeepWorkingDirectory=sometimes", 6),
        ("Command=true\nTimeoutSecs=soon", 6),
        ("Command=true\nInheritEnvironment=perhaps", 6),
    ] {
        let shop = Shop::new(&format!("[AsyncActions]\n0=Work\n[Work]\nType=Command\n{line}\n"));
        let (code, said) = shop.refused();
        assert_eq!(code, Some(2), "{line}: {said}");
        let key = line.lines().last().unwrap().split('=').next().unwrap();
        assert!(said.contains(&format!("test.cfg:{number}:")), "{line}: {said}");
        assert!(said.contains(&format!("[Work] {key}")), "{line}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    // Without any there is nothing to run.
    let shop = Shop::new("[AsyncActions]\n0=Work\n[Work]\nType=Command\n");
    let (code, said) = shop.refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("Command") && said.contains("Work"), "{said}");
}

#[test]
fn a_shell_may_be_the_program() {
    let shop = Shop::with(&[(
        "Count",
        r#"/bin/sh -c 'printf "%s" "$1" | wc -c | tr -d " "' count {Text}"#,
        "",
    )]);
    let server = shop.start();
    let answer = shop.run_to(&server, "Count", &[("Text", b"$(echo x); 'y'")], "Finished");
    assert_eq!(answer.must("output").trim(), "14", "{}", answer.0);
}
