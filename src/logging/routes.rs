//! Which streams take a line: each type of lines is a bit.

use std::collections::HashMap;

use super::settings::StreamSettings;
use super::{ACTION_TYPE, APPLICATION_TYPE};

/// The bit of [`APPLICATION_TYPE`].
pub(super) const APPLICATION: u64 = 1;
/// The bit of [`ACTION_TYPE`].
pub(super) const ACTION: u64 = 1 << 1;

/// The ways of lines to streams.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// The types that any stream takes.
    pub(super) taken: u64,
    /// By their names in lower case.
    queues: HashMap<String, OfQueue>,
}

/// The way of lines about actions of one queue.
#[derive(Debug)]
pub(super) struct OfQueue {
    /// The bits of the types that streams name; 0 if none does.
    own: u64,
    /// The name of the first of its types, in lower case.
    kind: String,
}

impl OfQueue {
    /// Returns the bits of the types of its kind that streams name.
    pub(super) const fn own(&self) -> u64 {
        self.own
    }

    /// Returns the bits and the name of the type of lines that its actions cause. What no stream takes by its own type is of the
    /// application, so that nothing is lost.
    pub(super) fn of_lines(&self) -> (u64, &str) {
        match self.own {
            0 => (APPLICATION, &self.kind),
            own => (own, &self.kind),
        }
    }
}

impl Routes {
    /// Makes the ways to these streams, and the bits that each of them takes. `queues` have the types of lines about their actions.
    pub(super) fn new<'a>(
        streams: &[StreamSettings],
        queues: impl IntoIterator<Item = (&'a str, Vec<&'static str>)>,
    ) -> (Self, Vec<u64>) {
        let mut names = vec![APPLICATION_TYPE.to_owned(), ACTION_TYPE.to_owned()];
        for name in streams.iter().flat_map(|stream| &stream.types) {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.clone());
            }
        }
        // There are not as many kinds of action as bits.
        let bit = |name: &str| {
            let at = names.iter().position(|known| known.eq_ignore_ascii_case(name));
            let at = at.and_then(|at| u32::try_from(at).ok());
            at.and_then(|at| 1_u64.checked_shl(at)).unwrap_or_default()
        };
        let takes: Vec<u64> = streams
            .iter()
            .map(|stream| stream.types.iter().fold(0, |bits, name| bits | bit(name)))
            .collect();
        let of_queue = |types: Vec<&'static str>| OfQueue {
            own: types.iter().fold(0, |bits, name| bits | bit(name)),
            kind: types.first().copied().unwrap_or(APPLICATION_TYPE).to_ascii_lowercase(),
        };
        let queues = queues.into_iter();
        let queues = queues.map(|(name, types)| (name.to_ascii_lowercase(), of_queue(types)));
        let taken = takes.iter().fold(0, |all, bits| all | bits);
        (Self { taken, queues: queues.collect() }, takes)
    }

    /// Returns the way of lines about actions of this queue.
    pub(super) fn queue(&self, name: &str) -> Option<&OfQueue> {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.queues.get(&name.to_ascii_lowercase());
        }
        self.queues.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::testing::settings;

    #[test]
    fn a_line_goes_to_the_streams_that_name_its_type_and_else_to_the_application() {
        let stream = |types: &[&str]| StreamSettings {
            types: types.iter().map(ToString::to_string).collect(),
            ..settings("a")
        };
        let streams =
            [stream(&["application"]), stream(&["action", "fetch"]), stream(&["SYNCHRONIZE"])];
        let queues = [("Fetch", vec!["fetch", "synchronize"]), ("Run", vec!["Command"])];
        let (routes, takes) = Routes::new(&streams, queues);
        let takers = |bits: u64| -> Vec<usize> {
            takes
                .iter()
                .enumerate()
                .filter(|(_, takes)| *takes & bits != 0)
                .map(|(at, _)| at)
                .collect()
        };
        let fetch = routes.queue("FETCH").unwrap();
        assert_eq!((takers(fetch.of_lines().0), fetch.of_lines().1), (vec![1, 2], "fetch"));
        let run = routes.queue("run").unwrap();
        assert_eq!((takers(run.of_lines().0), run.of_lines().1), (vec![0], "command"));
        assert_eq!(run.own(), 0);
        assert_eq!((takers(APPLICATION), takers(ACTION)), (vec![0], vec![1]));
        assert!(routes.queue("Other").is_none());
        assert_eq!(routes.taken, takes.iter().fold(0, |all, bits| all | bits));
    }
}
