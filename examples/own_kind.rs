//! The program `actiond` with a kind of action of your own: queues with `Type=Greet` beside those that ship.
//!
//! ```sh
//! cat > greet.cfg <<END
//! [AsyncActions]
//! 0=Welcome
//! [Welcome]
//! Type=Greet
//! Salutation=Good morning
//! Guest0=Ada
//! Guest1=Grace
//! END
//! cargo run --example own_kind -- --config greet.cfg
//! curl "http://127.0.0.1:7000/action=Welcome&Mood=cheerful&Wait=60"
//! ```
//!
//! `own_kind config` prints its keys among the others, `own_kind config --config greet.cfg` what is in force, and
//! `action=Help` shows its parameters.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actiond::{
    ActionContext, ConfiguredQueue, ConfiguredQueues, Failure, Key, Kind, KindReader, Kinds, Node,
    OnRestart, ParamKind, ParamSpec, Perform, SectionReader, Site, ValueKind, Work,
};

const SALUTATION: &Key =
    &Key::required("Salutation", ValueKind::Text, "Hello", "What is said before each name.");

const GUESTS: &Key = &Key::numbered(
    "Guest0",
    ValueKind::Text,
    "Ada",
    "Who is greeted: Guest0, Guest1 and so on. The default is nobody.",
);

const PAUSE: &Key = &Key::with_default(
    "PauseSecs",
    ValueKind::Seconds { max: 60 },
    "0",
    "How many seconds there are between two greetings.",
);

const PARAMS: &[ParamSpec] = &[ParamSpec::required(
    "Mood",
    ParamKind::OneOf(&["cheerful", "solemn"]),
    "How the greetings end.",
)];

/// `Type=Greet`.
#[derive(Debug)]
struct GreetKind;

impl Kind for GreetKind {
    fn word(&self) -> &'static str {
        "Greet"
    }

    fn summary(&self) -> &'static str {
        "Greets everybody on its list."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn on_restart(&self) -> OnRestart {
        // It does no harm to greet twice.
        OnRestart::Requeue
    }

    fn keys(&self) -> &'static [&'static Key] {
        &[SALUTATION, GUESTS, PAUSE]
    }

    fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues {
        config.each_queue(|section| Arc::new(Greet::read(section)))
    }
}

/// One queue of this kind. Its section is all that its actions need, so this is their performer too.
#[derive(Debug, Clone)]
struct Greet {
    salutation: String,
    guests: Vec<String>,
    pause: Duration,
}

impl Greet {
    fn read(section: &mut SectionReader<'_, '_>) -> Self {
        let greet = Self {
            salutation: section.text(SALUTATION).unwrap_or_default(),
            guests: section.texts(GUESTS),
            pause: section.seconds(PAUSE),
        };
        if greet.guests.is_empty() && section.gives(PAUSE) {
            section.warning(PAUSE, "has no effect: nobody is greeted");
        }
        greet
    }
}

impl ConfiguredQueue for Greet {
    fn performer(&self, _: &Site<'_>) -> Arc<dyn Perform> {
        Arc::new(self.clone())
    }
}

impl Perform for Greet {
    fn perform(&self, context: ActionContext) -> Work {
        let Self { salutation, guests, pause } = self.clone();
        Work::task(async move {
            let end = match context.parameters().get("Mood") {
                Some(mood) if mood.eq_ignore_ascii_case("cheerful") => "!",
                Some(_) => ".",
                None => {
                    return Err(Failure::failed("Mood is missing; allowed is cheerful, solemn"));
                }
            };
            let mut greetings = Vec::new();
            for guest in guests {
                greetings.push(Node::text("greeting", format!("{salutation}, {guest}{end}")));
                context.set_partial(greetings.clone());
                context.sleep(pause).await?;
            }
            Ok(greetings)
        })
    }

    fn can_pause(&self) -> bool {
        true
    }
}

fn main() -> ExitCode {
    match Kinds::shipped().with(GreetKind) {
        Ok(kinds) => actiond::run_with(kinds),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
