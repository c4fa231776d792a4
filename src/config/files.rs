//! The texts that make a configuration: that of the file itself, and those of the files that it includes.

use std::collections::{HashMap, VecDeque};

use super::MAX_FILE_BYTES;
use super::findings::Findings;
use super::lines::{self, Content};

/// Largest number of files that one configuration includes.
const MAX_INCLUDED: usize = 100;

/// Reads a file that is included, by the path that the line gives.
pub(super) type ReadIncluded<'a> = dyn Fn(&str) -> Included + 'a;

/// A file that is included.
#[derive(Debug)]
pub(super) struct Included {
    /// Its path, for messages.
    pub(super) name: String,
    /// Its text, or why there is none.
    pub(super) text: Result<String, String>,
}

/// All texts; the first is that of the file itself.
#[derive(Debug)]
pub(super) struct Files<'m> {
    main: &'m str,
    included: Vec<Included>,
    /// Their numbers, from 1, by the paths that the lines give.
    numbers: HashMap<String, usize>,
}

impl<'m> Files<'m> {
    /// Reads all files that are included, by the file itself or by one of them. `findings` learns their names.
    pub(super) fn gather(main: &'m str, read: &ReadIncluded<'_>, findings: &mut Findings) -> Self {
        let mut files = Self { main, included: Vec::new(), numbers: HashMap::new() };
        let mut bytes = main.len();
        let mut wanted = VecDeque::from(includes_of(main));
        while let Some(path) = wanted.pop_front() {
            if files.numbers.contains_key(&path) {
                continue;
            }
            let mut file = if files.included.len() < MAX_INCLUDED {
                read(&path)
            } else {
                let text = Err(format!("more than {MAX_INCLUDED} files are included"));
                Included { name: path.clone(), text }
            };
            bytes = bytes.saturating_add(file.text.as_ref().map_or(0, String::len));
            if bytes > MAX_FILE_BYTES {
                let most =
                    format!("all files of a configuration have at most {MAX_FILE_BYTES} bytes");
                file.text = Err(most);
            }
            if let Ok(text) = &file.text {
                wanted.extend(includes_of(text));
            }
            findings.add_file(&file.name);
            files.included.push(file);
            files.numbers.insert(path, files.included.len());
        }
        files
    }

    /// Returns the number of an included file.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        self.numbers.get(path).copied()
    }

    /// Returns the number of all files, with the file itself.
    pub(super) fn count(&self) -> usize {
        1 + self.included.len()
    }

    /// Returns the text of a file by its number, or why there is none.
    pub(super) fn text(&self, number: usize) -> Result<&str, &str> {
        let Some(index) = number.checked_sub(1) else { return Ok(self.main) };
        match self.included.get(index).map(|file| &file.text) {
            Some(Ok(text)) => Ok(text),
            Some(Err(reason)) => Err(reason),
            None => Err("it was not read"),
        }
    }
}

/// Returns the lines of a text as the reader takes them, without the white space around them.
pub(super) fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim)
}

fn includes_of(text: &str) -> Vec<String> {
    let include = |line| match lines::read(line) {
        Ok(Some(
            Content::Header(_, Some(include))
            | Content::Include(include)
            | Content::Taken(_, include),
        )) => Some(include.file.to_owned()),
        _ => None,
    };
    lines_of(text).filter_map(include).collect()
}
