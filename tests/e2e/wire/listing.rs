//! Lists over HTTP: every filter and order is compared with a plain reference, which is computed
//! from the unfiltered list.

use std::cmp::Reverse;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{FixedOffset, NaiveDateTime, TimeZone as _, Utc};

use super::*;

/// An action as the list shows it.
#[derive(Debug, Clone)]
struct Row {
    token: String,
    /// Milliseconds since 1970, and the id: both are in the token.
    queued_ms: i64,
    id: u64,
    status: String,
    priority: i32,
    /// Seconds since 1970.
    queued: i64,
    started: Option<i64>,
    finished: Option<i64>,
}

/// Many actions in all states, in a server whose zone is such that it is about noon there.
struct Scene {
    client: Client,
    zone: FixedOffset,
    rows: Vec<Row>,
    server: Server,
    _home: Home,
}

/// Waits for the next second of the clock, so that times differ.
fn next_second() {
    let began = now();
    wait_until("the next second", || now() > began);
}

impl Scene {
    fn new() -> Self {
        let home = Home::new(ECHOES);
        let hours = 12 - i32::try_from(now().rem_euclid(86_400) / 3600).unwrap();
        let zone = FixedOffset::east_opt(hours * 3600).unwrap();
        let mut command = home.command();
        // The sign of a POSIX zone is the other way round.
        command.env("TZ", format!("<Noon>{}", -hours));
        let server = Server::run(command);
        let client = Client::of(&server);
        for wave in 0..3 {
            for n in 0..6 {
                let priority = (n * 7 + wave) % 5 - 2;
                client.submit(&format!("Process&Priority={priority}&Wait=30&n={n}"));
                client.submit(&format!("Process&Priority={}&Wait=30&Fail=x", priority * 100));
            }
            let token = client.submit("Process&Sleep=600");
            client.wait_for("Process", &token, "Processing");
            if wave == 0 {
                client.queue_info("Process", &format!("QueueAction=stop&Token={token}"));
                client.wait_for("Process", &token, "Stopped");
            }
            if wave == 1 {
                client.queue_info("Process", &format!("QueueAction=pause&Token={token}"));
            }
            next_second();
        }
        // Both slots are taken: the rest waits.
        for n in 0..12 {
            let token = client.submit(&format!("Process&Priority={}", n % 4));
            if n % 3 == 0 {
                client.queue_info("Process", &format!("QueueAction=cancel&Token={token}"));
            }
            if n == 6 {
                next_second();
            }
        }
        let mut scene = Self { client, zone, rows: Vec::new(), server, _home: home };
        scene.rows = scene.list("");
        assert_eq!(scene.rows.len(), 51);
        for status in
            ["Finished", "Error", "Stopped", "Cancelled", "Paused", "Processing", "Queued"]
        {
            assert!(scene.rows.iter().any(|row| row.status == status), "{status}");
        }
        scene
    }

    fn seconds(&self, text: &str) -> i64 {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%b-%d %H:%M:%S").expect("a time");
        self.zone.from_local_datetime(&time).unwrap().timestamp()
    }

    fn written(&self, seconds: i64, form: &str) -> String {
        self.zone.timestamp_opt(seconds, 0).unwrap().format(form).to_string()
    }

    fn row(&self, action: &Node) -> Row {
        let token = action.text("token").to_owned();
        let plain = String::from_utf8(BASE64.decode(&token).unwrap()).unwrap();
        let (_, number) = plain.rsplit_once(':').unwrap();
        let time = |name: &str| action.has(name).then(|| self.seconds(action.text(name)));
        let row = Row {
            queued_ms: number[..13].parse().unwrap(),
            id: number[13..].parse().unwrap(),
            token,
            status: action.text("status").to_owned(),
            priority: action.text("priority").parse().unwrap(),
            queued: time("queued_time").unwrap(),
            started: time("process_start_time"),
            finished: time("process_end_time"),
        };
        // The time in the token is the time of queuing, and times are in order.
        assert_eq!(row.queued_ms.div_euclid(1000), row.queued);
        let started = row.started.unwrap_or(row.queued);
        assert!(row.queued <= started && started <= row.finished.unwrap_or(started), "{row:?}");
        row
    }

    fn list(&self, filters: &str) -> Vec<Row> {
        let reply = self.client.queue_info("Process", &format!("QueueAction=getStatus{filters}"));
        assert_eq!(reply.text("response"), "SUCCESS", "{filters}: {reply:?}");
        reply.all("responsedata/actions/action").into_iter().map(|a| self.row(a)).collect()
    }

    /// Asks for a list and compares its members with those that `wanted` picks.
    fn check(&self, filters: &str, wanted: impl Fn(&Row) -> bool) {
        let tokens = |rows: Vec<Row>| rows.into_iter().map(|row| row.token).collect::<Vec<_>>();
        let expected = tokens(self.rows.iter().filter(|row| wanted(row)).cloned().collect());
        // The order is the default one, so that both are just compared.
        assert_eq!(tokens(self.list(filters)), expected, "{filters}");
    }
}

fn is_running(row: &Row) -> bool {
    ["Processing", "Paused", "Stopping"].contains(&row.status.as_str())
}

fn has_ended(row: &Row) -> bool {
    !is_running(row) && row.status != "Queued"
}

#[test]
fn filters_and_orders_agree_with_a_plain_reference() {
    let scene = Scene::new();
    newest_first_by_default(&scene);
    states(&scene);
    priorities(&scene);
    times(&scene);
    forms_of_times(&scene);
    orders(&scene);
    pages(&scene);
    several_at_once(&scene);
}

fn newest_first_by_default(scene: &Scene) {
    let keys: Vec<_> = scene.rows.iter().map(|row| Reverse((row.queued_ms, row.id))).collect();
    assert!(keys.is_sorted());
    let same = ["&Sort-By=queue-time", "&Sort-Order=descending", "&sort-by=QUEUE-TIME&Start=1"];
    for filters in
        same.into_iter().chain(["&State=", "&MaxResults=", "&Start=", "&Finished-After="])
    {
        scene.check(filters, |_| true);
    }
}

fn states(scene: &Scene) {
    scene.check("&State=queued", |row| row.status == "Queued");
    scene.check("&State=running", is_running);
    scene.check("&State=finished", has_ended);
    scene.check("&State=Queued,RUNNING", |row| !has_ended(row));
    scene.check("&State=%20queued%20,%20finished%20,", |row| !is_running(row));
    scene.check("&State=queued,running,finished", |_| true);
    for word in ["Processing", "Paused", "Stopping", "Error", "Cancelled", "Stopped"] {
        scene.check(&format!("&State={}", word.to_lowercase()), |row| row.status == word);
    }
    scene.check("&State=error,stopped", |row| ["Error", "Stopped"].contains(&row.status.as_str()));
}

fn priorities(scene: &Scene) {
    for bound in [-2147483648, -200, -101, -1, 0, 1, 2, 3, 200, 2147483647] {
        scene.check(&format!("&Min-Priority={bound}"), |row| row.priority >= bound);
        scene.check(&format!("&max-priority={bound}"), |row| row.priority <= bound);
        scene.check(&format!("&Min-Priority={bound}&Max-Priority={bound}"), |row| {
            row.priority == bound
        });
    }
    scene.check("&Min-Priority=2&Max-Priority=1", |_| false);
}

/// Both filters of each time, around every second that occurs.
fn times(scene: &Scene) {
    type Time = fn(&Row) -> Option<i64>;
    let each: [(&str, Time); 3] =
        [("Queued", |r| Some(r.queued)), ("Started", |r| r.started), ("Finished", |r| r.finished)];
    for (name, time) in each {
        let mut seconds: Vec<_> = scene.rows.iter().filter_map(time).collect();
        seconds.sort_unstable();
        seconds.dedup();
        assert!(seconds.len() >= 3, "{name}: {seconds:?}");
        for bound in [seconds[0] - 1].into_iter().chain(seconds.iter().copied()) {
            let text = encoded(&scene.written(bound, "%Y-%m-%d %H:%M:%S"));
            let after = format!("&{name}-After={text}");
            scene.check(&after, |row| time(row).is_some_and(|time| time > bound));
            let before = format!("&{name}-Before={text}");
            scene.check(&before, |row| time(row).is_some_and(|time| time < bound));
        }
        let (first, last) = (seconds[0], seconds[seconds.len() - 1]);
        let between = format!("&{name}-After={first}&{name}-Before={last}");
        scene.check(&between, |row| time(row).is_some_and(|time| time > first && time < last));
    }
}

/// Every accepted form of one second.
fn forms_of_times(scene: &Scene) {
    let mut seconds: Vec<_> = scene.rows.iter().map(|row| row.queued).collect();
    seconds.sort_unstable();
    let bound = seconds[seconds.len() / 2];
    let utc = |form: &str| Utc.timestamp_opt(bound, 0).unwrap().format(form).to_string();
    let east = |form: &str| {
        let zone = FixedOffset::east_opt(5 * 3600 + 1800).unwrap();
        zone.timestamp_opt(bound, 0).unwrap().format(form).to_string()
    };
    let forms = [
        scene.written(bound, "%Y-%m-%d %H:%M:%S"),
        scene.written(bound, "%Y-%b-%d %H:%M:%S"),
        scene.written(bound, "%Y-%b-%d %H:%M:%S").to_lowercase(),
        scene.written(bound, "%Y-%m-%dT%H:%M:%S"),
        // Without a date it is today.
        scene.written(bound, "%H:%M:%S"),
        scene.written(bound, "  %H:%M:%S "),
        utc("%Y-%m-%d %H:%M:%S GMT"),
        utc("%Y-%m-%d %H:%M:%S utc"),
        utc("%Y-%m-%dT%H:%M:%SZ"),
        utc("%Y-%b-%d %H:%M:%S GMT"),
        utc("%H:%M:%S GMT"),
        east("%Y-%m-%d %H:%M:%S +05:30"),
        east("%Y-%m-%d %H:%M:%S+0530"),
        east("%H:%M:%S +05:30"),
        bound.to_string(),
    ];
    for form in forms {
        let text = encoded(&form);
        scene.check(&format!("&Queued-After={text}"), |row| row.queued > bound);
        scene.check(&format!("&Queued-Before={text}"), |row| row.queued < bound);
    }
    // As clients write it by hand: a plus or a raw space where the space is.
    for form in ["%Y-%m-%d+%H:%M:%S", "%Y-%m-%d %H:%M:%S"] {
        let text = scene.written(bound, form);
        scene.check(&format!("&Queued-After={text}"), |row| row.queued > bound);
    }
    // A date alone is its midnight.
    let (today, tomorrow) =
        (scene.written(bound, "%Y-%m-%d"), scene.written(bound + 86_400, "%Y-%b-%d"));
    scene.check(&format!("&Queued-After={today}"), |_| true);
    scene.check(&format!("&Queued-Before={today}"), |_| false);
    scene.check(&format!("&Queued-Before={tomorrow}"), |_| true);
    scene.check(&format!("&Queued-After={tomorrow}"), |_| false);
    scene.check("&Queued-After=0&Queued-Before=99999999999", |_| true);
}

/// Orders by a time that is shown in seconds: those that lack it come last, by time of queuing.
fn orders(scene: &Scene) {
    for descending in [true, false] {
        for (name, time) in [
            ("queue-time", (|row| Some(row.queued)) as fn(&Row) -> Option<i64>),
            ("start-time", |row| row.started),
            ("finish-time", |row| row.finished),
        ] {
            let order = if descending { "Descending" } else { "ascending" };
            let rows = scene.list(&format!("&Sort-By={name}&Sort-Order={order}"));
            let turned = |number: i64| if descending { -number } else { number };
            let keys: Vec<_> = rows
                .iter()
                .map(|row| match time(row) {
                    Some(time) => (0, turned(time), 0),
                    None => (1, turned(row.queued_ms), turned(row.id.try_into().unwrap())),
                })
                .collect();
            assert!(keys.is_sorted(), "{name} {order}: {keys:?}");
            let mut ids: Vec<_> = rows.iter().map(|row| row.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), scene.rows.len(), "{name} {order}: each once");
        }
    }
    let mut oldest = scene.list("&Sort-Order=ascending");
    oldest.reverse();
    let ids = |rows: &[Row]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(&oldest), ids(&scene.rows));
}

/// Pages of any size are the whole list, each action once.
fn pages(scene: &Scene) {
    let ids = |rows: &[Row]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    for order in [
        "",
        "&Sort-Order=ascending",
        "&Sort-By=start-time",
        "&Sort-By=start-time&Sort-Order=ascending",
        "&Sort-By=finish-time&State=finished",
        "&Sort-By=finish-time&Sort-Order=ascending&State=queued,finished",
        "&Min-Priority=0&Sort-By=finish-time",
    ] {
        let whole = ids(&scene.list(order));
        assert!(whole.len() > 20, "{order}");
        for size in [1, 2, 7, 50, 51, 1000] {
            let mut paged = Vec::new();
            for start in (1..=whole.len() + 1).step_by(size) {
                let page = scene.list(&format!("{order}&Start={start}&MaxResults={size}"));
                assert_eq!(page.len(), size.min(whole.len() + 1 - start), "{order} {start} {size}");
                paged.extend(ids(&page));
            }
            assert_eq!(paged, whole, "{order}, {size} on a page");
        }
        assert_eq!(ids(&scene.list(&format!("{order}&Start=3"))), whole[2..]);
    }
    scene.check("&MaxResults=0", |_| false);
    scene.check("&Start=52", |_| false);
    scene.check("&Start=9223372036854775807&MaxResults=9223372036854775807", |_| false);
    // An empty list is there all the same.
    let empty =
        scene.server.get("/a=QueueInfo&QueueName=Process&QueueAction=getStatus&MaxResults=0");
    assert!(empty.contains("<responsedata><actions/></responsedata>"), "{empty}");
}

fn several_at_once(scene: &Scene) {
    let mut seconds: Vec<_> = scene.rows.iter().map(|row| row.queued).collect();
    seconds.sort_unstable();
    let bound = seconds[seconds.len() / 3];
    scene.check(&format!("&State=finished&Min-Priority=0&Queued-Before={bound}"), |row| {
        has_ended(row) && row.priority >= 0 && row.queued < bound
    });
    scene.check(&format!("&State=queued,finished&Max-Priority=1&Finished-After={bound}"), |row| {
        row.priority <= 1 && row.finished.is_some_and(|time| time > bound)
    });
    scene.check(&format!("&Started-After={bound}&Finished-After=0&State=error"), |row| {
        row.status == "Error" && row.started.is_some_and(|time| time > bound)
    });
    // A queue of its own has nothing of this.
    let other = scene.client.queue_info("Fetch", "QueueAction=getStatus");
    assert_eq!(other.all("responsedata/actions/action").len(), 0);
}
