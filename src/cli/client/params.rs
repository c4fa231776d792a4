//! `actiond params`: the parameters of an action, or of all in a queue.

use super::args::{ConnectionArgs, FormArgs};
use super::exit::Exit;
use super::failure::Failure;
use super::session::{Form, Session, print, print_elements};
use super::show::{BOLD, block, line, painted};
use crate::aci::client::About;
use crate::aci::client::tree::{attribute, child, children, is, text_of};
use crate::aci::element::Element;
use crate::aci::request::PairValue;
use crate::aci::shown::ShownParameter;

/// The options of `actiond params`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct ParamsArgs {
    /// Token of an action; without one, all actions of --queue that have not ended
    #[arg(value_name = "TOKEN", required_unless_present = "queue", value_parser = super::args::token)]
    pub(crate) token: Option<String>,
    /// Queue
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,
    /// Also of what has ended, where the server has kept them
    #[arg(long = "final")]
    pub(crate) of_ended: bool,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

pub(super) async fn run(args: Box<ParamsArgs>) -> Result<Exit, Failure> {
    let session = Session::new(&args.connection, args.queue.as_deref())?;
    let about = match (&args.token, &args.queue) {
        (Some(token), _) => About::Token(token),
        (None, queue) => About::Queue(queue.as_deref().unwrap_or_default()),
    };
    let more = match args.of_ended {
        true => vec![("Final", "true".to_owned())],
        false => Vec::new(),
    };
    let reply = session.client.queue_info("getActionParameters", about, more).await?;
    match Form::from(args.form) {
        Form::Text => print(&text(&reply.data))?,
        form => print_elements("responsedata", &reply.data, form)?,
    }
    Ok(Exit::Success)
}

/// Writes requests, each below its token if there are several.
fn text(data: &[Element]) -> String {
    let requests: Vec<_> = data.iter().filter(|element| is(element, "request")).collect();
    let mut out = String::new();
    for request in &requests {
        if requests.len() > 1 {
            let token = child(request, "token").map(text_of).unwrap_or_default();
            out.push_str(&format!("{}\n", painted(&line(token.trim()), BOLD)));
        }
        match child(request, "parameters") {
            Some(parameters) => {
                let parameters = children(parameters).iter().filter(|it| is(it, "parameter"));
                out.extend(parameters.map(parameter));
            }
            None => {
                out.push_str("(the server shows none; --final asks for those of what has ended)\n");
            }
        }
    }
    out
}

/// Writes a parameter as it could be sent again.
fn parameter(element: &Element) -> String {
    let shown = ShownParameter {
        attributes: element.attributes.clone(),
        text: Some(text_of(element).to_owned()).filter(|text| !text.is_empty()),
    };
    match shown.read() {
        Some((name, PairValue::Text(value))) => format!("{}={}\n", line(&name), block(&value)),
        Some((name, PairValue::Bytes(value))) => {
            format!("{}=({} bytes)\n", line(&name), value.len())
        }
        None => {
            let name = attribute(element, "name").unwrap_or_default();
            format!("{}=(too long to be shown)\n", line(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_shown_as_they_could_be_sent() {
        let parameter = |name: &str, value: &str| {
            Element::new("parameter")
                .attribute("name", name.to_owned())
                .attribute("value", value.to_owned())
        };
        let request = |token: &str| {
            let parameters = Element::new("parameters")
                .child(parameter("Name", "Ada & Bob"))
                .child(parameter("bytes", "/w==").attribute("encoding", "base64"))
                .child(
                    Element::new("parameter")
                        .attribute("name", "huge")
                        .attribute("length", "9000001"),
                );
            Element::new("request")
                .child(Element::text("token", token.to_owned()))
                .child(parameters)
        };
        let want = "Name=Ada & Bob\nbytes=(1 bytes)\nhuge=(too long to be shown)\n";
        assert_eq!(text(&[request("A")]), want);
        let two = text(&[request("A"), Element::new("request").child(Element::text("token", "B"))]);
        let two = anstream::adapter::strip_str(&two).to_string();
        assert!(two.starts_with(&format!("A\n{want}B\n(the server")), "{two}");
    }
}
