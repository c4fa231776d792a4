//! The wire: what clients send, in every form, and what they get, to the letter.
//!
//! Here: a client of raw requests, and replies as trees. `forms` and `values` are about requests,
//! `golden`, `characters` and `server_info` about replies, `errors` and `limits` about what is
//! refused, `listing` and `streaming` about lists, `keep_alive` about connections that stay open,
//! `extensions` about what is our own, and `attempts` about several attempts and later starts.

mod attempts;
mod characters;
mod errors;
mod extensions;
mod forms;
mod golden;
mod keep_alive;
mod limits;
mod listing;
mod server_info;
mod streaming;
mod values;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;

use super::server::{Home, PATIENCE, Reply, Server, wait_until};

/// Three queues that do what they are told: their names are those of the documented examples.
const ECHOES: &str = "
[Actions]
Durability=normal
[AsyncActions]
0=Fetch
1=Ingest
2=Process
[Fetch]
Type=Echo
[Ingest]
Type=Echo
[Process]
Type=Echo
MaximumThreads=2
";

/// Where a server is; unlike the server itself it can be used by several threads.
#[derive(Debug, Clone, Copy)]
struct Client(SocketAddr);

impl Client {
    fn of(server: &Server) -> Self {
        Self(server.address)
    }

    fn connect(self) -> TcpStream {
        let stream = TcpStream::connect(self.0).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        stream
    }

    /// Sends a request on a connection of its own.
    fn send(self, request: &[u8]) -> Reply {
        exchange(&mut self.connect(), request)
    }

    /// Sends a GET request with this target and reads the reply as XML.
    fn get(self, target: &str) -> Node {
        aci(&self.send(&get(target)))
    }

    /// Sends a `QueueInfo` request about this queue.
    fn queue_info(self, queue: &str, rest: &str) -> Node {
        self.get(&format!("/action=QueueInfo&QueueName={queue}&{rest}"))
    }

    /// Submits an action (`Process&a=b`) and returns its token.
    fn submit(self, what: &str) -> String {
        token(&self.get(&format!("/action={what}")))
    }

    fn status(self, queue: &str, token: &str) -> Node {
        let reply = self.queue_info(queue, &format!("QueueAction=getStatus&Token={token}"));
        let actions = reply.all("responsedata/actions/action");
        assert_eq!(actions.len(), 1, "{reply:?}");
        actions[0].clone()
    }

    fn wait_for(self, queue: &str, token: &str, status: &str) {
        wait_until(&format!("{status} of {token}"), || {
            self.status(queue, token).text("status") == status
        });
    }
}

/// Seconds since 1970, as the server sees them too.
#[expect(clippy::disallowed_methods, reason = "the server under test goes by the real clock")]
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

fn exchange(stream: &mut TcpStream, request: &[u8]) -> Reply {
    stream.write_all(request).expect("the request is sent");
    Reply::read(stream)
}

fn token(reply: &Node) -> String {
    assert_eq!(reply.text("response"), "SUCCESS", "{reply:?}");
    reply.text("responsedata/token").to_owned()
}

/// Percent-encodes everything that could mean something.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// An element of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    /// With the prefix `autn:` where it stands in that namespace.
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn of(node: roxmltree::Node<'_, '_>) -> Self {
        let name = node.tag_name();
        let name = match name.namespace() {
            None => name.name().to_owned(),
            Some(namespace) => {
                assert_eq!(namespace, "http://schemas.autonomy.com/aci/");
                format!("autn:{}", name.name())
            }
        };
        let attributes =
            node.attributes().map(|a| (a.name().to_owned(), a.value().to_owned())).collect();
        let children: Vec<_> = node.children().filter(|n| n.is_element()).map(Self::of).collect();
        let text: String =
            node.children().filter_map(|n| n.text().filter(|_| n.is_text())).collect();
        let text = if children.is_empty() { text } else { text.trim().to_owned() };
        Self { name, attributes, text, children }
    }

    /// Every element at this path of names.
    fn all(&self, path: &str) -> Vec<&Self> {
        path.split('/').fold(vec![self], |found, name| {
            found.iter().flat_map(|n| n.children.iter().filter(|c| c.name == name)).collect()
        })
    }

    /// The one element at this path.
    fn one(&self, path: &str) -> &Self {
        let found = self.all(path);
        assert_eq!(found.len(), 1, "{path} in {self:?}");
        found[0]
    }

    /// The text of the one element at this path.
    fn text(&self, path: &str) -> &str {
        let node = self.one(path);
        assert!(node.children.is_empty(), "{path} holds more than text: {node:?}");
        &node.text
    }

    fn has(&self, path: &str) -> bool {
        !self.all(path).is_empty()
    }

    fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("no {name} in {self:?}")).1
    }

    fn attribute_if(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn names(&self) -> Vec<&str> {
        self.children.iter().map(|child| child.name.as_str()).collect()
    }
}

/// Reads an ACI reply: checks all that holds for every one of them, and returns its root.
fn aci(reply: &Reply) -> Node {
    let body = reply.body_text();
    let status = reply.head.lines().next().unwrap_or_default();
    assert!(status.ends_with(" 200 OK"), "{status}: {body}");
    assert_eq!(reply.header("content-type"), Some("text/xml"), "{body}");
    tree(&body)
}

/// Reads the text of an ACI reply, and checks the envelope.
fn tree(body: &str) -> Node {
    let prolog = "<?xml version='1.0' encoding='UTF-8' ?>\
                  <autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'><action>";
    assert!(body.starts_with(prolog), "{body}");
    let document = roxmltree::Document::parse(body).unwrap_or_else(|e| panic!("{e}: {body}"));
    let root = Node::of(document.root_element());
    assert_eq!(root.name, "autnresponse", "the root has no namespace: {body}");
    assert_eq!(root.names(), ["action", "response", "responsedata"], "{body}");
    assert!(["SUCCESS", "ERROR"].contains(&root.text("response")), "{body}");
    root
}

/// A time as errors and general actions show it.
static GENERAL_TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\d{2} [A-Z][a-z]{2} \d{2} \d{2}:\d{2}:\d{2}$").unwrap());

/// What an ERROR reply says.
#[derive(Debug)]
struct Fault {
    id: String,
    number: u16,
    code: String,
    string: String,
    description: String,
}

/// Reads an ERROR reply and checks the form of its six elements.
fn fault(reply: &Node) -> Fault {
    assert_eq!(reply.text("response"), "ERROR", "{reply:?}");
    let error = reply.one("responsedata/error");
    assert_eq!(
        error.names(),
        ["errorid", "rawerrorid", "errorstring", "errordescription", "errorcode", "errortime"]
    );
    let id = error.text("errorid").to_owned();
    let action: String =
        reply.text("action").chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let number = id.strip_prefix(&format!("ACTIOND{action}")).and_then(|n| n.parse().ok());
    let number: u16 = number.unwrap_or_else(|| panic!("{id} for {action}"));
    assert_eq!(error.text("rawerrorid"), format!("0x{number:X}"));
    assert!(GENERAL_TIME.is_match(error.text("errortime")), "{error:?}");
    let fault = Fault {
        id,
        number,
        code: error.text("errorcode").to_owned(),
        string: error.text("errorstring").to_owned(),
        description: error.text("errordescription").to_owned(),
    };
    // Clients show either of the two alone.
    assert!(!fault.string.is_empty() && !fault.description.is_empty(), "{fault:?}");
    fault
}

/// The parameters of a `getActionParameters` reply about one action, base64 with its sign: [`marked`].
fn parameters(reply: &Node) -> Vec<(String, String)> {
    let all = reply.all("responsedata/request/parameters/parameter");
    all.iter().map(|p| shown_pair(|name| p.attribute_if(name), &p.text)).collect()
}

/// A parameter as it is shown: a long value stands in the text of the element.
fn shown_pair<'a>(attribute: impl Fn(&str) -> Option<&'a str>, text: &'a str) -> (String, String) {
    let sign = |shown: &str, encoding: &str| match attribute(encoding) {
        None => shown.to_owned(),
        Some(encoding) => format!("{encoding}:{shown}"),
    };
    let value = match attribute("value") {
        Some(value) => {
            assert_eq!((attribute("length"), text), (None, ""));
            value
        }
        None => {
            assert!(attribute("length").is_some());
            text
        }
    };
    (sign(attribute("name").expect("a name"), "name_encoding"), sign(value, "encoding"))
}

/// What [`parameters`] has for such a text: what XML forbids makes it base64.
fn marked(text: &str) -> String {
    let forbidden = |c: char| match c {
        '\t' | '\n' | '\r' => false,
        '\u{FFFE}' | '\u{FFFF}' => true,
        c => c < ' ',
    };
    if text.contains(forbidden) { marked_bytes(text.as_bytes()) } else { text.to_owned() }
}

fn marked_bytes(bytes: &[u8]) -> String {
    use base64::Engine as _;
    format!("base64:{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}
