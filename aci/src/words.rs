//! Words of requests and of configuration files: truth values, lists with commas, and names that may be mistyped. Also the
//! shortening of what was read, for messages that repeat it.

use std::borrow::Cow;

/// Number of characters to which values and names from outside are cut before a reply or the log repeats them.
pub const SHOWN_CHARACTERS: usize = 100;

/// Number of bytes up to which names are compared with others: no longer one is known.
const LONGEST_NAME: usize = 64;

/// Reads `true`, `yes`, `1` or `false`, `no`, `0`, in any case: the truth values of requests.
///
/// ```
/// use actiond_aci::words::parse_bool;
/// assert_eq!(parse_bool(" Yes"), Some(true));
/// assert_eq!(parse_bool("on"), None);
/// ```
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    truth(text, &["true", "yes", "1"], &["false", "no", "0"])
}

/// Reads what [`parse_bool`] does, and `on`, `y` or `off`, `n`: the truth values of configuration files.
#[must_use]
pub fn parse_switch(text: &str) -> Option<bool> {
    parse_bool(text).or_else(|| truth(text, &["on", "y"], &["off", "n"]))
}

fn truth(text: &str, yes: &[&str], no: &[&str]) -> Option<bool> {
    let text = text.trim();
    if find_word(yes, text).is_some() { Some(true) } else { find_word(no, text).map(|_| false) }
}

/// Finds a word in any case, and returns it in the spelling of the table.
#[must_use]
pub fn find_word<'a>(words: &[&'a str], text: &str) -> Option<&'a str> {
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(text))
}

/// Goes through the words between commas, without white space around them; empty ones are skipped.
///
/// ```
/// let words: Vec<_> = actiond_aci::words::list("queued,, running ").collect();
/// assert_eq!(words, ["queued", "running"]);
/// ```
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// Splits a list whose items may hold commas, at those that belong to none.
///
/// White space around an item is dropped, empty items are left out. `\,` stands for a comma within an item. An item
/// in double quotes is taken as it is; `\"` and `""` within it stand for one quote. Any other backslash is one.
///
/// ```
/// let items = actiond_aci::words::quoted_list(r#"/a, "/b,c", /d\,e"#).unwrap();
/// assert_eq!(items, ["/a", "/b,c", "/d,e"]);
/// ```
///
/// # Errors
/// The text says what is wrong, in words that can follow the list's name: a quote that is not closed, text beside a quoted
/// item, or no item at all.
pub fn quoted_list(text: &str) -> Result<Vec<String>, &'static str> {
    let mut items = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some(mut quoted) = rest.strip_prefix('"') else {
            let mut item = String::new();
            loop {
                let (part, after) = match rest.split_once(',') {
                    Some((part, after)) => (part, Some(after)),
                    None => (rest, None),
                };
                rest = after.unwrap_or_default();
                match (part.strip_suffix('\\'), after) {
                    (Some(part), Some(_)) => {
                        item.push_str(part);
                        item.push(',');
                    }
                    _ => {
                        item.push_str(part);
                        break;
                    }
                }
            }
            if item.contains('"') {
                return Err("has a double quote within an item");
            }
            let item = item.trim_end();
            if !item.is_empty() {
                items.push(item.to_owned());
            }
            rest = rest.trim_start();
            continue;
        };
        let mut item = String::new();
        loop {
            let Some((part, after)) = quoted.split_once('"') else {
                return Err("has a double quote that is not closed");
            };
            if let Some(part) = part.strip_suffix('\\') {
                item.push_str(part);
                item.push('"');
                quoted = after;
                continue;
            }
            item.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    item.push('"');
                    quoted = more;
                }
                None => {
                    quoted = after.trim_start();
                    break;
                }
            }
        }
        rest = match quoted.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if quoted.is_empty() => "",
            None => return Err("has text after a quoted item"),
        };
        if !item.is_empty() {
            items.push(item);
        }
    }
    if items.is_empty() { Err("has no item") } else { Ok(items) }
}

/// Finds the known name that is most like a mistyped one: at most a third of its letters are wrong, missing, too many, or
/// swapped with their neighbour. Names of more than 64 bytes are like no other.
///
/// ```
/// use actiond_aci::words::nearest;
/// assert_eq!(nearest("tokne", ["Token", "QueueName"]), Some("Token"));
/// ```
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let limit = name.chars().count().div_ceil(3);
    known
        .into_iter()
        .filter(|known| known.len() <= LONGEST_NAME)
        .map(|known| (distance(name, known), known))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Counts the letters to change, add, drop or swap with their neighbour to make one text of the other, case aside (the
/// restricted Damerau-Levenshtein distance).
fn distance(one: &str, other: &str) -> usize {
    strsim::osa_distance(&one.to_lowercase(), &other.to_lowercase())
}

/// Cuts a text from outside to [`SHOWN_CHARACTERS`], with `...` for what is left out.
#[must_use]
pub fn shorten(text: &str) -> Cow<'_, str> {
    match first(text, SHOWN_CHARACTERS) {
        Some(head) => Cow::Owned(format!("{head}...")),
        None => Cow::Borrowed(text),
    }
}

/// Returns so many characters of a text that has more.
pub(crate) fn first(text: &str, characters: usize) -> Option<&str> {
    text.char_indices().nth(characters).and_then(|(at, _)| text.get(..at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_split_at_commas_outside_of_quotes() {
        let table: [(&str, Result<&[&str], &str>); 20] = [
            ("a,b", Ok(&["a", "b"])),
            (r"a\,b,c", Ok(&["a,b", "c"])),
            (r" a\, b\,,c\,", Ok(&["a, b,", "c,"])),
            (r"a\b\\c,d\", Ok(&[r"a\b\\c", r"d\"])),
            (r#""\"a\"","b""#, Ok(&["\"a\"", "b"])),
            (r#""\"a, \"\"""#, Ok(&["\"a, \"\""])),
            (r#""a\b,c""#, Ok(&[r"a\b,c"])),
            (r#""a\",b"#, Err("has a double quote that is not closed")),
            (r#"\"a\""#, Err("has a double quote within an item")),
            (r#"<a b=\"c\">"#, Err("has a double quote within an item")),
            (r#""<a b=\"c\">","<d>""#, Ok(&["<a b=\"c\">", "<d>"])),
            (" a b ,, c ,", Ok(&["a b", "c"])),
            ("\" a,b \" , c", Ok(&[" a,b ", "c"])),
            ("\"say \"\"x\"\"\"", Ok(&["say \"x\""])),
            ("\"\",a", Ok(&["a"])),
            ("", Err("has no item")),
            ("\"\"", Err("has no item")),
            ("a\"b", Err("has a double quote within an item")),
            ("\"a\"b", Err("has text after a quoted item")),
            ("a,\"b\"\"", Err("has a double quote that is not closed")),
        ];
        for (text, want) in table {
            let want = want.map(|items| items.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(quoted_list(text), want, "{text:?}");
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["QueueName", "QueueAction", "Token", "Sort-By"];
        let table = [
            ("queuename", Some("QueueName")),
            ("QueName", Some("QueueName")),
            ("Tokne", Some("Token")),
            ("Toke", Some("Token")),
            ("SortBy", Some("Sort-By")),
            ("x", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
        assert_eq!(
            (distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")),
            (3, 3, 3)
        );
    }

    #[test]
    fn distances() {
        let table = [
            ("", "", 0),
            ("port", "PORT", 0),
            ("Prot", "Port", 1),
            ("Por", "Port", 1),
            ("Porrt", "Port", 1),
            ("Pirt", "Port", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("MaxThreads", "MaximumThreads", 4),
            ("ca", "abc", 3),
        ];
        for (a, b, want) in table {
            assert_eq!((distance(a, b), distance(b, a)), (want, want), "{a} {b}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shorten("short"), "short");
        assert_eq!(shorten(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(shorten(&"é".repeat(101)), format!("{}...", "é".repeat(100)));
    }

    proptest! {
        #[test]
        fn quoted_items_come_back(items in proptest::collection::vec("[^\r\n\\\\]{1,10}", 1..5)) {
            let quoted: Vec<_> =
                items.iter().map(|item| format!("\"{}\"", item.replace('"', "\"\""))).collect();
            prop_assert_eq!(&quoted_list(&quoted.join(",")), &Ok(items.clone()));
            let escaped: Vec<_> =
                items.iter().map(|item| format!("\"{}\"", item.replace('"', "\\\""))).collect();
            prop_assert_eq!(quoted_list(&escaped.join(",")), Ok(items));
        }

        #[test]
        fn distance_is_a_measure(a in "[abcé]{0,6}", b in "[abcé]{0,6}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            let (long, short) = (a.chars().count().max(b.chars().count()), a.chars().count().min(b.chars().count()));
            prop_assert!((long - short..=long).contains(&distance(&a, &b)));
        }
    }
}
