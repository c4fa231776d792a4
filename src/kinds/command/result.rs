//! The result of a program: XML elements, a JSON object, or text.

use actiond_actors::{Node, Report};

use crate::kinds::results;
pub(super) use crate::kinds::results::Form;

/// Bytes of which only the first may have been kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    pub(super) is_cut: bool,
}

impl Kept {
    /// Adds bytes, so that there are at most this many.
    pub(super) fn add(&mut self, bytes: &[u8], most: usize) {
        let left = most.saturating_sub(self.bytes.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at(left);
        self.bytes.extend_from_slice(taken);
        self.is_cut |= !rest.is_empty();
    }
}

/// Returns the result that a program gave in these bytes; empty if they are only white space. What was cut is text.
pub(super) fn read(Kept { bytes, is_cut }: &Kept, form: Form) -> Report {
    if !*is_cut {
        return results::read(bytes, form);
    }
    let text = String::from_utf8_lossy(valid_part(bytes));
    vec![Node::text(results::OUTPUT, text), Node::text("output_truncated", "true")]
}

/// Leaves out a character at the end of which only some bytes are there.
fn valid_part(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).unwrap_or(bytes)
        }
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_is_never_parsed() {
        let mut kept = Kept::default();
        kept.add("<a/><b>ö</b>".as_bytes(), 8);
        let note = Node::text("output_truncated", "true");
        assert_eq!(read(&kept, Form::Any), [Node::text(results::OUTPUT, "<a/><b>"), note]);
        let mut kept = Kept::default();
        kept.add(b"<a", 4);
        kept.add(b"/>", 4);
        assert!(!kept.is_cut);
        kept.add(b"x", 4);
        assert!(kept.is_cut && kept.bytes == b"<a/>");
    }
}
