//! A real Chromium without a window, driven over `WebDriver`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator, elements::Element, error::ErrorStatus};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::server::{PATIENCE, Server, wait_until};
use crate::skip::skipped;

/// A browser, until this is dropped.
pub(super) struct Browser {
    driver: Child,
    runtime: Runtime,
    client: Client,
    /// The server whose pages are visited.
    base: String,
}

/// A command of the driver that `WebDriver` does not have.
#[derive(Debug)]
struct Raw(&'static str, Value);

impl WebDriverCompatibleCommand for Raw {
    fn endpoint(
        &self,
        base_url: &url::Url,
        session_id: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base_url.join(&format!("session/{}/{}", session_id.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    /// Starts one for the pages of a server; `None` if there is none here.
    pub(super) fn open(server: &Server) -> Option<Self> {
        let started = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = match started {
            Ok(driver) => driver,
            Err(error) => {
                skipped("the admin page in a browser", &format!("chromedriver: {error}"));
                return None;
            }
        };
        let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let rest = line.split_once("successfully on port ")?.1;
            rest.trim_end_matches('.').parse::<u16>().ok()
        });
        // What it says later nobody reads, but it must not wait for that.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let port = port.expect("the driver says its port");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let capabilities = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        let client = runtime.block_on(
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities)
                .connect(&format!("http://127.0.0.1:{port}")),
        );
        let client = client.expect("a session of the browser");
        let base = format!("http://localhost:{}", server.address.port());
        let browser = Self { driver, runtime, client, base };
        browser.sized(1300, 900);
        Some(browser)
    }

    pub(super) fn sized(&self, width: u32, height: u32) {
        self.runtime.block_on(self.client.set_window_size(width, height)).expect("a size");
    }

    /// Lets pages believe that their user likes it dark.
    pub(super) fn dark(&self) {
        let features = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        let command =
            json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.raw("goog/cdp/execute", command);
    }

    fn raw(&self, path: &'static str, body: Value) -> Value {
        self.runtime.block_on(self.client.issue_cmd(Raw(path, body))).expect("an answer")
    }

    /// Visits a page below `/admin`.
    pub(super) fn visit(&self, path: &str) {
        let url = format!("{}/admin{path}", self.base);
        self.runtime.block_on(self.client.goto(&url)).expect("a page");
    }

    /// The part of the address behind `/admin`.
    pub(super) fn place(&self) -> String {
        let url = self.runtime.block_on(self.client.current_url()).expect("an address");
        let all = url.as_str().to_owned();
        all.strip_prefix(&format!("{}/admin", self.base)).unwrap_or(&all).to_owned()
    }

    /// Waits for an element.
    pub(super) fn find(&self, css: &str) -> Element {
        let wait = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css));
        self.runtime.block_on(wait).unwrap_or_else(|error| panic!("no {css}: {error}"))
    }

    pub(super) fn is_there(&self, css: &str) -> bool {
        !self
            .runtime
            .block_on(self.client.find_all(Locator::Css(css)))
            .expect("a search")
            .is_empty()
    }

    /// The text of an element, as it is seen.
    pub(super) fn text(&self, css: &str) -> String {
        let element = self.find(css);
        match self.runtime.block_on(element.text()) {
            Ok(text) => text,
            // It was drawn again in that moment.
            Err(error) if error.is_stale() => self.text(css),
            Err(error) => panic!("no text of {css}: {error}"),
        }
    }

    /// The texts of all elements that there are.
    pub(super) fn texts(&self, css: &str) -> Vec<String> {
        let script =
            "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText.trim())";
        let texts = self.run(script, vec![json!(css)]);
        serde_json::from_value(texts).expect("texts")
    }

    pub(super) fn click(&self, css: &str) {
        self.runtime.block_on(self.find(css).click()).unwrap_or_else(|e| panic!("{css}: {e}"));
    }

    pub(super) fn fill(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.runtime.block_on(async {
            element.clear().await.expect("a field");
            element.send_keys(text).await.expect("a field");
        });
    }

    /// Presses keys where the user is.
    pub(super) fn press(&self, keys: &str) {
        let active = self.runtime.block_on(self.client.active_element()).expect("a place");
        self.runtime.block_on(active.send_keys(keys)).expect("keys");
    }

    /// Presses Tab until the user is at an element that looks like this.
    pub(super) fn tab_to(&self, css: &str) {
        for _ in 0..200 {
            self.press("\u{E004}");
            let script = "return document.activeElement.matches(arguments[0])";
            if self.run(script, vec![json!(css)]) == json!(true) {
                return;
            }
        }
        panic!("no way to {css} by Tab");
    }

    pub(super) fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let run = self.client.execute(script, arguments);
        self.runtime.block_on(run).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    pub(super) fn run_async(&self, script: &str) -> Value {
        let run = self.client.execute_async(script, Vec::new());
        self.runtime.block_on(run).unwrap_or_else(|error| panic!("a script: {error}"))
    }

    pub(super) fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        wait_until(what, || is_so(self));
    }

    /// Waits until the page hears of what happens.
    pub(super) fn wait_until_live(&self) {
        self.wait_for("a page that is live", |browser| browser.text("#live") == "Live");
    }

    /// Checks that the browser had nothing to complain of, such as what the policy of the pages forbids; these words stand in what was
    /// meant to fail.
    pub(super) fn has_no_complaint(&self, but: &[&str]) {
        let Value::Array(log) = self.raw("se/log", json!({ "type": "browser" })) else {
            panic!("it keeps a log");
        };
        let told = log.iter().map(|line| line["message"].as_str().unwrap_or_default());
        let bad: Vec<_> = told.filter(|line| !but.iter().any(|but| line.contains(but))).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }

    /// The picture of the page.
    pub(super) fn picture(&self) -> Vec<u8> {
        self.runtime.block_on(self.client.screenshot()).expect("a picture")
    }
}

/// Errors about an element that is no longer in the page.
trait Stale {
    fn is_stale(&self) -> bool;
}

impl Stale for fantoccini::error::CmdError {
    fn is_stale(&self) -> bool {
        matches!(self, Self::Standard(error) if error.error == ErrorStatus::StaleElementReference)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session.
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
