//! The diary of an action: what was really done for it, in the order in which it was done, by whichever server's program. Each
//! line is written at once, at the end of the file.
//!
//! | line | who writes it, and when |
//! |---|---|
//! | `begin ATTEMPT PID` | a program, first of all |
//! | `end ATTEMPT PID` | a program, last of all |
//! | `cancelled` | a client whose cancel was accepted |

use std::fs::OpenOptions;
use std::io::Write as _;

use super::Place;

/// The program. Its arguments are the mark and the seconds that it takes.
pub(super) const SCRIPT: &str = r#"
diary="$D/diaries/$1"
echo "begin $ACTIOND_ATTEMPT $$" >> "$diary"
sleep "$2"
echo "end $ACTIOND_ATTEMPT $$" >> "$diary"
echo "<mark>$1</mark>"
"#;

/// Adds a line to the diary of the action of this mark.
pub(super) fn note(place: &Place, mark: &str, line: &str) {
    let path = place.directory().join("diaries").join(mark);
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.expect("a diary").write_all(format!("{line}\n").as_bytes()).expect("a line");
}

/// The words of each line of a diary.
pub(super) fn read(place: &Place, mark: &str) -> Vec<Vec<String>> {
    let path = place.directory().join("diaries").join(mark);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}
