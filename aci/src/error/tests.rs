//! Numbers, codes and texts of all errors, and the table of the documentation.

use super::*;

#[test]
fn each_kind_has_its_number_code_and_texts() {
    let table = [
        (AciError::unknown_action("WOBBLE"), "ACTIONDX1", "0x1", "ERRORNOTIMPLEMENTED", "WOBBLE"),
        (
            AciError::missing("Token", "a token"),
            "ACTIONDX501",
            "0x1F5",
            "ERRORPARAMMISSING",
            "Token",
        ),
        (
            AciError::invalid("Start", "0", "1 or more"),
            "ACTIONDX502",
            "0x1F6",
            "ERRORPARAMINVALID",
            "'0'",
        ),
        (
            AciError::refused("MTA=", "an action that runs can't be cancelled"),
            "ACTIONDX502",
            "0x1F6",
            "ERRORPARAMINVALID",
            "the token MTA=: an action that runs can't be cancelled.",
        ),
        (
            AciError::unknown_parameter("Tokn", "StrictActionValidation", Some("Token")),
            "ACTIONDX502",
            "0x1F6",
            "ERRORPARAMINVALID",
            "Is Token meant?",
        ),
        (
            AciError::malformed("no boundary"),
            "ACTIONDX502",
            "0x1F6",
            "ERRORPARAMINVALID",
            "no boundary",
        ),
        (
            AciError::unsupported("method", "PUT", "GET"),
            "ACTIONDX502",
            "0x1F6",
            "ERRORPARAMINVALID",
            "The method 'PUT' is not supported. Allowed: GET.",
        ),
        (
            AciError::failed("Echo", "no luck"),
            "ACTIONDX510",
            "0x1FE",
            "ERRORACTIONFAILED",
            "Echo was run and ended in an error: no luck",
        ),
        (
            AciError::queue_full("Fetch", 9, 3),
            "ACTIONDX503",
            "0x1F7",
            "ERRORQUEUEFULL",
            "Fetch already holds 9 queued actions (",
        ),
        (
            AciError::queue_full("Fetch", 1, 60),
            "ACTIONDX503",
            "0x1F7",
            "ERRORQUEUEFULL",
            "Fetch already holds 1 queued action (",
        ),
        (
            AciError::reserved("actiond:x", "actiond:"),
            "ACTIONDX502",
            "0x1F6",
            "ERRORPARAMINVALID",
            "actiond:x can't be sent: names that begin with actiond: are",
        ),
        (AciError::permission("a page."), "ACTIONDX504", "0x1F8", "ERRORPERMISSION", "a page"),
        (
            AciError::too_large("body", 12, 10),
            "ACTIONDX505",
            "0x1F9",
            "ERRORREQUESTTOOLARGE",
            "is 12, at most 10",
        ),
        (AciError::unavailable("ending"), "ACTIONDX506", "0x1FA", "ERRORUNAVAILABLE", "ending"),
        (
            AciError::work_lost("MTA=", "attempt 1 is over"),
            "ACTIONDX507",
            "0x1FB",
            "ERRORWORKLOST",
            "the token MTA= is not yours any more: attempt 1 is over.",
        ),
        (AciError::internal("Q3"), "ACTIONDX500", "0x1F4", "ERRORINTERNAL", "Q3"),
    ];
    for (error, id, raw, code, says) in table {
        assert_eq!(
            (error.error_id("x").as_str(), error.raw_id().as_str(), error.code),
            (id, raw, code)
        );
        assert!(error.description.contains(says), "{error}");
        assert!(!error.string.is_empty());
        assert_eq!(error.to_string(), error.description, "it says everything by itself");
    }
}

macro_rules! each_kind {
    ($($kind:ident($($given:expr),+);)+) => {
        [$((stringify!($kind), AciError::$kind($($given),+))),+]
    };
}

/// An error of every kind, with the name of what makes it.
fn of_every_kind(word: &str) -> [(&'static str, AciError); 16] {
    each_kind! {
        unknown_action(word);
        missing(word, word);
        invalid(word, word, word);
        refused(word, word);
        not_taken(word, word);
        unknown_parameter(word, word, Some(word));
        reserved(word, word);
        malformed(word);
        unsupported(word, word, word);
        queue_full(word, 1, 1);
        permission(word);
        too_large(word, 2, 1);
        failed(word, word);
        unavailable(word);
        work_lost(word, word);
        internal(word);
    }
}

/// The table that clients are written by. A kind that is made here and not listed above is found in this file's text.
#[test]
fn the_documentation_has_every_kind_to_the_letter() {
    let made = regex::Regex::new(r"pub fn (\w+)\([^)]*\) -> Self \{").unwrap();
    let mut made: Vec<_> = made
        .captures_iter(include_str!("../error.rs"))
        .filter(|found| !found[0].contains("mut self"))
        .map(|found| found[1].to_owned())
        .collect();
    made.sort_unstable();
    let kinds = of_every_kind("x");
    let mut listed: Vec<_> = kinds.iter().map(|(name, _)| *name).collect();
    listed.sort_unstable();
    assert_eq!(made, listed, "an error of each kind is needed above");

    let docs = include_str!("../../../docs/aci.md");
    let (_, table) = docs.split_once("| number | code | `errorstring` | when |\n").unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let mut documented: Vec<_> = rows
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(|cell| cell.trim().replace('`', "")).collect();
            (cells[1].clone(), cells[2].clone(), cells[3].clone())
        })
        .collect();
    documented.sort_unstable();
    let mut wanted: Vec<_> = kinds
        .iter()
        .map(|(_, error)| {
            (error.number.to_string(), error.code.to_owned(), error.string.to_owned())
        })
        .collect();
    wanted.sort_unstable();
    assert_eq!(documented, wanted);
}

/// Clients group errors by the short text.
#[test]
fn the_short_text_tells_the_kind_and_nothing_of_the_request() {
    let of = |word| of_every_kind(word).map(|(_, error)| error);
    let (some, others) = (of("wobble"), of("quux"));
    for (error, other) in some.iter().zip(&others) {
        assert_eq!(error.string, other.string);
        assert!(error.description.contains("wobble"), "{error}");
        assert_eq!(error.description.matches(error.string).count().max(1), 1, "{error}");
    }
    let mut kinds: Vec<_> = some.iter().map(|error| error.string).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), some.len(), "each kind has its own");
}

#[test]
fn ids_and_texts_repeat_little_of_what_was_sent() {
    let long = "ü".repeat(5000);
    let error = AciError::invalid(&long, &long, "x");
    assert!(error.description.chars().count() < 300);
    assert_eq!(error.error_id("get-Status;ü"), "ACTIONDGETSTATUS502");
    assert_eq!(error.error_id(&"a".repeat(99)), format!("ACTIOND{}502", "A".repeat(40)));
}

#[test]
fn what_a_failed_action_says_is_cut_late() {
    let said = |count: usize| AciError::failed("Echo", &"é".repeat(count)).description;
    assert!(said(5_000).ends_with(&"é".repeat(5_000)));
    assert_eq!(said(5_001), said(5_000));
}
