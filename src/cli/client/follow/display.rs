//! Progress on a terminal as a bar, and elsewhere as lines, few of them.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::session::say;
use super::super::show::{painted, style};
use super::shown::Shown;

/// The steps of a bar: a tenth of a percent each.
const STEPS: u64 = 1000;

/// The bar: how far it is, the percentage, and the words. Colours are left out with `NO_COLOR`.
const BAR: &str = "{prefix} {bar:24} {wide_msg}";

/// The same where nobody knows how far it is.
const SPINNER: &str = "{prefix} {spinner} {wide_msg}";

/// The place where progress is shown: the standard error.
pub(super) struct Display {
    /// Missing while nothing is drawn.
    bar: Option<ProgressBar>,
    is_terminal: bool,
    last: Option<Shown>,
}

impl Display {
    pub(super) fn new() -> Self {
        let is_terminal = !ProgressDrawTarget::stderr().is_hidden();
        Self { bar: None, is_terminal, last: None }
    }

    /// Returns true if somebody looks at it.
    pub(super) const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    pub(super) fn show(&mut self, shown: &Shown) {
        // The result says it.
        if shown.status.has_ended() {
            return self.end();
        }
        if !self.is_terminal {
            if shown.is_news(self.last.as_ref()) {
                say(&shown.line());
                self.last = Some(shown.clone());
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr())
        });
        let template = if shown.percent.is_some() { BAR } else { SPINNER };
        // The templates are ours, and good.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        let percent = shown.percent.unwrap_or(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between 0 and 1000"
        )]
        bar.set_position((percent * 10.0) as u64);
        let words = [shown.stages.as_str(), shown.rest.as_str()];
        let words: Vec<_> = words.into_iter().filter(|words| !words.is_empty()).collect();
        let words = words.join(", ");
        bar.set_prefix(match console_has_colours() {
            true => painted(&shown.status.to_string(), style(&shown.status)),
            false => shown.status.to_string(),
        });
        bar.set_message(match shown.percent {
            Some(percent) if words.is_empty() => format!("{percent:.0} %"),
            Some(percent) => format!("{percent:.0} %  {words}"),
            None => words,
        });
        bar.tick();
    }

    /// Says something that is no progress.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn console_has_colours() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}
