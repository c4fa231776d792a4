//! The ceiling: a bare actix-web server that answers with constants of the size that `actiond`'s replies have: a token, the status of an action, a
//! list of ten.
//!
//! It reads bodies and forgets them, parses no parameters, asks no actor and writes nothing, so that no server on actix-web can be faster on the same
//! machine. `load/run` measures it before each run of `actiond` and prints the ratio.

use std::{env, net::Ipv4Addr, process::ExitCode, thread::available_parallelism};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, http::header::ContentType, web, web::Bytes,
};
use futures_util::StreamExt as _;

/// What stands before the data of every reply, as `actiond` sends it.
const HEAD: &str = "<?xml version='1.0' encoding='UTF-8' ?>\
    <autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'><action>PROCESS</action>\
    <response>SUCCESS</response><responsedata>";
const TAIL: &str = "</responsedata></autnresponse>";
/// With every part that the load scripts check for.
const TOKEN: &str =
    "<token>MTI3LjAuMC4xOjcwMDA6UFJPQ0VTUzoxNzYwMDAwMDAwMDAwMDAwMDAwMDAwMDE=</token>";
/// What a status says of an action beside its token: one that echoes 150 bytes of parameters.
const STATUS: &str = "<status>Finished</status><queued_time>2026-Nov-01 12:00:00</queued_time>\
    <time_in_queue>0</time_in_queue><process_start_time>2026-Nov-01 12:00:00</process_start_time>\
    <time_processing>0</time_processing><process_end_time>2026-Nov-01 12:00:00</process_end_time>\
    <parameters><parameter name=\"Reference\" value=\"http://www.example.com/documents/2024/report.pdf\"/>\
    <parameter name=\"Database\" value=\"News\"/><parameter name=\"Note\" \
    value=\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"/></parameters><priority>0</priority>";

/// The constants, made once.
#[derive(Clone)]
struct Replies {
    token: Bytes,
    status: Bytes,
    list: Bytes,
}

impl Replies {
    fn new() -> Self {
        let reply = |data: &str| Bytes::from([HEAD, data, TAIL].concat());
        let action = ["<action>", STATUS, TOKEN, "</action>"].concat();
        let actions = |number| ["<actions>", &action.repeat(number), "</actions>"].concat();
        Self { token: reply(TOKEN), status: reply(&actions(1)), list: reply(&actions(10)) }
    }

    /// The reply of the size of `actiond`'s to this request of the load scripts.
    fn to(&self, target: &str) -> Bytes {
        let reply = match (target.contains("=getStatus"), target.contains("&Token=")) {
            (false, _) => &self.token,
            (true, true) => &self.status,
            (true, false) => &self.list,
        };
        reply.clone()
    }
}

const USAGE: &str = "usage: actiond-ceiling [--port N]   (0 to 65535; 0 takes any free port)";

#[actix_web::main]
async fn main() -> ExitCode {
    let Some(port) = port(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match serve(port).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("actiond-ceiling: port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The port that the arguments ask for; `None` if they are not understood.
fn port(mut args: impl Iterator<Item = String>) -> Option<u16> {
    let port = match (args.next().as_deref(), args.next()) {
        (None, _) => 0,
        (Some("--port"), Some(port)) => port.parse().ok()?,
        _ => return None,
    };
    args.next().is_none().then_some(port)
}

async fn serve(port: u16) -> std::io::Result<()> {
    let replies = web::Data::new(Replies::new());
    let app = move || App::new().app_data(replies.clone()).default_service(web::to(answer));
    let server = HttpServer::new(app)
        .workers(available_parallelism()?.get())
        .bind((Ipv4Addr::LOCALHOST, port))?;
    for address in server.addrs() {
        println!("listening on {address}");
    }
    server.run().await
}

async fn answer(
    request: HttpRequest,
    replies: web::Data<Replies>,
    mut body: web::Payload,
) -> HttpResponse {
    // What is left unread closes the connection, and a new one for each request is no ceiling.
    while let Some(Ok(_)) = body.next().await {}
    // Without a charset, which ACI clients do not take.
    HttpResponse::Ok().content_type(ContentType::xml()).body(replies.to(request.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        for (args, wanted) in [
            ("", Some(0)),
            ("--port 7000", Some(7000)),
            ("--port", None),
            ("--port 70000", None),
            ("--port 1 2", None),
            ("7000", None),
        ] {
            let args = args.split_whitespace().map(str::to_owned);
            assert_eq!(port(args.clone()), wanted, "{:?}", args.collect::<Vec<_>>());
        }
    }

    #[test]
    fn replies_have_the_size_of_those_of_actiond() {
        let replies = Replies::new();
        let status = "/action=QueueInfo&QueueName=Many&QueueAction=getStatus";
        for (target, wanted) in [
            ("/action=Process&Note=xxx".to_owned(), 220..=280),
            (format!("{status}&Token=MTI3="), 780..=880),
            (format!("{status}&State=finished&MaxResults=10"), 6_000..=7_000),
        ] {
            let size = replies.to(&target).len();
            assert!(wanted.contains(&size), "{target}: {size}");
        }
    }
}
