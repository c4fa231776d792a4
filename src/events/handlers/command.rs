//! `LibraryName=CommandHandler`: runs a program for each event, which reads the event from its standard input.
//!
//! The program leads a process group of its own. When it has ended, and when its time is over, the whole group is killed; its number
//! is its own until the program was waited for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::message::{Documents, Format, Message};
use crate::kinds::command::PASSED_ON;
use actiond_actors::Bystander;
use actiond_actors::outbox::{Deliver, OutboxEvent, Undelivered};

/// Number of bytes of the standard error that are kept, for the message about a failure.
const MAX_ERRORS: usize = 4 << 10;

/// Longest text of a program's own in a message, in characters.
const MAX_TOLD: usize = 300;

/// Time to read what is left of the standard error once the group was killed.
const LEFT_WITHIN: Duration = Duration::from_millis(200);

/// The settings of a handler that runs a program.
#[derive(Debug, Clone)]
pub struct CommandSettings {
    /// `Command`: the program and its arguments.
    pub words: Vec<String>,
    /// `WorkingDirectory`; that of the server without it.
    pub directory: Option<PathBuf>,
    /// `Format`.
    pub format: Format,
    /// `TimeoutSecs`.
    pub timeout: Duration,
    /// `SuccessExitCodes`.
    pub success: Vec<i32>,
}

/// Runs a program for each event.
pub struct CommandHandler {
    settings: Arc<CommandSettings>,
    documents: Arc<dyn Documents>,
}

impl std::fmt::Debug for CommandHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandHandler").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl CommandHandler {
    /// Makes the handler.
    #[must_use]
    pub fn new(settings: CommandSettings, documents: Arc<dyn Documents>) -> Self {
        Self { settings: Arc::new(settings), documents }
    }
}

impl Deliver for CommandHandler {
    fn deliver(&self, event: Arc<OutboxEvent>) -> BoxFuture<'static, Result<(), Undelivered>> {
        let (settings, documents) = (Arc::clone(&self.settings), Arc::clone(&self.documents));
        Box::pin(async move {
            let message = Message::of(&event, settings.format, &*documents);
            // One that can't be started now can't be for the next event either.
            let (child, bystander) = settings.start(&message).map_err(Undelivered::down)?;
            let ended = settings.accompany(child, &message).await;
            drop(bystander);
            ended.map_err(Undelivered::for_now)
        })
    }
}

impl CommandSettings {
    fn command(&self, message: &Message) -> Option<Command> {
        let (program, arguments) = self.words.split_first()?;
        let mut command = Command::new(program);
        let passed_on = PASSED_ON.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let own: [(&str, Option<OsString>); 4] = [
            ("ACTIOND_EVENT", Some(message.event.into())),
            ("ACTIOND_EVENT_ID", Some((&*message.id).into())),
            ("ACTIOND_QUEUE", Some((&*message.queue).into())),
            ("ACTIOND_TOKEN", message.token.as_deref().map(Into::into)),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
        command.args(arguments).env_clear().envs(passed_on).envs(own);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        Some(command)
    }

    fn start(&self, message: &Message) -> Result<(Child, Bystander), String> {
        let mut command = self.command(message).ok_or("there is no program")?;
        Bystander::spawn(&mut command)
            .map_err(|error| format!("the program can't be started: {error}"))
    }

    /// Feeds a program, and waits for its end.
    async fn accompany(&self, mut child: Child, message: &Message) -> Result<(), String> {
        let mut group = Group::of(&child).ok_or("the program can't be watched")?;
        let leader = group.id;
        let mut errors = Vec::new();
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // It need not read it.
                let _ = stdin.write_all(&message.body).await;
            }
        };
        let is_over = {
            let hear = hear(stderr, &mut errors);
            let mut talk = std::pin::pin!(async { tokio::join!(feed, hear) });
            let mut ended = std::pin::pin!(tokio::time::timeout(self.timeout, ended(leader)));
            let mut is_silent = false;
            let in_time = loop {
                tokio::select! {
                    in_time = &mut ended => break in_time.is_ok(),
                    _ = &mut talk, if !is_silent => is_silent = true,
                }
            };
            group.kill();
            if !is_silent {
                let _ = tokio::time::timeout(LEFT_WITHIN, talk).await;
            }
            !in_time
        };
        group.let_go();
        let status =
            child.wait().await.map_err(|error| format!("its end is not known: {error}"))?;
        if is_over {
            let seconds = self.timeout.as_secs();
            return Err(format!(
                "the program took longer than TimeoutSecs={seconds} and was killed"
            ));
        }
        match status.code() {
            Some(code) if self.success.contains(&code) => Ok(()),
            _ => Err(told(status, &errors)),
        }
    }
}

/// The process group of a program. All of it is killed when this is dropped, unless the program was waited for.
struct Group {
    id: Pid,
    /// True until its leader is waited for: the number is still its own.
    is_held: bool,
}

impl Group {
    fn of(child: &Child) -> Option<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok())?;
        Pid::from_raw(id).map(|id| Self { id, is_held: true })
    }

    /// Kills nothing any more: its leader is about to be waited for.
    const fn let_go(&mut self) {
        self.is_held = false;
    }

    fn kill(&self) {
        if self.is_held
            && let Err(error) = kill_process_group(self.id, Signal::KILL)
            && error != Errno::SRCH
        {
            log::warn!("process group {} can't be killed: {error}", self.id.as_raw_pid());
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns once this child has ended. It keeps its number: it is not waited for.
async fn ended(child: Pid) {
    let wait = move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(child), options), Err(Errno::INTR)) {}
    };
    let _ = tokio::task::spawn_blocking(wait).await;
}

/// Reads to the end, and keeps what comes last.
async fn hear(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut piece = vec![0; MAX_ERRORS];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        kept.extend_from_slice(piece.get(..read).unwrap_or_default());
        let too_many = kept.len().saturating_sub(MAX_ERRORS);
        kept.drain(..too_many);
    }
}

/// Returns how a program ended, with the last line that it said.
fn told(status: ExitStatus, errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    let last: Option<String> = last.map(|line| line.chars().take(MAX_TOLD).collect());
    let said = last.map(|line| format!(": {}", actiond_actors::OneLine(&line)));
    format!("the program ended with {status}{}", said.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::testing::{Plain, event};
    use super::*;

    async fn run(directory: &Path, script: &str, timeout: Duration) -> Result<(), String> {
        let settings = CommandSettings {
            words: ["sh", "-c", script].map(str::to_owned).to_vec(),
            directory: Some(directory.to_owned()),
            format: Format::Xml,
            timeout,
            success: vec![0, 3],
        };
        let handler = CommandHandler::new(settings, Arc::new(Plain));
        handler.deliver(event(7)).await.map_err(|failed| {
            assert!(failed.may_retry);
            failed.error
        })
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_program_reads_the_event_and_knows_what_it_is() {
        let home = tempfile::tempdir().unwrap();
        let script = "cat >body; echo $ACTIOND_EVENT $ACTIOND_EVENT_ID $ACTIOND_QUEUE $ACTIOND_TOKEN >about; echo much; exit 3";
        assert_eq!(run(home.path(), script, LONG).await, Ok(()));
        let read = |name| fs::read_to_string(home.path().join(name)).unwrap();
        assert_eq!(read("body"), "<event>7</event>");
        let about = format!("OnFinish {} Process token7\n", event(7).message_id());
        assert_eq!(read("about"), about);
        // One that does not read it has seen it, too.
        assert_eq!(run(home.path(), "exec <&-; exit 0", LONG).await, Ok(()));
    }

    #[tokio::test]
    async fn a_failure_is_told_with_the_last_line() {
        let home = tempfile::tempdir().unwrap();
        let error = run(home.path(), "echo first >&2; echo 'no luck' >&2; exit 7", LONG).await;
        assert_eq!(error.unwrap_err(), "the program ended with exit status: 7: no luck");
        let error = run(home.path(), "kill -9 $$", LONG).await.unwrap_err();
        assert!(error.starts_with("the program ended with signal: 9"), "{error}");
        let error = run(&home.path().join("none"), "exit 0", LONG).await.unwrap_err();
        assert!(error.starts_with("the program can't be started: "), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nothing_of_a_program_outlives_its_time_or_its_end() {
        let home = tempfile::tempdir().unwrap();
        let mark = home.path().join("alive");
        for (script, timeout) in [
            ("sleep 1000 & echo $! >alive; wait", Duration::from_millis(300)),
            ("sleep 1000 & echo $! >alive; exit 0", LONG),
        ] {
            let ended = run(home.path(), script, timeout).await;
            assert_eq!(ended.is_ok(), timeout == LONG, "{ended:?}");
            if let Err(error) = ended {
                assert!(error.contains("took longer than TimeoutSecs"), "{error}");
            }
            let child: i32 = fs::read_to_string(&mark).unwrap().trim().parse().unwrap();
            let child = Pid::from_raw(child).unwrap();
            // An orphan may be a zombie until whoever adopted it looks.
            let stat = || fs::read_to_string(format!("/proc/{}/stat", child.as_raw_pid()));
            let is_gone = || stat().map_or(true, |stat| stat.contains(") Z "));
            tokio::time::timeout(LONG, async {
                while !is_gone() {
                    tokio::task::yield_now().await;
                }
            })
            .await
            .expect("the child of the program ends with it");
        }
    }
}
