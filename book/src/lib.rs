//! Builds the book of actiond, which is `docs/` of the repository, with mdBook as a library: nobody has to install it.
//!
//! `cargo run -p actiond-book` builds it into `target/book`. The tests check that every page is in it, and that every link leads
//! somewhere.

use std::path::{Path, PathBuf};

use mdbook_driver::MDBook;
pub use mdbook_driver::errors::Error;

/// Returns the root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Builds the book into this directory, whose earlier content is removed.
///
/// # Errors
///
/// A page can't be read, one that `SUMMARY.md` lists is not there, or the directory can't be written.
pub fn build(into: &Path) -> Result<(), Error> {
    let mut book = MDBook::load(env!("CARGO_MANIFEST_DIR"))?;
    book.config.build.build_dir = into.to_owned();
    book.build()
}
