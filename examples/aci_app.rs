//! An actix-web application of your own with durable actions: routes of its own, one of which submits an action and
//! answers with its ACI token, and the ACI endpoint under `/aci`.
//!
//! `cargo run --example aci_app -- [PORT [DIRECTORY]]`, and then
//!
//! ```sh
//! TOKEN=$(curl -sX POST "http://127.0.0.1:8080/greetings/Ada?seconds=5")
//! curl "http://127.0.0.1:8080/aci/action=QueueInfo&QueueName=Greet&QueueAction=getStatus&Token=$TOKEN&Wait=60"
//! ```
//!
//! Ctrl-C or SIGTERM ends it; clients that wait are answered first. Queued actions are still there after a restart.

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use actiond::front::Endpoint;
use actiond_actors::{
    ActionContext, Node, OnRestart, Parameters, Perform, QueueHandle, QueueSettings, Submission,
    System, Work,
};
use actix_web::error::{ErrorForbidden, ErrorInternalServerError, ErrorServiceUnavailable};
use actix_web::{App, HttpRequest, HttpServer, web};

/// Time for which an idle connection is kept. The endpoint tells clients, so both the server and the endpoint get it.
const IDLE: Duration = Duration::from_secs(30);

/// Time that running actions get once the application is asked to end.
const GRACE: Duration = Duration::from_secs(2);

/// Greets somebody, after some seconds if it is told to.
struct Greet;

impl Perform for Greet {
    fn perform(&self, context: ActionContext) -> Work {
        Work::task(async move {
            let name = context.parameters().get("Name").unwrap_or("world").to_owned();
            // Any error ends the action in Error, with its text for the client.
            let seconds = context.parameters().get("Seconds").unwrap_or("0").parse()?;
            context.sleep(Duration::from_secs(seconds)).await?;
            Ok(vec![Node::text("greeting", format!("Hello, {name}"))])
        })
    }

    fn on_restart(&self) -> OnRestart {
        // It does no harm to greet twice.
        OnRestart::Requeue
    }
}

/// The queues and the endpoint, for the routes of this application.
struct Queues {
    greet: QueueHandle,
    endpoint: Endpoint,
}

#[derive(serde::Deserialize)]
struct Options {
    seconds: Option<u32>,
}

async fn index(queues: web::Data<Queues>) -> String {
    format!("Greetings: {}\n", queues.greet.summary().counts)
}

/// Submits an action. The token is the answer once the action is on disk.
async fn greet(
    request: HttpRequest,
    name: web::Path<String>,
    options: web::Query<Options>,
    queues: web::Data<Queues>,
) -> actix_web::Result<String> {
    // Or a form on any web page could make a browser of this machine send it.
    actiond::http::let_in(&queues.endpoint, &request).map_err(ErrorForbidden)?;
    let seconds = options.seconds.unwrap_or_default().to_string();
    let parameters = Parameters::from_iter([("Name", name.into_inner()), ("Seconds", seconds)]);
    let submission = Submission::new(parameters);
    let submitted = queues.greet.submit(submission).await.map_err(ErrorServiceUnavailable)?;
    let token = queues.endpoint.token_for(queues.greet.name(), submitted);
    token.ok_or_else(|| ErrorInternalServerError("no such queue"))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(8080), |port| port.parse())?;
    let directory = arguments.next().unwrap_or_else(|| "./greetings".to_owned());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let address = listener.local_addr()?;

    // From here on a signal does not kill this program at once.
    let asked_to_end = signals()?;
    let system =
        System::builder(directory).queue("Greet", QueueSettings::default(), Greet).start().await?;
    let greet_queue = system.queue("Greet").ok_or("no such queue")?;
    let endpoint = Endpoint::builder(system.clone())
        .mounted_at("/aci")
        .address("127.0.0.1", address.port())
        .idle_timeout(IDLE)
        .build();
    let queues = web::Data::new(Queues { greet: greet_queue, endpoint: endpoint.clone() });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(queues.clone())
            .route("/", web::get().to(index))
            .route("/greetings/{name}", web::post().to(greet))
            .service(web::scope("/aci").configure(actiond::http::configure(&endpoint)))
    })
    .keep_alive(IDLE)
    .shutdown_signal(async move {
        asked_to_end.await;
        // The queues first: their end answers the clients that wait for an action, and only then does HTTP stop.
        system.shutdown(GRACE).await;
    })
    .shutdown_timeout(5)
    .listen(listener)?
    .run();
    eprintln!("answers on http://{address}/");
    Ok(server.await?)
}

/// Waits for Ctrl-C or SIGTERM, from now on.
#[cfg(unix)]
fn signals() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
fn signals() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
