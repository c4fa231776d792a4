//! The connector's own keys for schedules: those of a task, or of `[FetchTasks]` for all of them. Each becomes a
//! [`Schedule`] with the name of its task.

use super::kind::FETCH_TASKS;
use super::parameters::{FETCH_ACTION, SYNCHRONIZE, TASK_SECTIONS};
use crate::config::{Key, SectionReader, ValueKind};
use crate::schedules::{Definition, MAX_REPEAT_SECS, Schedule, Timing, keys};

pub(super) const ENABLE_SCHEDULED_TASKS: &Key = &Key::with_default(
    "EnableScheduledTasks",
    ValueKind::Boolean,
    "true",
    "Whether the schedules of fetch tasks are due by themselves.",
);

pub(super) const SCHEDULE_START_TIME: &Key = &Key::optional(
    "ScheduleStartTime",
    ValueKind::TextOf("now, or a time as NotBefore has it, such as 02:00 or 2027-01-31 02:00"),
    "now",
    "When a task is fetched for the first time without being asked: now is when the server has its schedule for the first time. In [FetchTasks] it is the default of all tasks.",
);

pub(super) const SCHEDULE_CYCLES: &Key = &Key::optional(
    "ScheduleCycles",
    ValueKind::or_unlimited(1, 1_000_000_000),
    "-1",
    "The number of times that a task is fetched without being asked. In [FetchTasks] it is the default of all tasks; without it there is no end.",
);

pub(super) const SCHEDULE_REPEAT_SECS: &Key = &Key::optional(
    "ScheduleRepeatSecs",
    ValueKind::from_to(1, MAX_REPEAT_SECS as i64),
    "3600",
    "The seconds from one such fetch of a task to the next. In [FetchTasks] it is the default of all tasks. Without any of these keys a task is fetched when somebody asks for it.",
);

/// Reads the schedule of a task, if there is one. It belongs to no queue yet.
pub(super) fn read(task: &str, section: &mut SectionReader<'_, '_>) -> Option<Schedule> {
    section.fall_back(FETCH_TASKS);
    let keys = [SCHEDULE_START_TIME, SCHEDULE_CYCLES, SCHEDULE_REPEAT_SECS];
    let is_given = keys.iter().any(|key| section.gives(key));
    let before = section.problem_count();
    let definition = Definition {
        parameters: [(FETCH_ACTION, SYNCHRONIZE), (TASK_SECTIONS, task)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        start_time: section.text(SCHEDULE_START_TIME),
        cycles: u64::try_from(section.integer(SCHEDULE_CYCLES)).ok().filter(|cycles| *cycles > 0),
        repeat_secs: u32::try_from(section.integer(SCHEDULE_REPEAT_SECS))
            .ok()
            .filter(|seconds| *seconds > 0),
        ..Definition::default()
    };
    if !is_given || section.problem_count() > before {
        return None;
    }
    if let Err(fault) = Timing::of(&definition) {
        let (key, allowed) = match fault.key {
            keys::START_TIME => (SCHEDULE_START_TIME, fault.allowed),
            // The only other one: without it nothing says when it is due again.
            _ => (SCHEDULE_REPEAT_SECS, "given, or ScheduleCycles=1".to_owned()),
        };
        section.problem(key, format!("must be {allowed}"));
        return None;
    }
    Some(Schedule { name: task.to_owned(), definition })
}

/// Gives a schedule to a queue.
pub(super) fn of_queue(schedule: Schedule, queue: &str, is_enabled: bool) -> Schedule {
    let Schedule { name, definition } = schedule;
    let definition = Definition { action: queue.to_owned(), enabled: is_enabled, ..definition };
    Schedule { name, definition }
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;
    use crate::schedules::Schedule;

    fn parse(text: &str) -> Result<Vec<Schedule>, String> {
        let queues = "[AsyncActions]\n0=Other\n1=Fetch\n2=Ingest\n[Other]\nType=FileSystemConnector\n\
                      [Fetch]\nType=FileSystemConnector\n[Ingest]\nType=Ingest\n";
        let parsed = Settings::parse(&format!("{queues}{text}"), "t");
        let schedules = |settings: Settings| {
            settings.queues.iter().flat_map(|queue| queue.settings.schedules()).collect()
        };
        parsed.map(|(settings, _)| schedules(settings)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_keys_of_a_task_win_over_those_of_all() {
        let text = "[FetchTasks]\n0=A\n1=B\nScheduleRepeatSecs=3600\nScheduleStartTime=now\n\
                    [A]\nDirectoryPathCSVs=./a\n[B]\nDirectoryPathCSVs=./b\nScheduleRepeatSecs=60\nScheduleCycles=5\n\
                    [Connector]\nEnableScheduledTasks=Y\n";
        let schedules = parse(text).unwrap();
        let read: Vec<_> = schedules
            .iter()
            .map(|Schedule { name, definition: d }| {
                (name.as_str(), d.action.as_str(), d.repeat_secs, d.cycles, d.enabled)
            })
            .collect();
        let expected =
            [("A", "Other", Some(3600), None, true), ("B", "Other", Some(60), Some(5), true)];
        assert_eq!(read, expected);
        let parameters = &schedules[1].definition.parameters;
        let pairs = [("FetchAction", "Synchronize"), ("TaskSections", "B")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parameters, &pairs);
        let off = parse(&text.replace("=Y", "=false")).unwrap();
        assert!(off.iter().all(|schedule| !schedule.definition.enabled));
    }

    #[test]
    fn without_a_key_there_is_no_schedule() {
        let tasks =
            |keys: &str| parse(&format!("[FetchTasks]\n0=A\n{keys}[A]\nDirectoryPathCSVs=./a\n"));
        assert_eq!(tasks(""), Ok(Vec::new()));
        for (keys, want) in [
            (
                "ScheduleCycles=-1\n",
                "t:14: [A] ScheduleRepeatSecs: must be given, or ScheduleCycles=1",
            ),
            (
                "ScheduleStartTime=soon\nScheduleRepeatSecs=5\n",
                "t:13: [FetchTasks] ScheduleStartTime=soon: must",
            ),
            (
                "ScheduleRepeatSecs=0\n",
                "t:13: [FetchTasks] ScheduleRepeatSecs=0: must be a whole number",
            ),
        ] {
            let error = tasks(keys).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        assert_eq!(tasks("ScheduleCycles=1\nScheduleStartTime=+5\n").unwrap().len(), 1);
    }
}
