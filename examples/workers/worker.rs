//! A worker for actiond in Rust, with the ACI client of the package `actiond-aci` (feature `client-tls`).
//!
//! ```sh
//! cargo run --example worker -- http://localhost:7000 Render [NAME]
//! ```
//!
//! It takes actions of the queue Render one after the other, does them in `work`, and reports. Several queues are named with
//! commas between them. If the environment has `ACTIOND_KEY`, that is sent as the key.
//!
//! Put your own work into `work`. Await `job.checkpoint()` often: it waits while the action is paused, and fails once that is to
//! stop. Return XML, JSON or any text; fail with `End::Fatal` where another attempt would only fail again.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actiond::aci::client::{Client, Fault, Trust};
use actiond::aci::element::{Content, Element};
use actiond::aci::request::{PairValue, Pairs};
use actiond::aci::shown::ShownParameter;
use tokio::sync::watch;
use tokio::time::sleep;

/// The work of one action. This one only sleeps, in steps.
async fn work(job: &Job) -> Result<String, End> {
    let steps: u32 = job.text("Steps").unwrap_or("10").parse()?;
    let pause: f64 = job.text("StepSecs").unwrap_or("0.1").parse()?;
    for step in 1..=steps {
        job.checkpoint().await?;
        sleep(Duration::try_from_secs_f64(pause)?).await;
        let percent = 100.0 * f64::from(step) / f64::from(steps);
        job.progress(
            percent,
            &format!("step {step} of {steps}"),
            &format!("{{\"steps\": {step}}}"),
        );
    }
    if let Some(why) = job.text("Fail") {
        return Err(End::Failed(why.to_owned()));
    }
    Ok(format!("{{\"steps\": {steps}, \"language\": \"Rust\"}}"))
}

/// The reason why work ended without a result.
enum End {
    /// The action is to stop, or this program is to end.
    Stopped,
    /// The action is not this worker's any more.
    Lost,
    /// The action failed. Another attempt may succeed.
    Failed(String),
    /// The action failed, and would fail again.
    Fatal(String),
}

impl<E: Error> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The reason why the server did not do what it was asked.
enum Refusal {
    /// The action is not this worker's any more.
    Lost,
    /// The server does not want this request, now or later.
    Refused(String),
    /// The server may do it later.
    Unavailable(String),
}

impl Refusal {
    fn of(fault: &Fault) -> Self {
        match fault {
            Fault::Refused(told) if told.code == "ERRORWORKLOST" => Self::Lost,
            Fault::Refused(told) if told.code != "ERRORUNAVAILABLE" => {
                Self::Refused(told.to_string())
            }
            Fault::Status(status) if *status < 500 && ![408, 429].contains(status) => {
                Self::Refused(fault.to_string())
            }
            _ => Self::Unavailable(fault.to_string()),
        }
    }
}

type Told = Vec<(&'static str, String)>;

/// Sends a request again until it is answered, for this long.
async fn call(server: &Client, patience: Duration, told: Told) -> Result<Vec<Element>, Refusal> {
    let (began, mut pause) = (Instant::now(), Duration::from_millis(200));
    loop {
        let fault = match server.send("QueueWork", Pairs::from_iter(told.clone())).await {
            Ok(reply) => return Ok(reply.data),
            Err(error) => error.fault,
        };
        match Refusal::of(&fault) {
            Refusal::Unavailable(why) if began.elapsed() + pause < patience => {
                eprintln!("{why}; again in {pause:?}");
                sleep(pause).await;
                pause = (2 * pause).min(Duration::from_secs(10));
            }
            refusal => return Err(refusal),
        }
    }
}

/// The wish of whoever steers the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Run,
    Pause,
    Stop,
    Lost,
}

/// An action that this worker has.
struct Job {
    server: Client,
    worker: String,
    token: String,
    attempt: String,
    lease: Duration,
    given: Vec<Element>,
    parameters: HashMap<String, PairValue>,
    wish: watch::Sender<Wish>,
    ending: watch::Receiver<bool>,
    /// The news that the next heartbeat brings.
    news: Mutex<Told>,
}

impl Job {
    fn new(
        server: &Client,
        worker: &str,
        ending: &watch::Receiver<bool>,
        taken: &Element,
    ) -> Option<Self> {
        let lease: f64 = text_of(taken, "leasesecs")?.parse().ok()?;
        Some(Self {
            server: server.clone(),
            worker: worker.to_owned(),
            token: text_of(taken, "token")?.to_owned(),
            attempt: text_of(taken, "attempt")?.to_owned(),
            lease: Duration::try_from_secs_f64(lease).ok()?,
            given: child(taken, "parameters").map(|all| elements(all).to_vec()).unwrap_or_default(),
            parameters: HashMap::new(),
            wish: watch::Sender::new(Wish::Run),
            ending: ending.clone(),
            news: Mutex::default(),
        })
    }

    /// Reads the parameters: text, or bytes where it is no text. Their names may be in any case.
    fn read(&mut self) -> Result<(), End> {
        for element in &self.given {
            let text = match &element.content {
                Content::Text(text) => Some(text.clone()),
                // An empty element: it has a value beside it, or was too long to be sent.
                Content::Elements(_) => None,
            };
            let shown = ShownParameter { attributes: element.attributes.clone(), text };
            let Some((name, value)) = shown.read() else {
                return Err(End::Fatal(format!(
                    "a parameter can't be read: {:?}",
                    shown.attributes
                )));
            };
            self.parameters.entry(name.to_lowercase()).or_insert(value);
        }
        Ok(())
    }

    /// Returns a parameter that is text.
    fn text(&self, name: &str) -> Option<&str> {
        match self.parameters.get(&name.to_lowercase())? {
            PairValue::Text(text) => Some(text),
            PairValue::Bytes(_) => None,
        }
    }

    /// Waits while the action is paused.
    async fn checkpoint(&self) -> Result<(), End> {
        let (mut wish, mut ending) = (self.wish.subscribe(), self.ending.clone());
        let not_paused =
            async { wish.wait_for(|wish| *wish != Wish::Pause).await.map(|wish| *wish) };
        let wish = tokio::select! {
            biased;
            _ = ending.wait_for(|is_ending| *is_ending) => Wish::Stop,
            wish = not_paused => wish.unwrap_or(Wish::Lost),
        };
        match wish {
            Wish::Run | Wish::Pause => Ok(()),
            Wish::Stop => Err(End::Stopped),
            Wish::Lost => Err(End::Lost),
        }
    }

    /// Shows how far the work is. The partial result is kept if the action is stopped.
    fn progress(&self, percent: f64, stage: &str, partial: &str) {
        let (percent, stage) = (format!("{percent:.3}"), stage.to_owned());
        *self.news() =
            vec![("Progress", percent), ("Stage", stage), ("Partial", partial.to_owned())];
    }

    fn news(&self) -> std::sync::MutexGuard<'_, Told> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn say(
        &self,
        word: &str,
        patience: Duration,
        more: Told,
    ) -> Result<Vec<Element>, Refusal> {
        let (token, attempt) = (self.token.clone(), self.attempt.clone());
        let named = [("WorkAction", word.to_owned()), ("Token", token), ("Attempt", attempt)];
        call(&self.server, patience, named.into_iter().chain(more).collect()).await
    }

    /// Says every two seconds that the worker lives, and hears of a pause or a stop at once.
    async fn keep(&self) {
        let mut heard = Instant::now();
        while *self.wish.borrow() != Wish::Lost {
            let wait =
                self.lease.div_f64(3.0).min(Duration::from_secs(2)).as_secs_f64().to_string();
            let mut news = vec![("Worker", self.worker.clone()), ("Wait", wait)];
            news.append(&mut self.news());
            let wish = match self.say("heartbeat", Duration::ZERO, news).await {
                Ok(data) => {
                    heard = Instant::now();
                    match data.iter().find(|element| element.name == "wish").and_then(text) {
                        Some("pause") => Wish::Pause,
                        Some("stop") => Wish::Stop,
                        Some("force") => Wish::Lost,
                        _ => Wish::Run,
                    }
                }
                // The server may be starting again. Work goes on for as long as the lease may hold.
                Err(Refusal::Unavailable(_)) if heard.elapsed() < 10 * self.lease => {
                    sleep(Duration::from_millis(500)).await;
                    continue;
                }
                Err(_) => Wish::Lost,
            };
            self.wish.send_replace(wish);
        }
    }

    /// Says how it ended. What the server does not take will not be taken later: the action fails, and says why.
    async fn tell(&self, word: &str, told: Told) -> Result<(), Refusal> {
        const PATIENCE: Duration = Duration::from_secs(600);
        match self.say(word, PATIENCE, told).await {
            Err(Refusal::Refused(why)) => {
                let why: String = format!("{word} was refused: {why}").chars().take(1000).collect();
                let told = vec![("Error", why), ("Retry", "false".to_owned())];
                self.say("fail", PATIENCE, told).await.map(drop)
            }
            said => said.map(drop),
        }
    }

    async fn run(mut self) {
        let is_readable = self.read();
        let job = Arc::new(self);
        let kept = tokio::spawn({
            let job = Arc::clone(&job);
            async move { job.keep().await }
        });
        let done = match is_readable {
            Ok(()) => work(&job).await,
            Err(end) => Err(end),
        };
        kept.abort();
        let told = match done {
            Ok(result) => job.tell("finish", vec![("Result", result)]).await,
            Err(End::Lost) => Ok(()),
            Err(End::Stopped) => {
                let news = std::mem::take(&mut *job.news());
                if !news.is_empty() {
                    // The part of the result that was not told yet.
                    job.say("heartbeat", Duration::from_secs(5), news).await.ok();
                }
                job.tell("release", Vec::new()).await
            }
            Err(End::Failed(why)) => job.tell("fail", vec![("Error", why)]).await,
            Err(End::Fatal(why)) => {
                job.tell("fail", vec![("Error", why), ("Retry", "false".to_owned())]).await
            }
        };
        if let Err(Refusal::Refused(why) | Refusal::Unavailable(why)) = told {
            eprintln!("{why}");
        }
    }
}

fn elements(element: &Element) -> &[Element] {
    match &element.content {
        Content::Elements(elements) => elements,
        Content::Text(_) => &[],
    }
}

fn child<'a>(element: &'a Element, name: &str) -> Option<&'a Element> {
    elements(element).iter().find(|child| child.name == name)
}

fn text(element: &Element) -> Option<&str> {
    match &element.content {
        Content::Text(text) => Some(text),
        Content::Elements(_) => None,
    }
}

fn text_of<'a>(element: &'a Element, name: &str) -> Option<&'a str> {
    child(element, name).and_then(text)
}

/// Makes the client of a server: `http://HOST:PORT` or `https://HOST:PORT`.
fn client(address: &str) -> Result<Client, Box<dyn Error>> {
    let (scheme, rest) = address.split_once("://").ok_or("the address must be a URL")?;
    let (host, port) =
        rest.trim_end_matches('/').rsplit_once(':').ok_or("the address has no port")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // Longer than anything that a request waits for.
    let mut builder = Client::builder(host, port.parse()?).timeout(Duration::from_secs(35));
    if scheme == "https" {
        builder = builder.https(Trust::System);
    }
    if let Ok(key) = std::env::var("ACTIOND_KEY") {
        builder = builder.header("Authorization", format!("Bearer {key}"));
    }
    Ok(builder.build()?)
}

/// Becomes true once this program is to end.
fn ending() -> std::io::Result<watch::Receiver<bool>> {
    let (told, ending) = watch::channel(false);
    #[cfg(unix)]
    let mut terminate = {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate())?
    };
    #[cfg(unix)]
    let terminated = async move { terminate.recv().await };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminated => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        told.send_replace(true);
    });
    Ok(ending)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "worker ADDRESS QUEUES [NAME]";
    let server = client(&arguments.next().ok_or(usage)?)?;
    let queues = arguments.next().ok_or(usage)?;
    let name = arguments.next().unwrap_or_else(|| format!("rust-{}", std::process::id()));
    let ending = ending()?;
    while !*ending.borrow() {
        // No longer than it may take to end: an action whose reply is broken off is missing for the time of its lease.
        let take =
            [("WorkAction", "take"), ("QueueName", &queues), ("Worker", &name), ("Wait", "5")];
        let take = take.map(|(name, value)| (name, value.to_owned())).to_vec();
        let taken = match call(&server, Duration::from_secs(20), take).await {
            Ok(data) => data,
            Err(Refusal::Refused(why)) => return Err(why.into()),
            Err(Refusal::Lost | Refusal::Unavailable(_)) => continue,
        };
        for taken in taken.iter().filter(|element| element.name == "work") {
            if let Some(job) = Job::new(&server, &name, &ending, taken) {
                job.run().await;
            }
        }
    }
    Ok(())
}
