//! `actiond send`: sends any action to any ACI server.

use super::args::{ConnectionArgs, FormArgs, WaitArgs};
use super::exit::Exit;
use super::failure::Failure;
use super::session::{Form, Session, print_elements};
use super::steer::finish_submission;
use super::values;
use crate::aci::client::tree::{first, text_of};
use crate::aci::element::Element;
use crate::aci::request::PairValue;

/// The options of `actiond send`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct SendArgs {
    /// Action, such as Fetch
    pub(crate) action: String,
    /// Parameters of the action
    ///
    /// `Name=@FILE` is the content of a file, `Name=@-` that of the standard input. A value that begins with @ itself is written with
    /// another one in front: `Name=@@text`.
    #[arg(value_name = "Name=Value")]
    pub(crate) parameters: Vec<String>,
    /// Priority of the action; higher ones start first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) priority: Option<i32>,
    /// Start it no sooner: `+SECONDS` from now, or a time of the server
    #[arg(long, value_name = "TIME")]
    pub(crate) not_before: Option<String>,
    /// Name of the request: sent again under the same name, it is not queued a second time
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Queue in which the action is looked for while it is waited for, if it is not called as the action and its token does not tell it
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

pub(super) async fn run(args: Box<SendArgs>) -> Result<Exit, Failure> {
    let queue = args.queue.as_deref().unwrap_or(&args.action);
    let session = Session::new(&args.connection, Some(queue))?;
    let mut parameters = values::read(&args.parameters)?;
    if parameters.get("ResponseFormat").is_some_and(|form| !form.eq_ignore_ascii_case("xml")) {
        let why = "the form of the reply is for --json and --xml, and no ResponseFormat";
        return Err(Failure::Usage(why.to_owned()));
    }
    let own = [
        ("Priority", args.priority.map(|priority| priority.to_string())),
        ("NotBefore", args.not_before.clone()),
        ("Idempotency-Key", args.idempotency_key.clone()),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            parameters.push(name, PairValue::Text(value));
        }
    }
    let reply = session.client.send(&args.action, parameters).await?;
    match token_alone(&reply.data) {
        Some(token) => finish_submission(&session, token, args.wait, args.form).await,
        None => {
            print_elements("responsedata", &reply.data, Form::from(args.form))?;
            Ok(exit_of(&reply.data))
        }
    }
}

/// Returns the token of a reply that has one and no result: the action was queued.
fn token_alone(data: &[Element]) -> Option<&str> {
    let token = first(data, "token").map(|token| text_of(token).trim())?;
    // With `Wait` as a parameter the server has waited, and told how it stands.
    let has_status = first(data, "status").is_some();
    (!token.is_empty() && !has_status).then_some(token)
}

/// Returns the exit code for a reply that is no token: that of the state, if the server was asked to wait.
fn exit_of(data: &[Element]) -> Exit {
    let status = first(data, "token").and_then(|_| first(data, "status"));
    let status = status.map(|status| crate::aci::client::Status::read(text_of(status).trim()));
    status.as_ref().map_or(Exit::Success, Exit::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_a_token_or_a_result() {
        let token = Element::text("token", " MTI= ");
        let status = Element::text("status", "Error");
        let result = Element::text("greeting", "hello");
        assert_eq!(token_alone(std::slice::from_ref(&token)), Some("MTI="));
        assert_eq!(token_alone(std::slice::from_ref(&result)), None);
        assert_eq!(token_alone(&[token.clone(), status.clone()]), None);
        assert_eq!(exit_of(&[token, status.clone()]), Exit::Error);
        // A result may be called so, too.
        assert_eq!(exit_of(&[status]), Exit::Success);
        assert_eq!(exit_of(&[result]), Exit::Success);
    }
}
