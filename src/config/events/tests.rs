use std::time::Duration;

use actiond_actors::outbox::EventHandlers;

use super::super::{Overrides, Settings, load};
use super::*;
use crate::events::handlers::http::Receiver;
use crate::kinds::Kinds;

fn read(text: &str) -> (Settings, Vec<String>) {
    let (settings, warnings) = Settings::parse(text, "t").unwrap();
    (settings, warnings.iter().map(ToString::to_string).collect())
}

const QUEUES: &str = "[AsyncActions]\n0=A\n1=B\n[A]\nType=Echo\n[B]\nType=Echo\n";
const HTTP: &str = "[Http]\nLibraryName=HttpHandler\nURL=https://a.example/x\n";

#[test]
fn a_queue_has_its_own_handlers_or_those_of_all() {
    let text = format!(
        "{QUEUES}OnFinish=\nOnError=File,http,FILE\nMaxQueueSize=10\nOnQueueEvent=Http\nQueueFillingThreshold=0.6\n\
         [Actions]\nOnFinish=Http\nOnStart=File\n{HTTP}[File]\nLibraryName=textfilehandler\nFilePath=a.jsonl\nFormat=JSON\n"
    );
    let (settings, warnings) = read(&text);
    assert_eq!(warnings, [""; 0]);
    let names: Vec<_> = settings.events.handlers.iter().map(|handler| &*handler.name).collect();
    assert_eq!(names, ["File", "Http"]);
    let [a, b] = &settings.queues[..] else { panic!("{settings:?}") };
    let heard = |queue: &QueueConfig| -> Vec<_> {
        queue.limits.handlers.iter().map(|(kind, name)| format!("{kind} {name}")).collect()
    };
    assert_eq!(heard(a), ["OnStart File", "OnFinish Http"]);
    let all = ["OnStart File", "OnError File", "OnError Http", "OnError File", "OnQueueEvent Http"];
    assert_eq!(heard(b), all);
    assert_eq!((a.limits.filling_threshold, a.limits.emptying_threshold), (0.75, 0.5));
    assert_eq!((b.limits.filling_threshold, b.limits.emptying_threshold), (0.6, 0.5));
    let Library::TextFile(file) = &settings.events.handlers[0].library else { panic!() };
    assert_eq!((file.path.to_str(), file.format), (Some("a.jsonl"), Format::Json));
    assert_eq!((file.max_bytes, file.max_old_files), (Some(102_400 * 1_024), Some(10)));
}

#[test]
fn without_keys_nothing_is_heard_and_no_address_may_be_named() {
    let (settings, _) = read("");
    assert!(settings.events.handlers.is_empty() && settings.events.callbacks.is_none());
    assert!(settings.queues.iter().all(|queue| queue.limits.handlers.is_empty()));
}

#[test]
fn an_http_handler_has_all_of_its_keys() {
    let text = format!(
        "[Actions]\nOnFinish=Http\n{HTTP}Method=put\nFormat=CloudEvents\nRetries=3\nRetryInterval=7\nTimeoutSecs=9\n\
         MaxInFlight=2\nMaxPending=5\nBasicUser=ada\nBasicPassword=s3cret\nHeaders=X-A: 1,\"X-B: 2,3\"\n\
         ProxyHost=::1\nProxyPort=3128\nProxyUsername=u\nProxyPassword=p4ss\n\
         Secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nAllowedHosts=*.example\n"
    );
    let (settings, warnings) = read(&text);
    assert_eq!(warnings, [""; 0]);
    let [HandlerConfig { library: Library::Http(http), delivery, .. }] =
        &settings.events.handlers[..]
    else {
        panic!()
    };
    let expected = HandlerSettings {
        retries: 3,
        retry_interval: Duration::from_secs(7),
        max_retry_interval: Duration::from_secs(300),
        max_in_flight: 2,
        max_pending: 5,
    };
    assert_eq!(*delivery, expected);
    assert_eq!((http.method.as_str(), http.format), ("PUT", Format::CloudEvents));
    assert_eq!((http.timeout, http.connections, http.keys.len()), (Duration::from_secs(9), 2, 2));
    assert_eq!(http.receiver, Receiver::One("https://a.example/x".parse().unwrap()));
    let headers = &http.headers;
    let all = [("authorization", "Basic YWRhOnMzY3JldA=="), ("x-a", "1"), ("x-b", "2,3")];
    assert!(all.iter().all(|(name, value)| headers[*name] == *value) && headers.len() == 3);
    let proxy = http.proxy.as_ref().unwrap();
    assert_eq!((&*proxy.host, proxy.port), ("[::1]", 3128));
    let shown = format!("{settings:?}");
    let secrets = ["s3cret", "YWRh", "p4ss", "MfKQ9r8"];
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
}

#[test]
fn submissions_may_name_addresses_if_hosts_are_allowed() {
    let (settings, warnings) = read("[Actions]\nAllowedCallbackHosts=a.example, 10.0.0.0/8\n");
    assert_eq!(warnings, [""; 0]);
    let callbacks = settings.events.callbacks.unwrap();
    assert_eq!(callbacks.allowed_hosts.len(), 2);
    assert_eq!(callbacks.http.receiver, Receiver::OfEvent(callbacks.allowed_hosts.clone()));
    assert_eq!((callbacks.http.format, callbacks.delivery.retries), (Format::Xml, 10));
    assert_eq!(callbacks.delivery.max_in_flight, 16);
    assert!(settings.events.handlers.is_empty());
    let expected = EventHandlers::default().callbacks("CallbackURL");
    assert!(settings.queues.iter().all(|queue| queue.limits.handlers == expected));

    let text = "[Actions]\nAllowedCallbackHosts=a.example\nCallbackHandler=Back\n[Back]\nLibraryName=HttpHandler\nFormat=json\nRetries=2\nMaxInFlight=4\nSecret=MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
    let callbacks = read(text).0.events.callbacks.unwrap();
    assert_eq!((callbacks.http.format, callbacks.delivery.retries), (Format::Json, 2));
    assert_eq!(callbacks.delivery.max_in_flight, 4, "as it is set");
    assert_eq!(callbacks.http.keys.len(), 1);
    for text in ["", "[Actions]\nAllowedCallbackHosts=\n"] {
        assert!(read(text).0.events.callbacks.is_none());
    }
    let (_, warnings) = read("[Actions]\nAllowedCallbackHosts=*\n");
    assert!(warnings[0].contains("AllowedCallbackHosts lets whoever may submit"), "{warnings:?}");
    let (_, warnings) = read(&text.replace("AllowedCallbackHosts=a.example\n", ""));
    assert!(warnings[0].contains("CallbackHandler has no effect"), "{warnings:?}");
}

#[test]
fn what_can_not_be_used_stops_the_start_with_its_place() {
    let http = |lines: &str| format!("[Actions]\nOnFinish=Http\n{HTTP}{lines}\n");
    let callback = |lines: &str| {
        format!(
            "[Actions]\nAllowedCallbackHosts=a.example\nCallbackHandler=H\n[H]\nLibraryName=HttpHandler\n{lines}\n"
        )
    };
    for (text, want) in [
        ("[Actions]\nOnStop=None\n".to_owned(), "t:2: [Actions] OnStop=None: names None, and there is no section [None]"),
        ("[Process]\nType=Echo\nOnError=X\n".to_owned(), "t:3: [Process] OnError=X: names X, and there is no section"),
        ("[Actions]\nOnStop=Process\n[Process]\nType=Echo\n".to_owned(), "has another meaning"),
        ("[Actions]\nOnStop=Server\n[Server]\n".to_owned(), "has another meaning"),
        ("[Actions]\nOnStop=CallbackURL\n[CallbackURL]\nLibraryName=LuaHandler\n".to_owned(), "has another meaning"),
        ("[Actions]\nOnStop=H\n[H]\n".to_owned(), "t:3: [H] LibraryName: is missing: it must be one of HttpHandler,"),
        ("[Actions]\nOnStop=H\n[H]\nLibraryName=X\n".to_owned(), "t:4: [H] LibraryName=X: must be one of HttpHandler"),
        ("[Actions]\nOnStop=H\n[H]\nLibraryName=HttpHandler\n".to_owned(), "t:3: [H] URL: is missing"),
        ("[Actions]\nOnStop=H\n[H]\nLibraryName=TextFileHandler\n".to_owned(), "t:3: [H] FilePath: is missing"),
        ("[Actions]\nOnStop=H\n[H]\nLibraryName=LuaHandler\n".to_owned(), "t:3: [H] LuaScript: is missing"),
        ("[Actions]\nOnStop=H\n[H]\nLibraryName=CommandHandler\n".to_owned(), "t:3: [H] Command: is missing"),
        ("[Actions]\nOnStop=H\n[H]\nLibraryName=CommandHandler\nCommand=a 'b\n".to_owned(), "has a quote that is not closed"),
        (http("URL=ftp://a.example"), "must be an address with http:// or https:// in front"),
        (http("URL=http://u:p@a.example"), "URL=***: must be an address without user and password: those are BasicUser"),
        (http("AllowedHosts=b.example"), "has a host that is none of AllowedHosts"),
        (http("AllowedHosts=a.example,http://b"), "AllowedHosts=a.example,http://b: has http://b: it must be names such as"),
        ("[Actions]\nQueueFillingThreshold=2\n".to_owned(), "t:2: [Actions] QueueFillingThreshold=2: must be"),
        (http("AllowedHost=a.example"), "Is AllowedHosts meant?"),
        (http("Format=yaml"), "Format=yaml: must be one of xml, json, simplejson, cloudevents"),
        (http("Method=GET"), "must be one of POST, PUT, PATCH"),
        (http("BearerToken=x\nBasicUser=u"), "BearerToken=***: can't stand beside BasicUser"),
        (http("BasicPassword=x"), "BasicPassword=***: needs BasicUser"),
        (http("BasicUser=a:b"), "must have no colon"),
        (http("ProxyPort=1"), "needs ProxyHost"),
        (http("ProxyHost=a"), "needs ProxyPort"),
        (http("ProxyHost=a\nProxyPort=1\nProxyPassword=x"), "needs ProxyUsername"),
        (http("Headers=X-A"), "Headers=***: must be NAME: VALUE"),
        (http("Headers=Content-Type: x"), "sets content-type, which is the server's own"),
        (http("Headers=Webhook-Id: x"), "sets webhook-id, which"),
        (http("Secret=topsecret"), "Secret=***: must be base64 of 24 to 64 bytes"),
        (http("SSLConfig=T"), "SSLConfig=T: has no section [T]"),
        (http("SSLConfig=T\n[T]\nSSLCertificate=a"), "[T] SSLCertificate=a: needs SSLPrivateKey"),
        (http("SSLConfig=T\n[T]\nSSLCheckCommonName=true"), "can't be honoured"),
        (http("UseNTLMAuthentication=true"), "NTLM is not supported"),
        (http("NTLMUser=u"), "t:6: [Http] NTLMUser=u: can't be honoured: NTLM is not supported"),
        (http("Retries=-1"), "must be a whole number from 0 to 1000"),
        ("[Actions]\nQueueFillingThreshold=0.5\nQueueEmptyingThreshold=0.6\n".to_owned(), "t:3: [Actions] QueueEmptyingThreshold=0.6: must be less than QueueFillingThreshold, which is 0.5"),
        ("[Actions]\nQueueFillingThreshold=1.5\n".to_owned(), "must be a number from 0 to 1"),
        ("[Process]\nType=Echo\nQueueFillingThreshold=0.4\n".to_owned(), "must be less than QueueFillingThreshold, which is 0.4"),
        ("[Actions]\nAllowedCallbackHosts=a b\n".to_owned(), "AllowedCallbackHosts=a b: has a b: it must be"),
        (callback("BasicUser=u"), "can't be used for CallbackURL"),
        (callback("BearerToken=u"), "BearerToken=***: can't be used for CallbackURL"),
        ("[Actions]\nAllowedCallbackHosts=a\nCallbackHandler=X\n".to_owned(), "CallbackHandler=X: names X, and there is no section"),
        ("[Actions]\nAllowedCallbackHosts=a\nCallbackHandler=F\n[F]\nLibraryName=TextFileHandler\nFilePath=x\n".to_owned(), "must name a section with LibraryName=HttpHandler"),
        (
            "[Actions]\nOnStop=F,G\n[F]\nLibraryName=TextFileHandler\nFilePath=x\n[G]\nLibraryName=TextFileHandler\nFilePath=x.1\n".to_owned(),
            "[G] FilePath=x.1: is the file of the handler F, or one of its old files",
        ),
        (
            "[Actions]\nOnStop=F\n[F]\nLibraryName=TextFileHandler\nFilePath=l/x\n[Logging]\nLogDirectory=l\n0=S\n[S]\nLogFile=x\n".to_owned(),
            "[F] FilePath=l/x: is the file of the log stream S",
        ),
    ] {
        let error = Settings::parse(&text, "t").map(drop).unwrap_err().to_string();
        assert!(error.contains(want), "{text:?}: {error}");
    }
}

#[test]
fn a_misspelt_key_of_a_handler_is_told() {
    let text = format!(
        "[Actions]\nOnFinish=Http\n{HTTP}Retrys=3\nFilePath=x\n[Idle]\nLibraryName=HttpHandler\n"
    );
    let (_, warnings) = read(&text);
    for want in [
        "[Http] Retrys has no effect: there is no such key. Is Retries meant?",
        "[Http] FilePath has no effect here: it belongs into the section of a handler with LibraryName=TextFileHandler in [Actions]",
        "section [Idle] has no effect",
    ] {
        assert!(warnings.iter().any(|warning| warning.contains(want)), "{want}: {warnings:?}");
    }
}

#[test]
fn scripts_and_secrets_are_read_of_their_files() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let write = |script: &str, token: &str| {
        std::fs::write(at("e.lua"), script).unwrap();
        std::fs::write(at("token"), token).unwrap();
        let text = format!(
            "[Paths]\nDataDirectory={0}/data\n[Actions]\nOnFinish=H,L,F\n{HTTP}BearerTokenFile={0}/token\n\
             [L]\nLibraryName=LuaHandler\nLuaScript={0}/e.lua\n[F]\nLibraryName=TextFileHandler\nFilePath={0}/FILE\n",
            home.path().display()
        );
        text.replace("[Http]", "[H]")
    };
    let load = |text: &str| {
        std::fs::write(at("a.cfg"), text).unwrap();
        load(&Kinds::shipped(), Some(&at("a.cfg")), &Overrides::default())
            .map(|(settings, _)| settings)
            .map_err(|error| error.to_string())
    };
    let text = write("function handler(request, xml) end", "t0ken\n");
    let settings = load(&text).unwrap();
    let [HandlerConfig { library: Library::Http(http), .. }, lua, _] =
        &settings.events.handlers[..]
    else {
        panic!()
    };
    assert_eq!(http.headers["authorization"], "Bearer t0ken");
    let Library::Lua(lua) = &lua.library else { panic!() };
    assert!(lua.script.starts_with("function") && !lua.allow_unsafe);
    assert!(settings.files.contains(&at("token")));
    std::fs::create_dir(at("told")).unwrap();
    for file in ["data/actions.db", "a.cfg", "token", "told"] {
        let error = load(&text.replace("FILE", file)).unwrap_err();
        assert!(error.contains("[F] FilePath="), "{file}: {error}");
    }
    let error = load(&text.replace("FILE", "told")).unwrap_err();
    assert!(error.contains("is a directory"), "{error}");
    for (script, unsafe_too, want) in [
        ("function handler(", true, "e.lua:1: "),
        ("function handel(request, xml) end", true, "defines no function handler(request, xml)"),
        ("handler = 'x'", false, "defines no function handler(request, xml)"),
        ("local handler = function() end", false, "defines no function handler(request, xml)"),
        ("handler = print; nothing.there = 1", false, "e.lua:1: attempt to index a nil value"),
        ("while true do end", true, "longer than TimeoutSecs=1"),
    ] {
        let text = write(script, "t").replace("e.lua\n", "e.lua\nTimeoutSecs=1\n");
        let error = load(&text).unwrap_err();
        let place = error.contains("[L] LuaScript=");
        assert!(place && error.contains(want) && error.lines().count() == 1, "{script}: {error}");
        let text = text.replace("TimeoutSecs=1", "AllowUnsafe=true");
        assert_eq!(load(&text).is_err(), unsafe_too, "{script}");
    }
    // It does not run what may do anything.
    let told = at("ran").display().to_string();
    let script = format!("io.open('{told}', 'w')\nfunction handler() end");
    load(&write(&script, "t").replace("e.lua\n", "e.lua\nAllowUnsafe=true\n")).unwrap();
    assert!(!at("ran").exists());
}
