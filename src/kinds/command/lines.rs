//! The lines of a stream, of bounded length, and what a program says in them.

use actiond_actors::{Progress, Stage, StageStatus};

/// The start of a line of the error output that is meant for the server.
const MARK: &[u8] = b"actiond:";

/// Number of bytes of any other line that are kept.
pub(super) const MAX_LINE: usize = 1_000;

/// The length of a title in characters that is shown.
pub(super) const MAX_TITLE: usize = 200;

/// The title of what has none.
const UNTITLED: &str = "Progress";

/// Cuts a stream into lines. Line feeds and carriage returns end one, empty ones are left out.
#[derive(Debug)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// Number of bytes of a line for the server that are kept.
    max_told: usize,
    /// Every line is for the server, not only those with the mark.
    is_told: bool,
    is_cut: bool,
}

/// A line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its bytes, at most as many as are kept.
    pub(super) bytes: &'a [u8],
    /// What it tells the server, if it is for that.
    pub(super) told: Option<&'a [u8]>,
    /// It was longer.
    pub(super) is_cut: bool,
}

impl Lines {
    /// Makes a cutter for the error output.
    pub(super) const fn of_errors(max_told: usize) -> Self {
        Self { line: Vec::new(), max_told, is_told: false, is_cut: false }
    }

    /// Makes a cutter for a stream that is for the server alone.
    pub(super) const fn of_progress(max_told: usize) -> Self {
        Self { line: Vec::new(), max_told, is_told: true, is_cut: false }
    }

    /// Takes the next bytes of the stream, and shows each line that they end.
    pub(super) fn push(&mut self, bytes: &[u8], mut show: impl FnMut(Line<'_>)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, behind) = rest.split_at(end);
            self.add(line);
            self.end(&mut show);
            rest = behind.get(1..).unwrap_or_default();
        }
        self.add(rest);
    }

    /// Shows the last line, which has no end.
    pub(super) fn end(&mut self, mut show: impl FnMut(Line<'_>)) {
        if !self.line.is_empty() {
            let bytes = &self.line[..];
            let marked = bytes.strip_prefix(MARK).map(<[u8]>::trim_ascii_start);
            let told = marked.or(self.is_told.then_some(bytes));
            show(Line { bytes, told, is_cut: self.is_cut });
        }
        self.line.clear();
        self.line.shrink_to(MAX_LINE);
        self.is_cut = false;
    }

    /// Adds bytes to the line, as many as are kept.
    fn add(&mut self, mut bytes: &[u8]) {
        // The first bytes say how many are kept.
        let first = MAX_LINE.saturating_sub(self.line.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at(first);
        self.line.extend_from_slice(taken);
        bytes = rest;
        let is_told = self.is_told || self.line.starts_with(MARK);
        let most = if is_told { self.max_told.max(MAX_LINE) } else { MAX_LINE };
        let more = most.saturating_sub(self.line.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at(more);
        self.line.extend_from_slice(taken);
        self.is_cut |= !rest.is_empty();
    }
}

/// What a program tells the server.
#[derive(Debug, PartialEq)]
pub(super) enum Told<'a> {
    Progress(Progress),
    /// A partial result, as XML or text.
    Partial(&'a [u8]),
}

/// Reads what a line tells; `None` if it tells nothing that is known.
pub(super) fn read(line: &[u8]) -> Option<Told<'_>> {
    let (word, rest) = match line.iter().position(u8::is_ascii_whitespace) {
        Some(at) => line.split_at(at),
        None => (line, &[][..]),
    };
    match word {
        b"progress" => progress(std::str::from_utf8(rest).ok()?.trim()).map(Told::Progress),
        b"partial" => Some(Told::Partial(rest.trim_ascii_start())),
        _ => None,
    }
}

/// Reads `42`, `42 Title`, `3/10` or `3/10 Title`.
fn progress(text: &str) -> Option<Progress> {
    let (figure, title) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let title: String = title.trim().chars().take(MAX_TITLE).collect();
    let shown = if title.is_empty() { UNTITLED } else { &title };
    let stage = || Stage::new(shown).at(StageStatus::Processing);
    let Some((done, all)) = figure.split_once('/') else {
        let percent = plain(figure.strip_suffix('%').unwrap_or(figure))?;
        return Some(match title.is_empty() {
            true => Progress::of_percent(percent),
            false => Progress::of_stages(vec![stage().percent(percent)]),
        });
    };
    let count = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok());
    let (done, all): (u64, u64) = (count(done)??, count(all)??);
    (done <= all).then(|| Progress::of_stages(vec![stage().counted(done, all)]))
}

/// Reads a number from 0 to 100.
fn plain(text: &str) -> Option<f64> {
    let is_plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = is_plain.then(|| text.parse().ok())??;
    (0.0..=100.0).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(lines: &mut Lines, chunks: &[&[u8]]) -> Vec<(String, Option<String>, bool)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut all = Vec::new();
        let mut show = |line: Line<'_>| {
            all.push((text(line.bytes), line.told.map(text), line.is_cut));
        };
        for chunk in chunks {
            lines.push(chunk, &mut show);
        }
        lines.end(&mut show);
        all
    }

    #[test]
    fn a_stream_is_cut_into_lines() {
        let plain = |line: &str| (line.to_owned(), None, false);
        let told = |line: &str, told: &str| (line.to_owned(), Some(told.to_owned()), false);
        let errors = || Lines::of_errors(5_000);
        let got = cut(&mut errors(), &[b"a\nb", b"c\r\n\n\rd\re"]);
        assert_eq!(got, ["a", "bc", "d", "e"].map(plain));
        assert!(cut(&mut errors(), &[b"", b"\n\n"]).is_empty());
        let got = cut(&mut errors(), &[b"actio", b"nd: x y\n actiond:z\nactiond:w"]);
        assert_eq!(got, [told("actiond: x y", "x y"), plain(" actiond:z"), told("actiond:w", "w")]);
        let got = cut(&mut Lines::of_progress(5_000), &[b"a b\nactiond:c\n"]);
        assert_eq!(got, [told("a b", "a b"), told("actiond:c", "c")]);
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let block = vec![b'x'; 1 << 16];
        for (mut lines, start, most) in [
            (Lines::of_errors(50_000), "", MAX_LINE),
            (Lines::of_errors(50_000), "actiond:", 50_000),
            (Lines::of_progress(50_000), "", 50_000),
        ] {
            lines.push(start.as_bytes(), |_| panic!("there is no line yet"));
            for _ in 0..1_000 {
                lines.push(&block, |_| panic!("there is no line yet"));
                assert!(lines.line.capacity() <= 2 * most.max(MAX_LINE));
            }
            let got = cut(&mut lines, &[b"\nshort"]);
            assert_eq!((got[0].0.len(), got[0].2), (most, true));
            assert_eq!((got[1].0.as_str(), got[1].2), ("short", false));
            assert!(lines.line.capacity() <= MAX_LINE);
        }
    }

    #[test]
    fn progress_is_read_and_nonsense_is_not() {
        let stage = || Stage::new("Encoding the film").at(StageStatus::Processing);
        for (line, expected) in [
            ("progress 42", Progress::of_percent(42.0)),
            ("progress  7.5% ", Progress::of_percent(7.5)),
            ("progress\t100", Progress::of_percent(100.0)),
            ("progress 42 Encoding the film", Progress::of_stages(vec![stage().percent(42.0)])),
            ("progress 3/10 Encoding the film", Progress::of_stages(vec![stage().counted(3, 10)])),
            (
                "progress 0/0",
                Progress::of_stages(vec![
                    Stage::new(UNTITLED).at(StageStatus::Processing).counted(0, 0),
                ]),
            ),
        ] {
            assert_eq!(read(line.as_bytes()), Some(Told::Progress(expected)), "{line}");
        }
        for line in [
            "progress",
            "progress x",
            "progress 101",
            "progress -1",
            "progress NaN",
            "progress 1e1",
            "progress 11/10",
            "progress 1/",
            "progress /1",
            "progress 1/2/3",
            "progress 1/-2",
            "progres 1",
            "Progress 1",
            "",
            "progress 99999999999999999999/99999999999999999999",
        ] {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
        assert_eq!(read(b"progress \xFF"), None);
        assert_eq!(read(b"partial <a/> b"), Some(Told::Partial(b"<a/> b")));
        assert_eq!(read(b"partial"), Some(Told::Partial(b"")));
        let long = format!("progress 1 {}", "ö".repeat(1_000));
        let Some(Told::Progress(progress)) = read(long.as_bytes()) else { panic!("it is one") };
        assert_eq!(progress.stages[0].title.chars().count(), MAX_TITLE);
    }
}
