//! The way from a page to what it shows: an ACI request of its user, answered by the front as any other.

use actix::Addr;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use quick_xml::escape::unescape;

use crate::access::KeyHash;
use crate::aci::client::{Body, Fault, Reply};
use crate::aci::element::Element;
use crate::aci::request::Pairs;
use crate::front::{AciBody, AciRequest, Caller, Client, Credential, FrontActor, Port};

/// Largest number of bytes of a reply that is made into a page.
const MOST_SHOWN: usize = 4 << 20;

/// A user, as far as the actions are concerned that make a page.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    front: Addr<FrontActor>,
    caller: Caller,
    client: Client,
}

/// A reply as it was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// True if there was more than is shown.
    pub(crate) is_cut: bool,
}

/// The reason for which an action gave no reply to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The user may not.
    Permission(String),
    /// Anything else.
    Error(String),
}

impl Refused {
    /// Returns the text for the user.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Permission(text) | Self::Error(text) => text,
        }
    }
}

impl Asker {
    pub(crate) const fn new(front: Addr<FrontActor>, caller: Caller, client: Client) -> Self {
        Self { front, caller, client }
    }

    /// Returns the hash of the user's key, if there is one.
    pub(crate) const fn key(&self) -> Option<&KeyHash> {
        match &self.caller.credential {
            Some(Credential::Key(hash)) => Some(hash),
            None => None,
        }
    }

    /// Has an action performed, and returns the elements of its reply.
    ///
    /// # Errors
    ///
    /// The reason for which it was refused.
    pub(crate) async fn ask<const N: usize>(
        &self,
        action: &str,
        pairs: [(&str, &str); N],
    ) -> Result<Vec<Element>, Refused> {
        self.perform(action, Pairs::from(pairs)).await
    }

    /// Has an action performed with any number of parameters.
    ///
    /// # Errors
    ///
    /// The reason for which it was refused.
    pub(crate) async fn perform(
        &self,
        action: &str,
        pairs: Pairs,
    ) -> Result<Vec<Element>, Refused> {
        read(&self.send(Port::Aci, action, pairs, MOST_SHOWN).await)
    }

    /// Has an action of the service port performed, and returns the text of its reply.
    ///
    /// # Errors
    ///
    /// The reason for which it was refused.
    pub(crate) async fn service<const N: usize>(
        &self,
        action: &str,
        pairs: [(&str, &str); N],
    ) -> Result<String, Refused> {
        read_service(&self.send(Port::Service, action, Pairs::from(pairs), MOST_SHOWN).await)
    }

    /// Has an action of the service port performed, and returns the elements of its reply.
    ///
    /// # Errors
    ///
    /// The reason for which it was refused.
    pub(crate) async fn service_elements(&self, action: &str) -> Result<Vec<Element>, Refused> {
        let sent = self.send(Port::Service, action, Pairs::default(), MOST_SHOWN).await;
        read_service(&sent)?;
        // It has no root of its own.
        let text = String::from_utf8_lossy(&sent.body);
        let reply = Reply::read(&format!("<autnresponse>{text}</autnresponse>"));
        reply.map(|reply| reply.data).map_err(|fault| Refused::Error(fault.to_string()))
    }

    /// Sends a request, and returns the reply up to so many bytes.
    pub(crate) async fn send(&self, port: Port, action: &str, pairs: Pairs, most: usize) -> Sent {
        let Body { content_type, bytes } = Body::new(action, pairs);
        let request = AciRequest {
            target: "/".to_owned(),
            content_type: Some(content_type),
            body: Ok(bytes.into()),
            refused: None,
            warning: None,
            port,
            caller: self.caller.clone(),
            idempotency_key: None,
            is_get: false,
            wants_html: false,
            client: self.client.clone(),
        };
        let Ok(answer) = self.front.send(request).await else {
            // The front does nothing that can end it.
            return Sent { content_type: "text/plain", body: Bytes::new(), is_cut: false };
        };
        let reply = answer.await;
        let content_type = reply.content_type;
        let (body, is_cut) = match reply.body {
            AciBody::Whole(body) if body.len() <= most => (Bytes::from(body), false),
            AciBody::Whole(mut body) => {
                body.truncate(most);
                (Bytes::from(body), true)
            }
            AciBody::Stream(mut parts) => {
                let (mut body, mut is_cut) = (BytesMut::new(), false);
                while let Some(part) = parts.next().await {
                    let Ok(part) = part else {
                        is_cut = true;
                        break;
                    };
                    body.extend_from_slice(&part);
                    if body.len() > most {
                        body.truncate(most);
                        is_cut = true;
                        break;
                    }
                }
                (body.freeze(), is_cut)
            }
        };
        Sent { content_type, body, is_cut }
    }
}

/// Reads a reply in XML.
fn read(sent: &Sent) -> Result<Vec<Element>, Refused> {
    let too_large = || {
        let most = MOST_SHOWN >> 20;
        Refused::Error(format!("The reply has more than {most} MB, which is too much for a page."))
    };
    if sent.is_cut {
        return Err(too_large());
    }
    let text = String::from_utf8_lossy(&sent.body);
    match Reply::read(&text) {
        Ok(reply) => Ok(reply.data),
        Err(Fault::Refused(refusal)) => Err(match refusal.code.as_str() {
            "ERRORPERMISSION" => Refused::Permission(refusal.to_string()),
            _ => Refused::Error(refusal.to_string()),
        }),
        Err(_) => Err(Refused::Error("The server gave no answer.".to_owned())),
    }
}

/// Reads a reply of the service port, which has a form of its own (source: the pages about the service port).
fn read_service(sent: &Sent) -> Result<String, Refused> {
    let text = String::from_utf8_lossy(&sent.body);
    let between = |name: &str| {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let begin = text.find(&open)?.saturating_add(open.len());
        let end = text.rfind(&close)?;
        text.get(begin..end).and_then(|part| unescape(part).ok())
    };
    let data = between("RESPONSEDATA").unwrap_or_default().into_owned();
    match between("RESPONSE").as_deref() {
        Some("ERROR") if data.starts_with("Permission denied") => Err(Refused::Permission(data)),
        Some("ERROR") => Err(Refused::Error(data)),
        Some(_) => Ok(data),
        None => Err(Refused::Error("The server gave no answer.".to_owned())),
    }
}
