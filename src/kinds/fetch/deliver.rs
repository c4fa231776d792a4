//! Hands batches to Ingest: to a queue of this server, or to another server over ACI.
//!
//! A batch counts as accepted once Ingest has given a token for it, never before: only then does a
//! document enter the datastore. A stop takes effect even while the other side hangs; what was on
//! its way then is sent again by the next run.

use std::fmt::Write as _;
use std::time::Duration;

use actiond_actors::{ActionContext, Parameters, QueueError, StopRequested, Submission};
use quick_xml::escape::escape;

use super::IngestTarget;
use super::remote::Remote;
use super::source::Item;
use crate::documents::found::FOUND;
use crate::documents::reference;

/// Number of attempts to submit a batch to a queue that is full, and the pause between them.
const FULL_TRIES: usize = 10;
const FULL_WAIT: Duration = Duration::from_millis(200);

/// Delivery of batches to Ingest.
pub(crate) trait Deliver {
    /// Hands over one batch.
    fn deliver(&mut self, handover: Handover) -> Result<(), NotDelivered>;
}

/// The parameters of one Ingest action.
#[derive(Debug)]
pub(crate) struct Handover {
    /// A parameter of Ingest.
    pub(crate) parameter: &'static str,
    /// Its value.
    pub(crate) value: String,
    /// The state of the files that it names when they were found, for an Ingest of this system. Another server that gets the
    /// batch over HTTP reads what its own configuration allows.
    pub(crate) found: Option<String>,
}

/// The reason for which a batch was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotDelivered {
    /// The action was asked to stop meanwhile.
    Stopped,
    /// Ingest refused it.
    Refused(String),
    /// Ingest could not be reached.
    Unreachable(String),
}

impl From<StopRequested> for NotDelivered {
    fn from(_: StopRequested) -> Self {
        Self::Stopped
    }
}

/// Makes the value of `adds` for these files.
///
/// Changed files are added again as well: an update changes fields only, never content.
pub(crate) fn adds<'a>(files: impl IntoIterator<Item = &'a Item>) -> String {
    let mut xml = String::from("<adds>");
    for file in files {
        let name = reference::of(&file.path);
        let name = escape(name.as_str());
        // Writing to a string cannot fail.
        let _ = write!(
            xml,
            "<add><document><reference>{name}</reference>\
             <metadata name=\"DREFILENAME\" value=\"{name}\"/>\
             <metadata name=\"AUTN_IDENTIFIER\" value=\"{name}\"/>\
             <metadata name=\"FILE_SIZE\" value=\"{}\"/>\
             <metadata name=\"FILE_MODIFIED\" value=\"{}\"/></document>\
             <source filename=\"{name}\" lifetime=\"permanent\"/></add>",
            file.size, file.modified.seconds
        );
    }
    xml.push_str("</adds>");
    xml
}

/// Delivery to the target of the configuration, for a running action.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    context: &'a ActionContext,
    target: &'a IngestTarget,
    /// The other server, once something goes there.
    remote: Option<Remote>,
}

impl Deliver for Delivery<'_> {
    fn deliver(&mut self, handover: Handover) -> Result<(), NotDelivered> {
        let Handover { parameter, value, found } = handover;
        match self.target {
            IngestTarget::Queue(queue) => {
                let found = found.map(|found| (FOUND, found));
                self.submit(queue, [(parameter, value)].into_iter().chain(found).collect())
            }
            IngestTarget::Remote { host, port } => self.send(host, *port, parameter, value),
        }
    }
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(context: &'a ActionContext, target: &'a IngestTarget) -> Self {
        Self { context, target, remote: None }
    }

    fn submit(&self, queue: &str, parameters: Parameters) -> Result<(), NotDelivered> {
        let handle = self
            .context
            .system()
            .queue(queue)
            .ok_or_else(|| NotDelivered::Unreachable(format!("there is no queue {queue}")))?;
        let mut tries = 1;
        loop {
            match self.context.wait_for(handle.submit(Submission::new(parameters.clone())))? {
                Ok(_) => return Ok(()),
                Err(QueueError::QueueFull { .. }) if tries < FULL_TRIES => {
                    tries += 1;
                    self.context.wait_for(self.context.sleep(FULL_WAIT))??;
                }
                // This action will be asked to stop soon. To go on would only count every file as
                // refused and end as if all were done; so it waits, and runs again after the restart.
                Err(QueueError::ShuttingDown) => {
                    self.context.wait_for(self.context.stop_requested())?;
                    return Err(NotDelivered::Stopped);
                }
                Err(error) => return Err(NotDelivered::Refused(error.to_string())),
            }
        }
    }

    /// Sends to another server. A stop drops the request, which closes its connection.
    fn send(
        &mut self,
        host: &str,
        port: u16,
        parameter: &'static str,
        value: String,
    ) -> Result<(), NotDelivered> {
        let remote = match self.remote.take() {
            Some(remote) => remote,
            None => Remote::new(host, port)?,
        };
        let remote = self.remote.insert(remote);
        self.context.wait_for(remote.ingest(parameter, value))?
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Moment;
    use super::*;
    use crate::documents::document::{DocumentKind, DocumentSource, Documents};

    #[test]
    fn a_file_becomes_a_document() {
        let modified = Moment { seconds: 1, nanoseconds: 500_000_000 };
        let file = |path: &str| Item { path: path.into(), size: 5, modified };
        let files = [file("/a <&\">.txt"), file("/b\n")];
        let xml = adds(&files);
        let documents: Vec<_> = Documents::new(&xml).unwrap().collect::<Result<_, _>>().unwrap();
        let references: Vec<_> = documents.iter().map(|d| d.reference.as_str()).collect();
        assert_eq!(references, ["/a <&\">.txt", "bytes:/b%0A"]);
        for (document, file) in documents.iter().zip(&files) {
            assert_eq!(document.kind, DocumentKind::Add);
            let source = DocumentSource::File { path: file.path.clone(), temporary: false };
            assert_eq!(document.source, Some(source));
            let fields: Vec<_> =
                document.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let reference = document.reference.as_str();
            assert_eq!(
                fields,
                [
                    ("DREFILENAME", reference),
                    ("AUTN_IDENTIFIER", reference),
                    ("FILE_SIZE", "5"),
                    ("FILE_MODIFIED", "1")
                ]
            );
        }
        assert_eq!(adds(&[]), "<adds></adds>");
    }
}
