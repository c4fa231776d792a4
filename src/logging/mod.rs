//! The streams of the log: files of lines by their types, beside the console.
//!
//! | module | contents |
//! |---|---|
//! | here | [`Streams`], where lines come in |
//! | `level` | the levels of lines |
//! | `settings` | what the configuration says of a stream |
//! | `channel` | the way of lines to the thread that writes them |
//! | `history` | the last lines, in memory |

pub(crate) mod channel;
mod history;
mod level;
mod settings;

use std::sync::Arc;

use arc_swap::ArcSwap;

use history::History;
pub use level::Level;
pub use settings::{ExpireAction, LogFormat, StreamSettings};

/// The streams of a log. All clones are the same ones.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<ArcSwap<Vec<Stream>>>);

/// One stream.
#[derive(Debug)]
struct Stream {
    name: String,
    history: Arc<History>,
}

impl Streams {
    /// Returns the names of the streams, in the order of the configuration.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.load().iter().map(|stream| stream.name.clone()).collect()
    }

    /// Returns the last lines of the stream of this name, up to `lines` of them, the oldest first; `None` if there is no such
    /// stream. They are those in memory (`LogHistorySize`): no file is read.
    #[must_use]
    pub fn tail(&self, name: &str, lines: usize) -> Option<Vec<String>> {
        let streams = self.0.load();
        let stream = streams.iter().find(|stream| stream.name.eq_ignore_ascii_case(name))?;
        Some(stream.history.tail(lines))
    }
}
