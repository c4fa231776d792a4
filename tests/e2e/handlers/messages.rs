//! Messages to receivers: their events and their forms.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::super::server::{Home, Server};
use super::http;
use super::receiver::{Came, Receiver};

/// Returns the only message about this action with this event.
fn of<'a>(came: &'a [Came], token: &str, event: &str) -> &'a Came {
    let is = |came: &&Came| {
        came.header("actiond-token") == token && came.header("actiond-event") == event
    };
    let found: Vec<_> = came.iter().filter(is).collect();
    assert_eq!(found.len(), 1, "{event} of {token}: {came:?}");
    found[0]
}

#[test]
fn each_end_is_told_as_get_status_shows_it() {
    let receiver = Receiver::new(&[]);
    let home = Home::new(&http(&receiver.url()).replace("OnStop=H", "OnStop=H\nOnStart=H"));
    let server = home.start();
    let finished = server.submit("&Name=Ada");
    server.wait_for_status(&finished, "Finished");
    let failed = server.submit("&Fail=no%20luck");
    server.wait_for_status(&failed, "Error");
    let stopped = server.submit("&Sleep=1000");
    server.wait_for_status(&stopped, "Processing");
    let cancelled = server.submit("");
    server.about("Process", "cancel", &cancelled).success();
    server.about("Process", "stop", &stopped).success();
    server.wait_for_status(&stopped, "Stopped");
    let came = receiver.wait_for(7);
    for (token, event) in [
        (&finished, "OnFinish"),
        (&failed, "OnError"),
        (&stopped, "OnStop"),
        (&cancelled, "OnCancel"),
    ] {
        let message = of(&came, token, event);
        let shown = server.about("Process", "getStatus", token).success();
        assert_eq!(message.body, shown.0, "{event}");
        assert_eq!(message.header("content-type"), "text/xml");
        assert_eq!(message.header("actiond-queue"), "Process");
    }
    for token in [&finished, &failed, &stopped] {
        let message = of(&came, token, "OnStart");
        assert!(message.body.contains("<status>Processing</status>"), "{}", message.body);
    }
    let mut ids: Vec<_> = came.iter().map(|came| came.header("webhook-id")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7, "each has an id of its own: {ids:?}");
}

#[test]
fn a_message_is_signed_and_has_the_form_that_is_asked_for() {
    let secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let receiver = Receiver::new(&[]);
    let more = format!("Secret=whsec_{secret}\nFormat=cloudevents\nBearerToken=t0ken\n");
    let server = Home::new(&(http(&receiver.url()) + &more));
    let server = server.start();
    let token = server.submit("&Name=Ada");
    let came = receiver.wait_for(1).remove(0);
    let event: serde_json::Value = serde_json::from_str(&came.body).expect("JSON");
    assert_eq!(came.header("content-type"), "application/cloudevents+json");
    assert_eq!(came.header("authorization"), "Bearer t0ken");
    assert_eq!(event["id"], came.header("webhook-id"));
    assert_eq!(event["type"], "actiond.action.finished");
    assert_eq!(event["subject"], token);
    assert_eq!(event["data"]["status"], "Finished");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(secret).expect("base64"));
    let (id, time) = (came.header("webhook-id"), came.header("webhook-timestamp"));
    let signed = hmac::sign(&key, format!("{id}.{time}.{}", came.body).as_bytes());
    assert_eq!(came.header("webhook-signature"), format!("v1,{}", STANDARD.encode(signed)));
    // Nothing of it is shown to others.
    let info = server.ask("EventInfo").success();
    assert!(!info.0.contains("t0ken") && !info.0.contains(secret), "{}", info.0);
}

#[test]
fn a_queue_tells_when_it_is_full_and_when_it_is_empty() {
    let receiver = Receiver::new(&[]);
    let queue = "MaxQueueSize=2\nOnQueueEvent=H\n[H]";
    let of_queue = http(&receiver.url()).replace("[H]", queue).replace("OnFinish=H\n", "");
    let server = Home::new(&of_queue).start_paused();
    let tokens = [server.submit(""), server.submit("")];
    assert_eq!(server.ask("Process").error().0, "ERRORQUEUEFULL");
    let told = |came: &[Came]| -> Vec<String> {
        let events = came.iter().filter(|came| came.header("actiond-event") == "OnQueueEvent");
        events.map(|came| came.body.clone()).collect()
    };
    let full = "<event><queueEventType>QueueFull</queueEventType><maxQueueSize>2</maxQueueSize><queueSize>2</queueSize></event>";
    super::wait_until("QueueFull", || {
        told(&receiver.came()).iter().any(|body| body.ends_with(full))
    });
    server.info("Process", "resume", "").success();
    for token in tokens {
        server.wait_for_status(&token, "Finished");
    }
    let empty =
        "<event><queueEventType>QueueEmpty</queueEventType><maxQueueSize>2</maxQueueSize></event>";
    super::wait_until("QueueEmpty", || {
        told(&receiver.came()).iter().any(|body| body.ends_with(empty))
    });
}

/// A server whose only queue is paused.
trait StartPaused {
    fn start_paused(&self) -> Server;
}

impl StartPaused for Home {
    fn start_paused(&self) -> Server {
        let server = self.start();
        server.info("Process", "pause", "").success();
        server
    }
}

#[test]
fn without_handlers_there_is_nothing_to_show() {
    let server = Home::new(super::super::server::CONFIG).start();
    let info = server.ask("EventInfo").success();
    assert_eq!(info.values("handler").len(), 0, "{}", info.0);
    let (code, why) = server.ask("EventInfo&Handler=H").error();
    assert_eq!(code, "ERRORPARAMINVALID");
    assert!(why.contains("none: this server has no handlers"), "{why}");
    let (_, why) = server.ask("EventInfo&EventAction=drop").error();
    assert!(why.contains("retry, discard"), "{why}");
}
