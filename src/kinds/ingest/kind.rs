//! `Type=Ingest`: the configuration of a queue that takes documents in.

use std::path::PathBuf;
use std::sync::Arc;

use actiond_actors::{OnRestart, Perform};

use super::super::{ConfiguredQueue, ConfiguredQueues, Kind, Site};
use super::{Ingest, IngestOptions, Output, PARAMS};
use crate::aci::catalog::ParamSpec;
use crate::config::{Key, KindReader, SectionReader, ValueKind};

const OUTPUT: &Key = &Key::with_default(
    "Output",
    ValueKind::ListOf(&["idx", "json"]),
    "idx,json",
    "The forms in which documents are written.",
);

const OUTPUT_DIRECTORY: &Key = &Key::optional(
    "OutputDirectory",
    ValueKind::Path,
    "./actions/ingest",
    "The directory for the written documents. The default is the queue's name in lower case, in the DataDirectory.",
);

const MAX_CONTENT_SIZE: &Key = &Key::with_default(
    "MaxContentSize",
    ValueKind::from_to(0, 1_000_000_000),
    "1000000",
    "How many bytes of text are taken from the source of one document; 0 takes none.",
);

const MAX_OUTPUT_SIZE: &Key = &Key::with_default(
    "MaxOutputSize",
    ValueKind::or_unlimited(1, 1_000_000_000_000),
    "1000000000",
    "How many bytes one action may write, in all its forms together. One that would write more ends in Error and leaves nothing.",
);

const ALLOWED_SOURCE_DIRECTORIES: &Key = &Key::optional(
    "AllowedSourceDirectories",
    ValueKind::Paths,
    "./incoming,\"/srv/a, b\"",
    "The directories below which a client may name a file as the source of a document; there it may also have it deleted (lifetime=temporary). No link is followed, and the server's own directories are never read. The default is none; what Fetch finds on this server is read anyway.",
);

/// `Type=Ingest`.
#[derive(Debug, Clone, Copy, Default)]
pub struct IngestKind;

impl Kind for IngestKind {
    fn word(&self) -> &'static str {
        "Ingest"
    }

    fn summary(&self) -> &'static str {
        "Takes documents in and writes them as files."
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn on_restart(&self) -> OnRestart {
        OnRestart::Requeue
    }

    fn takes_documents(&self) -> bool {
        true
    }

    fn keys(&self) -> &'static [&'static Key] {
        &[OUTPUT, OUTPUT_DIRECTORY, MAX_CONTENT_SIZE, MAX_OUTPUT_SIZE, ALLOWED_SOURCE_DIRECTORIES]
    }

    fn example(&self) -> (&'static str, &'static str) {
        ("Ingest", "A queue that writes documents.")
    }

    fn read(&self, config: &mut KindReader<'_, '_>) -> ConfiguredQueues {
        let data_directory = config.data_directory().to_owned();
        config.each_queue(|section| {
            let default = data_directory.join(section.name().to_ascii_lowercase());
            Arc::new(IngestSettings::read(section, default))
        })
    }
}

/// A queue with Type=Ingest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestSettings {
    /// `Output`: at least one, each once.
    pub output: Vec<Output>,
    /// `OutputDirectory`: as given, or the queue's name in lower case in the data directory.
    pub output_directory: PathBuf,
    /// `MaxContentSize`: bytes of text from one document's source; 0 is none.
    pub max_content_size: usize,
    /// `MaxOutputSize`: bytes that one action may write; `usize::MAX` is unlimited.
    pub max_output_size: usize,
    /// `AllowedSourceDirectories`: the directories in which clients may name files; may be empty.
    pub allowed_source_directories: Vec<PathBuf>,
}

impl IngestSettings {
    fn read(section: &mut SectionReader<'_, '_>, default: PathBuf) -> Self {
        let output = |word| if word == "idx" { Output::Idx } else { Output::Json };
        // In the order in which the reference lists them: what is in force is printed in that in which it is read.
        let settings = Self {
            output: section.words(OUTPUT).into_iter().map(output).collect(),
            output_directory: section.directory_to_write(
                OUTPUT_DIRECTORY,
                || default,
                "below DataDirectory",
            ),
            max_content_size: section.size(MAX_CONTENT_SIZE),
            max_output_size: section.size(MAX_OUTPUT_SIZE),
            allowed_source_directories: section.paths(ALLOWED_SOURCE_DIRECTORIES),
        };
        for directory in &settings.allowed_source_directories {
            section.warn_if_absent(ALLOWED_SOURCE_DIRECTORIES, directory);
        }
        settings
    }
}

impl ConfiguredQueue for IngestSettings {
    fn writes_to(&self) -> Vec<(&'static Key, PathBuf)> {
        vec![(OUTPUT_DIRECTORY, self.output_directory.clone())]
    }

    fn performer(&self, site: &Site<'_>) -> Arc<dyn Perform> {
        let own = site.written().iter().cloned().chain([site.data_directory().to_owned()]);
        Arc::new(Ingest::new(IngestOptions {
            output: self.output.clone(),
            directory: self.output_directory.clone(),
            max_content_bytes: self.max_content_size,
            max_output_bytes: u64::try_from(self.max_output_size).unwrap_or(u64::MAX),
            allowed_sources: self.allowed_source_directories.clone(),
            avoided: own.collect(),
        }))
    }
}
