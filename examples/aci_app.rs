//! An actix-web application of your own with durable actions: a kind of action of its own, routes of its own that submit
//! actions and answer with ACI tokens, and the ACI endpoint under `/aci`.
//!
//! `cargo run --example aci_app -- [PORT [DIRECTORY]]`, and then
//!
//! ```sh
//! TOKEN=$(curl -sX POST "http://127.0.0.1:8080/greetings/Ada?seconds=5")
//! curl "http://127.0.0.1:8080/greetings/$TOKEN"
//! curl "http://127.0.0.1:8080/aci/action=QueueInfo&QueueName=Greet&QueueAction=getStatus&Token=$TOKEN&Wait=60"
//! curl "http://127.0.0.1:8080/aci/action=Help"
//! ```
//!
//! Ctrl-C or SIGTERM ends it; clients that wait are answered first. Queued actions are still there after a restart.

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use actiond::{
    ActionContext, Endpoint, Node, OnRestart, ParamKind, ParamSpec, Parameters, Perform, Progress,
    QueueHandle, QueueSettings, Submission, System, Work,
};
use actix_web::error::{
    ErrorForbidden, ErrorInternalServerError, ErrorNotFound, ErrorServiceUnavailable,
};
use actix_web::{App, HttpRequest, HttpServer, web};

/// Time for which an idle connection is kept. The endpoint tells clients, so both the server and the endpoint get it.
const IDLE: Duration = Duration::from_secs(30);

/// Time that running actions get once the application is asked to end.
const GRACE: Duration = Duration::from_secs(2);

/// Parameters of a greeting, for the help and for the check of what ACI clients send.
const GREETING: [ParamSpec; 2] = [
    ParamSpec::optional("Name", ParamKind::Text, "Who is greeted; the world if not set."),
    ParamSpec::optional(
        "Seconds",
        ParamKind::Integer { min: 0, max: 3600 },
        "How long it takes; 0 if not set.",
    ),
];

/// The kind of action of this application: greets somebody, after some seconds if it is told to.
struct Greet;

impl Perform for Greet {
    fn perform(&self, context: ActionContext) -> Work {
        Work::task(async move {
            let name = context.parameters().get("Name").unwrap_or("world").to_owned();
            // Any error ends the action in Error, with its text for the client.
            let seconds: u32 = context.parameters().get("Seconds").unwrap_or("0").parse()?;
            for second in 0..seconds {
                context.sleep(Duration::from_secs(1)).await?; // pauses and stops take effect here
                let done = 100.0 * f64::from(second + 1) / f64::from(seconds);
                context.set_progress(Progress::of_percent(done));
            }
            Ok(vec![Node::text("greeting", format!("Hello, {name}"))])
        })
    }

    fn can_pause(&self) -> bool {
        true
    }

    fn on_restart(&self) -> OnRestart {
        // It does no harm to greet twice. The default would end in Error what runs when the application goes down.
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
    actiond::let_in(&queues.endpoint, &request).map_err(ErrorForbidden)?;
    let seconds = options.seconds.unwrap_or_default().to_string();
    let parameters = Parameters::from_iter([("Name", name.into_inner()), ("Seconds", seconds)]);
    let submission = Submission::new(parameters);
    let submitted = queues.greet.submit(submission).await.map_err(ErrorServiceUnavailable)?;
    let token = queues.endpoint.token_for(queues.greet.name(), submitted);
    token.ok_or_else(|| ErrorInternalServerError("no such queue"))
}

/// Tells in a line how an action stands.
async fn greeting(
    token: web::Path<String>,
    queues: web::Data<Queues>,
) -> actix_web::Result<String> {
    let unknown = || ErrorNotFound("no such greeting");
    let (queue, action) = queues.endpoint.action_for(&token).ok_or_else(unknown)?;
    let status = queue.status(action.id).await.map_err(|_| unknown())?;
    // The id of a token from another data directory may be that of another action.
    if status.record.queued_at != action.queued_at {
        return Err(unknown());
    }
    Ok(format!("{}: {:?}\n", status.record.state, status.record.report))
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
        .describe_and_check("Greet", "Greets somebody.", GREETING)
        .idle_timeout(IDLE)
        .build();
    let queues = web::Data::new(Queues { greet: greet_queue, endpoint: endpoint.clone() });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(queues.clone())
            .route("/", web::get().to(index))
            .route("/greetings/{name}", web::post().to(greet))
            .route("/greetings/{token}", web::get().to(greeting))
            .service(web::scope("/aci").configure(actiond::configure(&endpoint)))
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
