//! The ceiling: a bare actix-web server that answers every request with one constant of the size of a token reply.
//!
//! It reads bodies and forgets them, parses no parameters, asks no actor and writes nothing, so that no server on actix-web can be faster on the same
//! machine. `load/run` measures it before each run of `actiond` and prints the ratio.

use std::{env, net::Ipv4Addr, process::ExitCode, thread::available_parallelism};

use actix_web::{App, HttpResponse, HttpServer, http::header::ContentType, web};
use futures_util::StreamExt as _;

/// A token reply as `actiond` sends it, with every part that the load scripts check for.
const REPLY: &str = "<?xml version='1.0' encoding='UTF-8' ?>\
    <autnresponse xmlns:autn='http://schemas.autonomy.com/aci/'><action>PROCESS</action>\
    <response>SUCCESS</response><responsedata>\
    <token>MTI3LjAuMC4xOjcwMDA6UFJPQ0VTUzoxNzYwMDAwMDAwMDAwMDAwMDAwMDAwMDE=</token>\
    </responsedata></autnresponse>";

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
    let server = HttpServer::new(|| App::new().default_service(web::to(answer)))
        .workers(available_parallelism()?.get())
        .bind((Ipv4Addr::LOCALHOST, port))?;
    for address in server.addrs() {
        println!("listening on {address}");
    }
    server.run().await
}

async fn answer(mut body: web::Payload) -> HttpResponse {
    // What is left unread closes the connection, and a new one for each request is no ceiling.
    while let Some(Ok(_)) = body.next().await {}
    // Without a charset, which ACI clients do not take.
    HttpResponse::Ok().content_type(ContentType::xml()).body(REPLY)
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
    fn the_reply_has_the_size_of_a_token_reply() {
        assert!((220..=280).contains(&REPLY.len()), "{}", REPLY.len());
    }
}
