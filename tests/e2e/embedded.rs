//! The endpoint in an actix-web application that is none of ours, beside other routes.

use std::time::Duration;

use actiond::front::Endpoint;
use actiond::http::configure;
use actiond::kinds::echo::Echo;
use actiond::metrics::Metrics;
use actiond_actors::{QueueSettings, System};
use actix_web::dev::{Payload, Service as _};
use actix_web::error::PayloadError;
use actix_web::http::Version;
use actix_web::{App, middleware, test, web};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::poll_immediate;
use futures_util::stream::{once, pending};

use super::metrics::Scrape;
use super::server::PATIENCE;

async fn system() -> (tempfile::TempDir, System) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let building = System::builder(directory.path());
    let system = building.queue("Process", QueueSettings::default(), Echo).start().await;
    (directory, system.expect("the system"))
}

/// Replies of an application that has an endpoint under `/a` and another under `/v1/b`, whatever their builders
/// are told of that.
async fn ask(targets: &[&str], mounted: [&str; 2]) -> Vec<String> {
    let (_directory, system) = system().await;
    let build = |at: &str| -> Endpoint { Endpoint::builder(system.clone()).mounted_at(at).build() };
    let [a, b] = mounted.map(build);
    let app = App::new()
        .wrap(middleware::DefaultHeaders::new().add(("x-own", "1")))
        .route("/", web::get().to(|| async { "own page" }))
        .route("/ab", web::get().to(|| async { "own page" }))
        .service(web::scope("/a").configure(configure(&a)))
        .service(web::scope("/v1").service(web::scope("/b").configure(configure(&b))));
    let app = test::init_service(app).await;
    let mut replies = Vec::new();
    for target in targets {
        let request = test::TestRequest::get().uri(target).to_request();
        let reply = test::call_and_read_body(&app, request).await;
        replies.push(String::from_utf8_lossy(&reply).into_owned());
    }
    system.shutdown(Duration::ZERO).await;
    replies
}

#[actix_web::test]
async fn an_endpoint_answers_under_its_scope_and_nowhere_else() {
    for mounted in [["/a", "/v1/b"], ["/a/", "v1/b/"], ["a", "v1/b"]] {
        let own = ask(&["/", "/ab"], mounted).await;
        assert_eq!(own, ["own page", "own page"]);
        for scope in ["/a", "/v1/b"] {
            let forms = [
                "/a=GetPid",
                "/action=GetPid",
                "?action=GetPid",
                "/?a=GetPid",
                "/action=GetPid?Name=Ada",
            ];
            // A proxy sends whole addresses, and so does every client of HTTP/2.
            let targets = forms
                .map(|form| [format!("{scope}{form}"), format!("http://localhost:1{scope}{form}")]);
            let targets: Vec<&str> = targets.as_flattened().iter().map(String::as_str).collect();
            for (target, reply) in targets.iter().zip(ask(&targets, mounted).await) {
                assert!(reply.contains("<autn:pid>"), "{target} {mounted:?}: {reply}");
            }
        }
    }
}

/// Only the application knows what its server does, and HTTP/2 has no such header.
#[actix_web::test]
async fn replies_say_how_long_a_connection_stays_open_where_the_application_does() {
    let (_directory, system) = system().await;
    let plain = Endpoint::builder(system.clone()).build();
    let told = Endpoint::builder(system).idle_timeout(Duration::from_secs(5)).build();
    for (endpoint, version, wanted) in [
        (&plain, Version::HTTP_11, None),
        (&told, Version::HTTP_11, Some("timeout=3")),
        (&told, Version::HTTP_10, None),
        (&told, Version::HTTP_2, None),
    ] {
        let app = test::init_service(App::new().configure(configure(endpoint))).await;
        let request = test::TestRequest::get().uri("/a=getpid").version(version).to_request();
        let reply = test::call_service(&app, request).await;
        let header = reply.headers().get("keep-alive").map(|value| value.to_str().unwrap());
        assert_eq!(header, wanted, "{version:?}");
    }
}

/// An application makes its routes in each worker anew.
#[actix_web::test]
async fn the_bodies_of_all_workers_share_one_budget() {
    const LARGEST: usize = 640 << 10;
    let (_directory, system) = system().await;
    let endpoint =
        Endpoint::builder(system).limits(64_000, LARGEST).max_upload_memory(2 * LARGEST).build();
    let worker = async || test::init_service(App::new().configure(configure(&endpoint))).await;
    let (first, second) = (worker().await, worker().await);
    // All of a body but its end, which does not come.
    let body = || {
        let begun = once(async { Ok::<_, PayloadError>(Bytes::from(vec![b'x'; LARGEST])) });
        let request = test::TestRequest::post().uri("/a=GetPid").to_request();
        request.replace_payload(Payload::from(begun.chain(pending()).boxed_local())).0
    };
    let mut held = [first.call(body()), first.call(body())].map(Box::pin);
    for held in &mut held {
        assert!(poll_immediate(held).await.is_none());
    }
    let whole = test::TestRequest::post().uri("/a=GetPid").set_payload(vec![b'x'; LARGEST]);
    let mut waits = Box::pin(second.call(whole.to_request()));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut waits).await;
    assert!(early.is_err(), "there was memory for it");
    drop(held);
    let reply = tokio::time::timeout(PATIENCE, waits).await.expect("an answer").expect("a reply");
    let reply = test::read_body(reply).await;
    assert!(String::from_utf8_lossy(&reply).contains("<autn:pid>"), "{reply:?}");
}

/// An application names its queues as it likes. Whatever is in a name is one label, and a scope may be around the endpoint.
#[actix_web::test]
async fn metrics_are_below_the_scope_and_odd_names_stay_one_label() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let metrics = Metrics::default();
    let building = System::builder(directory.path()).observer(metrics.observer());
    let odd = ["größe/b c", "a\"b}", "back\\slash", "two\nlines", "GetStatus", "a:b"];
    let building = odd
        .iter()
        .fold(building, |building, name| building.queue(*name, QueueSettings::default(), Echo));
    let system = building.start().await.expect("the system");
    let endpoint = Endpoint::builder(system.clone()).mounted_at("/aci").metrics(metrics).build();
    let plain = Endpoint::builder(system.clone()).mounted_at("/plain").build();
    let app = App::new()
        .service(web::scope("/aci").configure(configure(&endpoint)))
        .service(web::scope("/plain").configure(configure(&plain)));
    let app = test::init_service(app).await;
    let get = async |target: &str| {
        let request = test::TestRequest::get().uri(target).to_request();
        String::from_utf8(test::call_and_read_body(&app, request).await.to_vec()).expect("UTF-8")
    };
    get("/aci/action=GetPid").await;
    let scrape = Scrape::read(get("/aci/metrics").await);
    for label in ["größe/b c", "a\\\"b}", "back\\\\slash", "two\\nlines", "GetStatus", "a:b"] {
        assert_eq!(scrape.value(&format!("actiond_queue_up{{queue=\"{label}\"}}")), 1.0, "{label}");
    }
    let requests =
        "actiond_http_requests_total{port=\"aci\",action=\"GetPid\",outcome=\"success\"}";
    assert_eq!(scrape.value(requests), 1.0);
    // An endpoint without them has no such route.
    assert!(get("/plain/metrics").await.contains("<autnresponse"));
    system.shutdown(Duration::ZERO).await;
}
