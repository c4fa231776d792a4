//! Questions, asked on a terminal. An answer is a letter and Enter.

use std::io::{self, BufRead as _, Write as _};

use super::failure::Failure;
use super::session::has_user;

/// An answer, and the word that the question shows for it.
pub(super) type Choice = (char, &'static str);

/// Asks for one of several things. Without an answer (the end of the input, or Ctrl-C) it is `None`.
pub(super) async fn choose(question: &str, choices: &[Choice]) -> Option<char> {
    tokio::select! {
        answer = until_answered(question, choices) => answer,
        _ = tokio::signal::ctrl_c() => {
            ask("\n");
            None
        }
    }
}

async fn until_answered(question: &str, choices: &[Choice]) -> Option<char> {
    loop {
        ask(&format!("{question} {} ", shown(choices)));
        let line = read_line().await?;
        if let Some(answer) = answer(&line, choices) {
            return Some(answer);
        }
    }
}

/// Asks before something that can't be undone, unless the answer was given as `--yes`.
pub(super) async fn confirm(what: &str, is_given: bool) -> Result<(), Failure> {
    if is_given {
        return Ok(());
    }
    if !has_user() {
        return Err(Failure::Unasked(what.to_owned()));
    }
    // Ctrl-C ends the program, as ever.
    match until_answered(&format!("{what}?"), &[('y', "yes"), ('n', "no")]).await {
        Some('y') => Ok(()),
        _ => Err(Failure::Declined),
    }
}

fn ask(text: &str) {
    let mut out = anstream::stderr().lock();
    // Nobody listens any more.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

async fn read_line() -> Option<String> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).ok().filter(|bytes| *bytes > 0).map(|_| line)
    });
    read.await.ok().flatten()
}

/// Writes the choices: `[s]top it, [l]eave it, [g]o on:`.
fn shown(choices: &[Choice]) -> String {
    let choices = choices.iter().map(|(letter, word)| {
        let rest = word.strip_prefix(*letter).unwrap_or(word);
        format!("[{letter}]{rest}")
    });
    format!("{}:", choices.collect::<Vec<_>>().join(", "))
}

/// Reads an answer: the letter, or a word that begins with it, in any case.
fn answer(line: &str, choices: &[Choice]) -> Option<char> {
    let line = line.trim().to_lowercase();
    let first = line.chars().next()?;
    let choice = choices.iter().find(|(letter, _)| *letter == first);
    choice.filter(|(_, word)| line.len() == 1 || word.starts_with(&line)).map(|(letter, _)| *letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOICES: &[Choice] = &[('s', "stop it"), ('l', "leave it"), ('g', "go on")];

    #[test]
    fn answers_are_read() {
        let table = [
            ("s\n", Some('s')),
            (" S \r\n", Some('s')),
            ("stop", Some('s')),
            ("go on\n", Some('g')),
            ("sx\n", None),
            ("\n", None),
            ("x\n", None),
        ];
        for (line, want) in table {
            assert_eq!(answer(line, CHOICES), want, "{line:?}");
        }
        assert_eq!(shown(CHOICES), "[s]top it, [l]eave it, [g]o on:");
    }
}
