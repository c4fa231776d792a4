//! The workers of a storm: processes of their own, some of which do not do as they should.
//!
//! A worker is this test program, told by its environment to be one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::super::calls::{Answer, Caller};
use super::super::super::shop::Shop;
use super::super::client::Dice;
use super::{diary, pace};

const WORKERS: u64 = 4;
/// Longer than any lease of these queues.
const SILENCE: Duration = Duration::from_millis(2_400);
/// Time for which a word is repeated without an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

const HOME: &str = "ACTIOND_STORM_WORKER_HOME";
const NUMBER: &str = "ACTIOND_STORM_WORKER_NUMBER";

/// Keeps the workers running, and kills one now and then until the storm comes to rest.
pub(super) fn supervise(shop: &Shop, seed: u64, resting: &AtomicBool, over: &AtomicBool) {
    let mut dice = Dice::new(seed, 700);
    let mut number = 0;
    let mut workers: Vec<Child> = Vec::new();
    while !over.load(Ordering::SeqCst) {
        workers.retain_mut(|worker| worker.try_wait().expect("its state").is_none());
        while (workers.len() as u64) < WORKERS {
            number += 1;
            workers.push(hire(shop, seed, number));
        }
        pace(200, &mut dice);
        if !resting.load(Ordering::SeqCst) && dice.percent(20) {
            kill(&mut workers.swap_remove(dice.below(WORKERS as usize)));
        }
    }
    workers.iter_mut().for_each(kill);
}

fn kill(worker: &mut Child) {
    worker.kill().expect("killed");
    worker.wait().expect("gone");
}

fn hire(shop: &Shop, seed: u64, number: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "storm::works::workers::a_worker", "--ignored", "--nocapture"]);
    command.env(HOME, shop.path("")).env(NUMBER, (seed * 100_000 + number).to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).current_dir(shop.path(""));
    command.spawn().expect("a worker")
}

#[test]
#[ignore = "it is a worker of a storm, which runs it as a process of its own"]
fn a_worker() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let number = std::env::var(NUMBER).expect("a number").parse().expect("a number");
    let home = PathBuf::from(home);
    let parent = std::os::unix::process::parent_id();
    let mut worker = Worker { home, name: format!("w{number}"), dice: Dice::new(number, 800) };
    // A storm that was killed leaves none behind.
    while std::os::unix::process::parent_id() == parent {
        for (work, mark) in worker.take() {
            worker.perform(&work, &mark);
        }
    }
}

struct Worker {
    home: PathBuf,
    name: String,
    dice: Dice,
}

/// Outcome of a word that was to end an attempt.
enum Said {
    Done(String),
    Lost,
}

impl Worker {
    fn home(&self) -> &Path {
        &self.home
    }

    /// Asks whichever server runs now; none is returned if there was no answer.
    fn ask(&self, request: &str) -> Option<Answer> {
        let address = std::fs::read_to_string(self.home.join("address")).ok()?;
        Caller::new(address.parse().ok()?).ok()?.ask(request).ok()
    }

    /// Takes an action, if there is one; returns it with its mark.
    fn take(&mut self) -> Vec<(Work, String)> {
        let queues = self.dice.one_of(&["Farm,Field", "Field,Farm", "Farm"]);
        let request =
            format!("QueueWork&WorkAction=take&QueueName={queues}&Worker={}&Wait=1", self.name);
        let Some(answer) = self.ask(&request).filter(Answer::is_success) else {
            pace(50, &mut self.dice);
            return Vec::new();
        };
        answer.with(|document| {
            let works = document.descendants().filter(|node| node.has_tag_name("work"));
            let work = works.map(|work| {
                let text = |name: &str| {
                    let found = work.children().find(|node| node.has_tag_name(name));
                    found.and_then(|node| node.text()).expect(name).to_owned()
                };
                let mark = work.descendants().find(|node| node.attribute("name") == Some("Mark"));
                let mark = mark.and_then(|node| node.attribute("value")).expect("a mark");
                (Work { token: text("token"), attempt: text("attempt") }, mark.to_owned())
            });
            work.collect()
        })
    }

    fn perform(&mut self, work: &Work, mark: &str) {
        diary::note(self.home(), mark, &format!("take {}", work.attempt));
        match self.dice.below(20) {
            0..=5 => self.end(work, mark, "finish"),
            6..=10 => self.slowly(work, mark),
            11..=12 => self.end(work, mark, "fail"),
            13 => self.end(work, mark, "final"),
            14..=15 => self.end(work, mark, "release"),
            16..=17 => {
                // It comes late, and may still be in time after a restart of the server.
                std::thread::sleep(SILENCE);
                self.end(work, mark, "finish");
            }
            18 => {
                let own = std::process::id().to_string();
                let _ = Command::new("kill").args(["-KILL", &own]).status();
            }
            // It forgets what it has.
            _ => {}
        }
    }

    /// Works with heartbeats, and obeys.
    fn slowly(&mut self, work: &Work, mark: &str) {
        let mut left = 3 + self.dice.below(12);
        while left > 0 {
            pace(150, &mut self.dice);
            let Some(answer) = self.ask(&work.says("heartbeat&Progress=40&Stage=half")) else {
                continue;
            };
            if !answer.is_success() {
                match answer.error().0.as_str() {
                    "ERRORUNAVAILABLE" => continue,
                    "ERRORWORKLOST" => {
                        diary::note(self.home(), mark, &format!("lost {} heartbeat", work.attempt));
                    }
                    _ => diary::note(self.home(), mark, &format!("wrong {}", answer.0)),
                }
                return;
            }
            match answer.must("wish").as_str() {
                "run" => left -= 1,
                "pause" => {}
                "stop" => {
                    let word = self.dice.one_of(&["finish", "fail", "release"]);
                    return self.end(work, mark, word);
                }
                _ => return,
            }
        }
        self.end(work, mark, "finish");
    }

    /// Says the word that ends the attempt; perhaps again, and perhaps another one later.
    fn end(&mut self, work: &Work, mark: &str, word: &str) {
        let plain = if word == "final" { "fail" } else { word };
        let attempt = &work.attempt;
        diary::note(self.home(), mark, &format!("say {attempt} {word}"));
        let request = match word {
            "final" => work.says("fail&Error=as%20planned,%20final&Retry=false"),
            "fail" => work.says("fail&Error=as%20planned"),
            "finish" => work.says(&format!("finish&Result=%3Cmark%3E{mark}%3C/mark%3E")),
            _ => work.says(word),
        };
        let Some(said) = self.until_answered(&request, mark) else { return };
        match said {
            Said::Lost => {
                diary::note(self.home(), mark, &format!("lost {attempt} {plain}"));
                return;
            }
            Said::Done(status) => {
                diary::note(self.home(), mark, &format!("done {attempt} {plain} {status}"));
            }
        }
        if self.dice.percent(40) {
            pace(300, &mut self.dice);
            if let Some(Said::Lost) = self.until_answered(&request, mark) {
                diary::note(
                    self.home(),
                    mark,
                    &format!("wrong {attempt} {plain} was refused the second time"),
                );
            }
        }
        if self.dice.percent(30) {
            let other = if plain == "finish" { "fail" } else { "finish" };
            if let Some(Said::Done(status)) = self.until_answered(&work.says(other), mark) {
                diary::note(
                    self.home(),
                    mark,
                    &format!("wrong {attempt} {other} after {plain} was accepted: {status}"),
                );
            }
        }
    }

    /// Says something until there is an answer, from this server or the next.
    fn until_answered(&mut self, request: &str, mark: &str) -> Option<Said> {
        let began = Instant::now();
        while began.elapsed() < ANSWERED_WITHIN {
            if let Some(answer) = self.ask(request) {
                if answer.is_success() {
                    return Some(Said::Done(answer.must("status")));
                }
                match answer.error().0.as_str() {
                    "ERRORWORKLOST" => return Some(Said::Lost),
                    "ERRORUNAVAILABLE" => {}
                    _ => {
                        diary::note(self.home(), mark, &format!("wrong {request}: {}", answer.0));
                        return None;
                    }
                }
            }
            pace(50, &mut self.dice);
        }
        diary::note(self.home(), mark, &format!("wrong no answer to {request}"));
        None
    }
}

/// An action that a worker has.
struct Work {
    token: String,
    attempt: String,
}

impl Work {
    fn says(&self, word: &str) -> String {
        format!("QueueWork&WorkAction={word}&Token={}&Attempt={}", self.token, self.attempt)
    }
}
