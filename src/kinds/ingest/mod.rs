//! Ingest: takes documents in, as a Connector Framework Server does, and writes each action's as
//! one batch of files that an index server or any other program can take over.
//!
//! `kind` reads the configuration and `documents` the parameters. `content` finds each document's text, in files that
//! `sources` opens, `write` makes the batch durable in the forms of `idx`, `limit` bounds its size, and `tally` counts. To run
//! an action twice gives one batch: that is why it may be requeued after a crash.

use std::collections::HashMap;
use std::path::PathBuf;

use actiond_actors::{
    ActionContext, Failure, OnRestart, Parameters, Perform, Progress, Report, Stage, StageStatus,
    Work,
};

use super::WorkContext;
use crate::aci::catalog::{ParamKind, ParamSpec};
use crate::documents::csv;
use crate::documents::document::{Document, DocumentSource, Documents};
use content::Extracted;
use sources::Sources;
use write::DocumentBatch;

pub use kind::{IngestKind, IngestSettings};

mod content;
mod idx;
mod kind;
mod limit;
mod sources;
#[cfg(unix)]
#[cfg(test)]
mod sources_tests;
mod tally;
#[cfg(test)]
mod tests;
mod write;

/// The parameters of an Ingest action; at least one of them is needed.
pub const PARAMS: &[ParamSpec] = &[
    ParamSpec::optional(
        "adds",
        ParamKind::Text,
        "Documents to add, in XML: adds/add/document with reference, metadata, pages, and a source.",
    ),
    ParamSpec::optional(
        "updates",
        ParamKind::Text,
        "Documents whose fields change, in XML: updates/update with reference and metadata.",
    ),
    ParamSpec::optional(
        "removes",
        ParamKind::Text,
        "References of documents to remove, separated by commas; one that holds a comma is put in double quotes.",
    ),
];

/// A form in which a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// `documents.idx`, the vendor's index format.
    Idx,
    /// `documents.jsonl`, one JSON object for each document.
    Json,
}

/// Options of Ingest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestOptions {
    /// The forms in which each batch is written.
    pub output: Vec<Output>,
    /// The directory for the batches; created when it is needed.
    pub directory: PathBuf,
    /// Bytes of text that are taken from one document's source; 0 for none.
    pub max_content_bytes: usize,
    /// Bytes that one action may write; an action that would write more fails.
    pub max_output_bytes: u64,
    /// The directories below which documents of clients may name files as their sources; none lets
    /// them name no file. What [`Fetch`](super::fetch::Fetch) has found in this system is read anyway.
    pub allowed_sources: Vec<PathBuf>,
    /// Directories from which nothing is read, with all below: where the server keeps its own data.
    /// `directory` is one of them in any case.
    pub avoided: Vec<PathBuf>,
}

/// The performer of Ingest actions.
#[derive(Debug, Clone)]
pub struct Ingest {
    options: IngestOptions,
}

impl Ingest {
    /// Makes a performer.
    #[must_use]
    pub const fn new(options: IngestOptions) -> Self {
        Self { options }
    }
}

impl Perform for Ingest {
    fn perform(&self, context: ActionContext) -> Work {
        let options = self.options.clone();
        Work::blocking(move || {
            let now = context.system().clock().now();
            let name = write::batch_name(context.id(), now);
            run(&options, context.queue_name(), context.parameters(), &name, &context)
        })
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Requeue
    }
}

/// Runs one action of this queue, whose batch has this name; its result is the tally of the documents.
fn run(
    options: &IngestOptions,
    queue: &str,
    parameters: &Parameters,
    name: &str,
    context: &dyn WorkContext,
) -> Result<Report, Failure> {
    publish(context, StageStatus::Processing, 0, 0);
    let given = Given::from(parameters)?;
    let mut documents = Vec::new();
    for (name, text) in [("adds", given.adds), ("updates", given.updates)] {
        if text.is_empty() {
            continue;
        }
        let wrong = |e| Failure::fatal(format!("{name}: {e}"));
        for document in Documents::new(text).map_err(wrong)? {
            documents.push(document.map_err(wrong)?);
            context.checkpoint()?;
        }
    }
    let removes = csv::read(given.removes).map_err(|e| Failure::fatal(format!("removes: {e}")))?;

    let fingerprint =
        write::fingerprint([given.adds, given.updates, given.removes].map(str::as_bytes));
    let sources = Sources::new(options, queue, parameters)?;
    let temporary = temporary_files(&documents);
    let written = match write::find(&options.directory, name, &fingerprint)? {
        Some(written) => written,
        None => {
            let (bytes, output) = (options.max_output_bytes, &options.output);
            let batch = DocumentBatch::begin(&options.directory, name, output, bytes, fingerprint)?;
            fill(batch, name, &sources, options.max_content_bytes, documents, &removes, context)?
                .commit()?
        }
    };
    // An earlier attempt may have ended between the commit and this. A source whose text was not extracted stays: there may
    // be no other copy.
    for (index, stamp) in written.temporary {
        if let Some(path) = temporary.get(&index) {
            sources.remove(path, stamp);
        }
    }
    Ok(written.tally.report())
}

/// Writes the documents into the batch, which has this name.
fn fill(
    mut batch: DocumentBatch,
    name: &str,
    sources: &Sources<'_>,
    max_content_bytes: usize,
    documents: Vec<Document>,
    removes: &[String],
    context: &dyn WorkContext,
) -> Result<DocumentBatch, Failure> {
    let all = documents.len() + removes.len();
    let mut done = 0;
    let mut left = 0_u64;
    let mut step = || {
        context.checkpoint()?;
        // Each figure is a small tree, so it is not made for each of a million references.
        if done % 64 == 0 {
            publish(context, StageStatus::Finished, done, all);
        }
        done += 1;
        Ok::<_, Failure>(())
    };
    for (index, mut document) in documents.into_iter().enumerate() {
        step()?;
        if content::holds_unused(&document) {
            batch.written().tally.unused(&document.reference);
        }
        let taken = content::extract(&mut document, index, sources, max_content_bytes);
        let (written, reference) = (batch.written(), &document.reference);
        let sections = match taken {
            Extracted::Text(sections, read) => {
                written.tally.good();
                written.temporary.extend(read.map(|stamp| (index, stamp)));
                sections
            }
            Extracted::Beginning { text, was_temporary } => {
                written.tally.cut();
                left += u64::from(was_temporary);
                vec![text]
            }
            Extracted::Update => {
                written.tally.good();
                Vec::new()
            }
            Extracted::Nothing(why) => {
                written.tally.without_content(reference, why.as_deref());
                Vec::new()
            }
            Extracted::Failed(why) => {
                written.tally.failed(reference, &why);
                Vec::new()
            }
        };
        batch.document(&document, &sections)?;
    }
    if left > 0 {
        log::warn!(
            "[{}] {name}: {left} temporary sources are left as they are: MaxContentSize let only the beginning of each be taken",
            sources.queue()
        );
    }
    if let Some(why) = batch.written().tally.total_failure() {
        log::warn!("[{}] {name}: {why}", sources.queue());
        // The sender may send them again; an index that got them would have empty documents.
        if removes.is_empty() {
            context.partial(batch.written().tally.report());
            return Err(Failure::failed(why));
        }
    }
    for reference in removes {
        step()?;
        batch.remove(reference)?;
    }
    // The last moment at which a stop can leave nothing behind.
    context.checkpoint()?;
    Ok(batch)
}

fn publish(context: &dyn WorkContext, parse: StageStatus, done: usize, all: usize) {
    let count = |n| u64::try_from(n).unwrap_or(u64::MAX);
    let write = match parse {
        StageStatus::Finished => {
            Stage::new("Write").at(StageStatus::Processing).counted(count(done), count(all))
        }
        _ => Stage::new("Write"),
    };
    context.progress(Progress::of_stages(vec![Stage::new("Parse").at(parse), write]));
}

/// The files that are to be deleted, by the indexes of their documents.
fn temporary_files(documents: &[Document]) -> HashMap<usize, PathBuf> {
    let sources = documents.iter().enumerate();
    sources
        .filter_map(|(index, document)| match &document.source {
            Some(DocumentSource::File { path, temporary: true }) => Some((index, path.clone())),
            _ => None,
        })
        .collect()
}

/// The parameters of an action; empty ones count as missing, since clients send `removes=` for nothing.
struct Given<'a> {
    adds: &'a str,
    updates: &'a str,
    removes: &'a str,
}

impl<'a> Given<'a> {
    fn from(parameters: &'a Parameters) -> Result<Self, Failure> {
        let text = |name: &str| {
            let bytes = parameters.get_value(name).map_or(&[][..], |value| value.as_bytes());
            match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.trim_end()),
                Err(error) => Err(Failure::fatal(format!(
                    "{name}: byte {} is not UTF-8; allowed is text in UTF-8",
                    error.valid_up_to() + 1
                ))),
            }
        };
        let given =
            Self { adds: text("adds")?, updates: text("updates")?, removes: text("removes")? };
        if [given.adds, given.updates, given.removes].iter().all(|text| text.trim().is_empty()) {
            return Err(Failure::fatal(
                "there is nothing to ingest: give adds (XML), updates (XML) or removes (references, separated by commas)",
            ));
        }
        Ok(given)
    }
}
