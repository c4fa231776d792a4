//! Schedules on the real program: what is due is queued once, whatever is killed and whoever else tries.
//!
//! - `steering`: `ScheduleInfo`, and what it changes;
//! - here: due times, kills, several servers, the configuration.

mod steering;

use std::collections::BTreeSet;

use actiond_actors::clock::{Clock as _, SystemClock};

use crate::calls::Answer;
#[cfg(unix)]
use crate::postgres::servers::{Database, Servers};
use crate::server::{Home, Server, wait_until};

/// A queue for actions that are due, and this schedule.
fn with(schedule: &str) -> String {
    format!(
        "[AsyncActions]\n0=Process\n[Process]\nType=Echo\nMaximumThreads=4\n\
         [Schedules]\nNumber=1\n0=Ticker\n[Ticker]\nAction=Process\n{schedule}\n"
    )
}

/// One that is due each second.
const EACH_SECOND: &str = "Name=Ada\nRepeatSecs=1\nOverlap=queue";

impl Server {
    pub(crate) fn list(&self) -> Answer {
        self.info("Process", "getStatus", "").success()
    }

    /// The times for which actions of the queue were due, as they are shown, the latest first.
    pub(crate) fn due(&self) -> Vec<String> {
        self.list().values("scheduled_time")
    }

    fn schedules(&self) -> Answer {
        self.ask("ScheduleInfo").success()
    }

    pub(crate) fn change_schedule(&self, action: &str, name: &str) -> Answer {
        self.post("ScheduleInfo", &[("ScheduleAction", action), ("ScheduleName", name)])
    }

    fn wait_for_due(&self, number: usize) {
        wait_until(&format!("{number} actions that were due"), || self.due().len() >= number);
    }
}

/// Each due time is there once, and all of them are counted.
pub(crate) fn check_due(server: &Server) -> usize {
    let mut due = Vec::new();
    // What is due meanwhile is in one of the two.
    wait_until("a list and a number of one moment", || {
        due = server.due();
        server.schedules().number("cycles_done") == due.len() as u64
    });
    let times: BTreeSet<_> = due.iter().collect();
    assert_eq!(times.len(), due.len(), "{due:?}");
    due.len()
}

#[test]
fn what_is_due_is_queued_with_its_parameters_and_says_for_which_time() {
    let home = Home::new(&with(EACH_SECOND));
    let server = home.start();
    server.wait_for_due(2);
    let listed = server.list();
    assert!(listed.values("schedule").iter().all(|name| name == "Ticker"), "{}", listed.0);
    check_due(&server);
    let token = server.schedules().must("last_token");
    server.wait_for_status(&token, "Finished");
    let status = server.about("Process", "getStatus", &token).success();
    assert_eq!(status.must("schedule"), "Ticker");
    assert!(status.0.contains("Ada"), "{}", status.0);
    // What a client sends is due to nobody.
    let own = server.submit("&Name=Grace");
    let status = server.about("Process", "getStatus", &own).success();
    assert_eq!((status.value("schedule"), status.value("scheduled_time")), (None, None));
}

#[test]
fn no_due_time_is_done_twice_or_forgotten_over_kills() {
    let home = Home::new(&with(&format!("{EACH_SECOND}\nCatchUp=once")));
    let mut before = 0;
    for _ in 0..3 {
        let server = home.start();
        // One more is on its way to the disk, or just there.
        server.wait_for_due(before + 1);
        before = server.due().len();
        server.kill();
    }
    let server = home.start();
    server.wait_for_due(before + 1);
    assert!(check_due(&server) > 3);
}

/// A server that dies right after a due time leaves it to the next one, or has queued its action.
#[test]
fn a_kill_at_a_due_time_takes_no_action_away() {
    let home = Home::new("");
    for delay in [0, 2, 5] {
        let due = (SystemClock.now().0 / 1_000 + 2) * 1_000;
        let cron = chrono::DateTime::from_timestamp_millis(due).expect("a time");
        let cron = cron.format("%S %M %H * * *");
        home.configure(&with(&format!("Name=Ada\nCron={cron}\nTimeZone=UTC\nOverlap=queue")));
        let server = home.start();
        let before = server.due().len();
        wait_until("the due time", || SystemClock.now().0 >= due + delay);
        server.kill();
        let server = home.start();
        server.wait_for_due(before + 1);
        assert_eq!(server.schedules().must("last"), server.due()[0]);
        assert_eq!(check_due(&server), before + 1);
        server.kill();
    }
}

#[test]
#[cfg(unix)]
fn of_two_servers_one_queues_what_is_due() {
    let Some(database) = Database::shared() else { return };
    let mut servers = Servers::start(&database, 2, &with(EACH_SECOND));
    servers[1].wait_for_due(2);
    let due = check_due(&servers[1]);
    // Who is left goes on.
    servers.take(0).kill();
    servers[1].wait_for_due(due + 2);
    check_due(&servers[1]);
}

#[test]
fn the_keys_of_a_connector_have_its_tasks_fetched() {
    let home = Home::new("");
    std::fs::create_dir(home.path().join("docs")).unwrap();
    home.configure(
        "[AsyncActions]\n0=Fetch\n1=Ingest\n[Fetch]\nType=FileSystemConnector\n[Ingest]\nType=Ingest\n\
         [FetchTasks]\nNumber=1\n0=MyTask0\nScheduleStartTime=now\nScheduleCycles=1\n\
         [MyTask0]\nDirectoryPathCSVs=./docs\nAllowEmptyRoot=true\nScheduleRepeatSecs=1\n",
    );
    let server = home.start();
    let listed = || server.info("Fetch", "getStatus", "").success();
    wait_until("a fetch that has ended", || {
        listed().value("status").as_deref() == Some("Finished")
    });
    assert_eq!(listed().values("schedule"), ["MyTask0"]);
    let schedules = server.schedules();
    assert_eq!(schedules.must("source"), "configuration");
    // The first is the reply's own.
    assert_eq!(schedules.values("action")[1..], ["Fetch"]);
    assert_eq!(schedules.value("next"), None, "it had one cycle");
}

#[test]
fn a_bad_schedule_stops_the_start() {
    let home = Home::new(&with("Cron=0 2 * * *\nSleep=long"));
    let Err(said) = Server::try_run(home.command()) else { panic!("it has started") };
    let said = said.join("\n");
    let want =
        "test.cfg:12: [Ticker] Sleep=long: The parameter Sleep has the value 'long'. Allowed:";
    assert!(said.contains(want), "{said}");
}

#[test]
fn one_that_is_over_is_told_and_does_no_harm() {
    let home = Home::new(&with("Cycles=1\nStartTime=2020-01-01 00:00:00\nEnable=false"));
    let server = home.start();
    server.wait_for_line(&["WARN", "[Ticker] Enable is a parameter", "Is Enabled meant?"]);
    server.wait_for_line(&["WARN", "schedule Ticker is over"]);
    assert_eq!(server.schedules().value("next"), None);
    server.nothing_was_queued("Process");
}

#[test]
#[cfg(unix)]
fn a_schedule_that_a_reload_turns_off_and_on_begins_then() {
    let home = Home::new(&with(EACH_SECOND));
    let server = home.start();
    server.wait_for_due(1);
    home.configure(&with(&format!("{EACH_SECOND}\nEnabled=false")));
    server.reload();
    let shown = || server.schedules();
    wait_until("it is off", || {
        shown().must("enabled") == "false" && shown().value("next").is_none()
    });
    home.configure(&with(EACH_SECOND));
    server.reload();
    let due = server.due().len();
    server.wait_for_due(due + 1);
    check_due(&server);
}

#[test]
#[cfg(unix)]
fn a_reload_puts_other_schedules_in_force() {
    let home = Home::new(&with("Name=Ada\nCron=0 0 1 1 *\n"));
    let server = home.start();
    assert_eq!(server.schedules().values("cron"), ["0 0 1 1 *"]);
    home.configure(&with(EACH_SECOND));
    server.reload();
    server.wait_for_line(&["SIGHUP: [Ticker] RepeatSecs=1 (before: none) is in force"]);
    server.wait_for_due(1);
    let without = with("");
    let (without, _) = without.split_once("[Schedules]").unwrap();
    home.configure(without);
    server.reload();
    assert_eq!(server.schedules().values("name"), Vec::<String>::new());
}
