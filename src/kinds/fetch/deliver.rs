//! Hands batches to Ingest: to a queue of this server, or to another server over ACI.
//!
//! A batch counts as accepted once Ingest has given a token for it, never before: only then does a
//! document enter the datastore. A stop takes effect even while the other side hangs; what was on
//! its way then is sent again by the next run.

use std::fmt::Write as _;
use std::time::Duration;

use actiond_actors::{ActionContext, Parameters, QueueError, StopRequested, Submission};
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

use super::super::shorten;
use super::IngestTarget;
use super::source::Item;
use crate::documents::found::FOUND;
use crate::documents::reference;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes; one with a token has a few hundred.
const MAX_REPLY_BYTES: u64 = 1 << 20;

/// How often, and how far apart, a batch is offered to a queue that is full.
const FULL_TRIES: usize = 10;
const FULL_WAIT: Duration = Duration::from_millis(200);

/// Where batches go.
pub(crate) trait Deliver {
    /// Hands over one batch.
    fn deliver(&mut self, handover: Handover) -> Result<(), NotDelivered>;
}

/// What one Ingest action is given.
#[derive(Debug)]
pub(crate) struct Handover {
    /// A parameter of Ingest.
    pub(crate) parameter: &'static str,
    /// Its value.
    pub(crate) value: String,
    /// What the files were that it names, for an Ingest of this system. It trusts no other: a server
    /// that gets the batch over HTTP reads what its own configuration allows.
    pub(crate) found: Option<String>,
}

/// Why a batch was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotDelivered {
    /// The action was asked to stop meanwhile.
    Stopped,
    /// Ingest said no.
    Refused(String),
    /// Ingest could not be asked.
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

/// Delivers where the configuration says, for a running action.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) context: &'a ActionContext,
    pub(crate) target: &'a IngestTarget,
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

impl Delivery<'_> {
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

    /// Sends on a thread of its own, so that a stop need not wait for the other side. A thread
    /// that is left behind ends with its time-out.
    fn send(
        &self,
        host: &str,
        port: u16,
        parameter: &'static str,
        value: String,
    ) -> Result<(), NotDelivered> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let host = host.to_owned();
        let thread =
            std::thread::Builder::new().name("fetch-deliver".to_owned()).spawn(move || {
                // If nobody waits any more, the action was stopped.
                let _ = sender.send(post(&host, port, parameter, &value));
            });
        if let Err(error) = thread {
            return Err(NotDelivered::Unreachable(format!("no thread could be started: {error}")));
        }
        match self.context.wait_for(receiver)? {
            Ok(result) => result,
            Err(_) => {
                Err(NotDelivered::Unreachable("the thread that sent it ended early".to_owned()))
            }
        }
    }
}

/// Sends one Ingest action and reads its answer.
pub(crate) fn post(
    host: &str,
    port: u16,
    parameter: &str,
    value: &str,
) -> Result<(), NotDelivered> {
    let unreachable = |why: String| NotDelivered::Unreachable(format!("{host}:{port}: {why}"));
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .build()
        .new_agent();
    let address = match host.contains(':') && !host.starts_with('[') {
        true => format!("http://[{host}]:{port}/"),
        false => format!("http://{host}:{port}/"),
    };
    let mut response = agent
        .post(address)
        .send_form([("action", "Ingest"), (parameter, value)])
        .map_err(|e| unreachable(told(&e)))?;
    let text = response
        .body_mut()
        .with_config()
        .limit(MAX_REPLY_BYTES)
        .lossy_utf8(true)
        .read_to_string()
        .map_err(|e| unreachable(told(&e)))?;
    if !response.status().is_success() {
        return Err(unreachable(format!(
            "it answered with HTTP status {}",
            response.status().as_u16()
        )));
    }
    read_reply(&text).map_err(|why| match why {
        Some(why) => NotDelivered::Refused(format!("{host}:{port}: {why}")),
        None => {
            unreachable(format!("it did not answer as an ACI server: {}", shorten(text.trim())))
        }
    })
}

/// Says what went wrong; ureq's own text for a time-out names neither whose nor how long.
fn told(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => {
            format!("it did not answer to the end within {} s", TIMEOUT.as_secs())
        }
        other => other.to_string(),
    }
}

/// Reads an ACI reply: accepted only with SUCCESS and a token. Fails with the reason it gives, or
/// with `None` if it is no ACI reply.
fn read_reply(text: &str) -> Result<(), Option<String>> {
    let mut reader = Reader::from_str(text);
    let mut element = String::new();
    let (mut response, mut token, mut short, mut long) =
        (String::new(), String::new(), String::new(), String::new());
    loop {
        let piece = match reader.read_event().map_err(|_| None)? {
            Event::Start(start) => {
                start.local_name().as_ref().clone_into(&mut element);
                continue;
            }
            Event::End(_) => {
                element.clear();
                continue;
            }
            Event::Text(text) => text.xml10_content().into_owned(),
            Event::CData(text) => text.xml10_content().into_owned(),
            Event::GeneralRef(name) => {
                let reference = format!("&{};", &*name);
                quick_xml::escape::unescape(&reference)
                    .map_or_else(|_| reference.clone(), Into::into)
            }
            Event::Eof => break,
            _ => continue,
        };
        match element.as_str() {
            "response" => response.push_str(&piece),
            "token" => token.push_str(&piece),
            "errorstring" => short.push_str(&piece),
            "errordescription" => long.push_str(&piece),
            _ => {}
        }
    }
    match response.trim() {
        "SUCCESS" if !token.trim().is_empty() => Ok(()),
        "SUCCESS" => Err(Some("it answered without a token".to_owned())),
        "ERROR" => {
            let why = [long.trim(), short.trim()].into_iter().find(|t| !t.is_empty());
            Err(Some(why.unwrap_or("it answered with an error that says nothing").to_owned()))
        }
        _ => Err(None),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::super::source::Moment;
    use super::*;
    use crate::documents::document::{DocumentKind, DocumentSource, Documents};

    /// Answers one request with this text and returns its body.
    fn server(reply: String) -> (u16, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(reply.as_bytes()).unwrap();
            String::from_utf8(body).unwrap()
        });
        (port, served)
    }

    fn http(status: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    const ACCEPTED: &str = "<?xml version='1.0' encoding='UTF-8' ?><autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'>\
        <action>INGEST</action><response>SUCCESS</response><responsedata><token>MTI3</token></responsedata></autnresponse>";

    #[test]
    fn a_batch_is_posted_as_a_form() {
        let (port, served) = server(http("200 OK", ACCEPTED));
        assert_eq!(post("127.0.0.1", port, "adds", "<adds a='ä&+ '/>"), Ok(()));
        let body = served.join().unwrap();
        assert_eq!(
            body.replace("%20", "+"),
            "action=Ingest&adds=%3Cadds+a%3D%27%C3%A4%26%2B+%27%2F%3E"
        );
    }

    #[test]
    fn refusals_and_failures_are_told_apart() {
        let error = "<autnresponse><response>ERROR</response><responsedata><error><errorstring>S</errorstring>\
                     <errordescription>The queue &lt;Ingest&gt; is full</errordescription></error></responsedata></autnresponse>";
        for (reply, refused, what) in [
            (http("200 OK", error), true, "The queue <Ingest> is full"),
            (http("200 OK", &error.replace("The queue &lt;Ingest&gt; is full", "")), true, ": S"),
            (http("200 OK", &ACCEPTED.replace("MTI3", "")), true, "without a token"),
            (http("200 OK", "hello"), false, "did not answer as an ACI server: hello"),
            (http("200 OK", "<a></b>"), false, "did not answer as an ACI server"),
            (http("403 Forbidden", ACCEPTED), false, "HTTP status 403"),
            (http("302 Found", ""), false, "HTTP status 302"),
            (String::new(), false, "127.0.0.1"),
        ] {
            let (port, served) = server(reply.clone());
            match post("127.0.0.1", port, "removes", "a").unwrap_err() {
                NotDelivered::Refused(why) => {
                    assert!(refused && why.contains(what), "{reply}: {why}");
                }
                NotDelivered::Unreachable(why) => {
                    assert!(!refused && why.contains(what), "{reply}: {why}");
                }
                NotDelivered::Stopped => panic!("{reply}"),
            }
            served.join().unwrap();
        }
    }

    #[test]
    fn a_time_out_says_how_long_was_waited() {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(20)))
            .build()
            .new_agent();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let error = agent.get(address).call().unwrap_err();
        assert_eq!(told(&error), "it did not answer to the end within 10 s");
    }

    #[test]
    fn nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert!(matches!(
            post("127.0.0.1", port, "removes", "a"),
            Err(NotDelivered::Unreachable(_))
        ));
    }

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
