//! The actions of the service port where a program has the endpoint for a part of it.

use std::time::Duration;

use actiond::front::{Endpoint, Port};
use actiond::http::configure_port;
use actiond::kinds::echo::Echo;
use actiond::service::SERVICE_ACTIONS;
use actiond_actors::{QueueSettings, System};
use actix_web::{App, test};

use super::Told;
use super::statistics::figures;

const ODD: &str = "\"R&D\" </RESPONSEDATA>";

#[actix_web::test]
async fn what_such_a_server_has_not_it_says_so() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let building = System::builder(directory.path());
    // A program may have a queue whose name XML has other uses for.
    let names = ["Process", ODD];
    let building = names
        .into_iter()
        .fold(building, |building, name| building.queue(name, QueueSettings::default(), Echo));
    let system = building.start().await;
    let system = system.expect("the system");
    let endpoint =
        Endpoint::builder(system.clone()).access(actiond::access::Access::open()).build();
    let app =
        test::init_service(App::new().configure(configure_port(&endpoint, Port::Service))).await;
    let ask = async |target: &str| {
        let request = test::TestRequest::get().uri(target).to_request();
        String::from_utf8_lossy(&test::call_and_read_body(&app, request).await).into_owned()
    };
    for spec in SERVICE_ACTIONS {
        let text = ask(&format!("/action={}", spec.name)).await;
        match spec.name {
            "GetConfig" | "ValidateConfig" | "ReloadConfig" => {
                let told = Told::read(&text);
                assert!(told.error().contains("has no configuration file"), "{told:?}");
            }
            "GetStatusInfo" => assert!(text.starts_with("[StatusInfo]"), "{text}"),
            // Nobody has given it metrics, so it tells what the queues know.
            "GetStatistics" => {
                let figures = figures(&Told::read(&text));
                for queue in names {
                    let key = ["Queue", queue, "Queued"].map(str::to_owned);
                    assert_eq!(figures.get(&key), Some(&(6, 0.0)), "{text}");
                }
                assert!(!figures.keys().any(|[class, ..]| class == "Requests"), "{text}");
            }
            "GetLogStream" => {
                let told = Told::read(&text);
                assert!(told.error().contains("Name"), "{told:?}");
                let told = Told::read(&ask("/action=GetLogStream&Name=%3Ca%3E").await);
                assert!(told.error().contains("<a>"), "{told:?}");
            }
            _ => assert_ne!(Told::read(&text).response, "ERROR", "{text}"),
        }
    }
    system.shutdown(Duration::ZERO).await;
}
