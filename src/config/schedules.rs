//! Reads the schedules: `[Schedules]`, and the section of each.

use super::findings::Location;
use super::in_force::Origin;
use super::ini::{Entry, IniSection};
use super::queues::Purposes;
use super::reader::Reader;
use super::secrets::SecretNames;
use super::settings::QueueConfig;
use super::table::schedules as table;
use super::table::schedules::{SCHEDULE, SCHEDULES};
use crate::aci::request::{PairValue, parse_query};
use crate::aci::words::shorten;
use crate::front::secret_names;
use crate::schedules::{
    BadParameter, CatchUp, Definition, Fault, Overlap, Schedule, Timing, check_parameters, meant,
};

/// Makes the schedules. The sections that are listed are added to `purposes`.
pub(super) fn schedules<'r>(
    reader: &mut Reader<'r>,
    queues: &[QueueConfig],
    purposes: &mut Purposes<'r>,
    strict: bool,
) -> Vec<Schedule> {
    let mut schedules = Vec::new();
    let Some(list) = reader.ini.section(SCHEDULES.name) else { return schedules };
    if list.get(table::FOREIGN_NUMBER).is_some() && list.get(table::SCHEDULE_NUMBER.name).is_none()
    {
        // It lists sections of other keys, of another kind of server.
        let names = list.entries().filter(|entry| table::SCHEDULE_NAME.is(entry.key));
        purposes.listed.extend(names.map(|entry| (entry.value, SCHEDULE)));
        return schedules;
    }
    let taken: Vec<&str> = purposes.names().collect();
    let names = reader.list(list, SCHEDULES, |name| {
        let is_taken = taken.iter().any(|other| other.eq_ignore_ascii_case(name));
        is_taken.then(|| "cannot be taken: the section of that name has another meaning".to_owned())
    });
    for listed in names {
        purposes.listed.push((listed.name, SCHEDULE));
        let section = reader.section_of(list, listed, Some(table::ACTION));
        let Some(section) = section else { continue };
        let allowed = "the name of a queue of [AsyncActions]";
        if !reader.require(section, table::ACTION, allowed) {
            continue;
        }
        if let Some(definition) = definition(reader, section, queues, strict) {
            schedules.push(Schedule { name: listed.name.to_owned(), definition });
        }
    }
    schedules
}

/// A parameter, and the line that gives it.
struct Given<'r> {
    pair: (String, String),
    by: Entry<'r>,
}

fn definition<'r>(
    reader: &mut Reader<'r>,
    section: &'r IniSection<'r>,
    queues: &[QueueConfig],
    strict: bool,
) -> Option<Definition> {
    let own = &[section.name];
    let before = reader.findings.problem_count();
    let action = reader.text(own, table::ACTION)?;
    let queue = queues.iter().find(|queue| queue.name.eq_ignore_ascii_case(&action));
    let secrets = secrets_of(queue);
    let given = parameters(reader, section, &secrets);
    let definition = Definition {
        action: queue.map_or(action, |queue| queue.name.clone()),
        parameters: given.iter().map(|given| given.pair.clone()).collect(),
        cron: reader.text(own, table::CRON),
        repeat_secs: positive(reader.integer(own, table::REPEAT_SECS)),
        start_time: reader.text(own, table::START_TIME),
        cycles: u64::try_from(reader.integer(own, table::CYCLES)).ok(),
        time_zone: reader.text(own, table::TIME_ZONE),
        overlap: reader.word(own, table::OVERLAP).and_then(Overlap::parse).unwrap_or_default(),
        catch_up: reader.word(own, table::CATCH_UP).and_then(CatchUp::parse).unwrap_or_default(),
        jitter_secs: positive(reader.integer(own, table::JITTER)).unwrap_or_default(),
        enabled: reader.boolean(own, table::ENABLED),
    };
    // What a bad value stands for is not judged.
    if reader.findings.problem_count() > before {
        return None;
    }
    match queue {
        Some(queue) => {
            check_given(reader, section, queue, &given, strict, &secrets);
            warn_of_meant(reader, section, queue, &given);
        }
        None => reader.problem_at(
            section.name,
            table::ACTION,
            "must be the name of a queue of [AsyncActions]",
        ),
    }
    if let Err(fault) = Timing::of(&definition) {
        timing_problem(reader, section, &fault);
    }
    (reader.findings.problem_count() == before).then_some(definition)
}

/// Returns a number that is not 0; 0 stands for none.
pub(super) fn positive(number: i64) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number > 0)
}

fn timing_problem(reader: &mut Reader<'_>, section: &IniSection<'_>, fault: &Fault) {
    let Some(key) = SCHEDULE.keys.iter().find(|key| key.name == fault.key) else { return };
    let reason = match section.get(key.name) {
        Some(_) => format!("must be {}", fault.allowed),
        None => format!("is missing: it must be {}", fault.allowed),
    };
    reader.problem_at(section.name, key, reason);
}

/// Returns the names of the parameters that are not for other eyes: those that are well known, and those of the queue and its kind.
fn secrets_of(queue: Option<&QueueConfig>) -> SecretNames {
    let Some(queue) = queue else { return SecretNames::WELL_KNOWN };
    secret_names(&queue.params(), &queue.limits.secret_parameters)
}

/// Returns the parameters: those of the key `Parameters`, and all other keys that are none of a schedule's.
fn parameters<'r>(
    reader: &mut Reader<'r>,
    section: &'r IniSection<'r>,
    secrets: &SecretNames,
) -> Vec<Given<'r>> {
    let mut given = Vec::new();
    if let (Some(text), Some(by)) =
        (reader.text(&[section.name], table::PARAMETERS), section.get(table::PARAMETERS.name))
    {
        match parse_query(&text) {
            Ok(pairs) => {
                let has_secret = pairs.iter().any(|(name, _)| secrets.has(name));
                if has_secret {
                    reader.in_force.hide(section.name, by.key);
                }
                given.extend(pairs.into_iter().filter_map(|(name, value)| match value {
                    PairValue::Text(value) => Some(Given { pair: (name, value), by }),
                    // Only bodies in parts have these.
                    PairValue::Bytes(_) => None,
                }));
            }
            Err(error) => reader.problem_at(
                section.name,
                table::PARAMETERS,
                format!("can't be read: {}", error.description),
            ),
        }
    }
    for entry in section.entries().filter(|entry| !SCHEDULE.keys.iter().any(|k| k.is(entry.key))) {
        if let Some(fault) = entry.fault {
            reader.findings.problem(place(section, entry, secrets), fault);
            continue;
        }
        let origin = Origin::Line(entry.line);
        reader.in_force.note(section.name, table::PARAMETERS, entry.key, entry.value, origin);
        if secrets.has(entry.key) {
            reader.in_force.hide(section.name, entry.key);
        }
        given.push(Given { pair: (entry.key.to_owned(), entry.value.to_owned()), by: entry });
    }
    given
}

/// Adds a problem if an action of the queue can't have these parameters, as a client's submission is checked.
fn check_given(
    reader: &mut Reader<'_>,
    section: &IniSection<'_>,
    queue: &QueueConfig,
    given: &[Given<'_>],
    strict: bool,
    secrets: &SecretNames,
) {
    let pairs: Vec<(String, String)> = given.iter().map(|given| given.pair.clone()).collect();
    let Err(BadParameter { at, error }) = check_parameters(&queue.params(), &pairs, strict) else {
        return;
    };
    let reason = error.description;
    match at.and_then(|at| given.get(at)) {
        Some(given) => reader.findings.problem(place(section, given.by, secrets), reason),
        None => reader.problem_at(section.name, table::ACTION, reason),
    }
}

/// Warns about parameters that may have been meant as keys of the schedule.
fn warn_of_meant(
    reader: &mut Reader<'_>,
    section: &IniSection<'_>,
    queue: &QueueConfig,
    given: &[Given<'_>],
) {
    let params = queue.params();
    for Entry { key, line, .. } in given.iter().map(|given| given.by) {
        let keys = SCHEDULE.keys.iter().map(|key| key.name);
        if table::PARAMETERS.is(key) {
            continue;
        }
        if let Some(near) = meant(&params, key, keys) {
            reader.findings.warning(Some(line), || {
                let (section, key) = (shorten(section.name), shorten(key));
                format!("[{section}] {key} is a parameter of the action. Is {near} meant?")
            });
        }
    }
}

/// Returns the place of a line, without its value if that may be a secret.
fn place<'a>(section: &IniSection<'a>, entry: Entry<'a>, secrets: &SecretNames) -> Location<'a> {
    let is_secret = secrets.has(entry.key) || table::PARAMETERS.is(entry.key);
    Location {
        line: Some(entry.line),
        section: Some(section.name),
        key: Some(entry.key),
        value: Some(entry.value).filter(|_| !is_secret),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, Warning};
    use crate::schedules::{CatchUp, Definition, Overlap, Schedule};

    fn parse(text: &str) -> Result<(Vec<Schedule>, Vec<Warning>), String> {
        let queues = "[AsyncActions]\n0=Process\n1=Fetch\n2=Ingest\n[Process]\nType=Echo\n\
                      [Fetch]\nType=FileSystemConnector\n[Ingest]\nType=Ingest\n";
        let parsed = Settings::parse(&format!("{queues}{text}"), "t");
        parsed
            .map(|(settings, warnings)| (settings.schedules, warnings))
            .map_err(|error| error.to_string())
    }

    const LIST: &str =
        "[FetchTasks]\n0=DIR1\n[DIR1]\nDirectoryPathCSVs=./d\n[Schedules]\n0=Nightly\n";

    #[test]
    fn a_schedule_is_read_with_all_its_keys() {
        let text = "Number=1\n[Nightly]\naction=process\nParameters=Sleep=0.5&Text=Good%20night\n\
                    Name=Ada\nCron=0 2 * * *\nStartTime=2026-01-01\nCycles=7\nTimeZone=Europe/Berlin\n\
                    Overlap=Replace\nCatchUp=ONCE\nJitter=30\nEnabled=no\n";
        let (schedules, warnings) = parse(&format!("{LIST}{text}")).unwrap();
        assert_eq!(warnings, []);
        let pairs = [("Sleep", "0.5"), ("Text", "Good night"), ("Name", "Ada")];
        let definition = Definition {
            action: "Process".to_owned(),
            parameters: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            cron: Some("0 2 * * *".to_owned()),
            repeat_secs: None,
            start_time: Some("2026-01-01".to_owned()),
            cycles: Some(7),
            time_zone: Some("Europe/Berlin".to_owned()),
            overlap: Overlap::Replace,
            catch_up: CatchUp::Once,
            jitter_secs: 30,
            enabled: false,
        };
        assert_eq!(schedules, [Schedule { name: "Nightly".to_owned(), definition }]);
        let (schedules, _) =
            parse(&format!("{LIST}[Nightly]\nAction=Process\nRepeatSecs=5\n")).unwrap();
        let definition = Definition {
            action: "Process".to_owned(),
            repeat_secs: Some(5),
            start_time: Some("now".to_owned()),
            ..Definition::default()
        };
        assert_eq!(schedules[0].definition, definition);
    }

    #[test]
    fn a_key_that_may_be_misspelt_is_told() {
        let text = "[Nightly]\nAction=Process\nCron=@daily\nEnable=false\nName=Ada\nParameters=Cro=x\n\
                    Timezon=UTC\n";
        let (schedules, warnings) = parse(&format!("{LIST}{text}")).unwrap();
        let told: Vec<_> =
            warnings.iter().map(|warning| (warning.line, warning.message.as_str())).collect();
        assert_eq!(
            told,
            [
                (Some(20), "[Nightly] Enable is a parameter of the action. Is Enabled meant?"),
                (Some(23), "[Nightly] Timezon is a parameter of the action. Is TimeZone meant?"),
            ]
        );
        assert_eq!(schedules[0].definition.parameters.len(), 4);
    }

    #[test]
    fn what_can_not_be_used_stops_the_start_and_is_told_by_its_line() {
        let table = [
            ("", "t:16: [Schedules] 0=Nightly: has no section [Nightly] with Action="),
            ("[Nightly]\nCron=@daily", "t:17: [Nightly] Action: is missing: it must be the name"),
            (
                "[Nightly]\nAction=Other\nCron=@daily",
                "t:18: [Nightly] Action=Other: must be the name",
            ),
            (
                "[Nightly]\nAction=Process",
                "t:17: [Nightly] Cron: is missing: it must be five fields",
            ),
            (
                "[Nightly]\nAction=Process\nCron=0 25 * * *",
                "t:19: [Nightly] Cron=0 25 * * *: must be five",
            ),
            (
                "[Nightly]\nAction=Process\nRepeatSecs=0",
                "t:19: [Nightly] RepeatSecs=0: must be a whole",
            ),
            (
                "[Nightly]\nAction=Process\nCron=@daily\nRepeatSecs=60",
                "t:20: [Nightly] RepeatSecs=60: must be left out beside Cron",
            ),
            (
                "[Nightly]\nAction=Process\nCron=@daily\nTimeZone=Berlin",
                "t:20: [Nightly] TimeZone=Berlin",
            ),
            (
                "[Nightly]\nAction=Process\nCron=@daily\nOverlap=x",
                "must be one of skip, queue, replace",
            ),
            ("[Nightly]\nAction=Process\nCron=@daily\nCatchUp=x", "must be one of none, once"),
            ("[Nightly]\nAction=Process\nCron=@daily\nCycles=0", "or -1 for unlimited"),
            (
                "[Nightly]\nAction=Process\nCron=@daily\nJitter=-1",
                "t:20: [Nightly] Jitter=-1: must be",
            ),
            (
                "[Nightly]\nAction=Process\nCron=@daily\nStartTime=soon",
                "t:20: [Nightly] StartTime=soon: must",
            ),
            (
                "[Nightly]\nAction=Process\nCron=@daily\nSleep=long",
                "t:20: [Nightly] Sleep=long: The parameter Sleep has the value 'long'.",
            ),
            (
                "[Nightly]\nAction=Process\nCron=@daily\nParameters=Fail=x&Sleep=long",
                "t:20: [Nightly] Parameters: The parameter Sleep has the value 'long'.",
            ),
            (
                "[Nightly]\nAction=Process\nCron=@daily\nParameters=a=%ff",
                "Parameters=a=%ff: can't be read",
            ),
            (
                "[Nightly]\nAction=Process\nCron=@daily\nSync=true",
                "nobody waits for a scheduled action",
            ),
            (
                "[Nightly]\nAction=Fetch\nCron=@daily",
                "t:18: [Nightly] Action=Fetch: The parameter FetchAction is required",
            ),
            (
                "[Nightly]\nAction=Process\nCron=@daily\nText=${NONE}",
                "t:20: [Nightly] Text=${NONE}: ",
            ),
            (
                "1=Fetch\n[Nightly]\nAction=Process\nCron=@daily",
                "t:17: [Schedules] 1=Fetch: cannot be taken",
            ),
            (
                "1=dir1\n[Nightly]\nAction=Process\nCron=@daily",
                "t:17: [Schedules] 1=dir1: cannot be taken",
            ),
        ];
        for (text, want) in table {
            let error = parse(&format!("{LIST}{text}\n")).unwrap_err();
            assert_eq!(error.lines().count(), 1, "{text}: {error}");
            assert!(error.contains(want), "{text}: {error}");
        }
        let strict = "[Server]\nStrictActionValidation=true\n";
        let nightly =
            "[Nightly]\nAction=Fetch\nFetchAction=Synchronize\nCron=@daily\nTaskSection=x\n";
        let error = parse(&format!("{strict}{LIST}{nightly}")).unwrap_err();
        assert!(error.contains("has no parameter 'TaskSection'"), "{error}");
    }

    #[test]
    fn secret_parameters_are_not_shown() {
        let (queue, list) = (
            "[AsyncActions]\n0=P\n[P]\nType=Echo\nSecretParameters=Pin\n",
            "[Schedules]\n0=N\n[N]\nAction=P\n",
        );
        let keys =
            "Cron=@daily\nApiKey=s3cret\npin=s3cret\nText=shown\nParameters=Password=s3cret\n";
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.cfg");
        std::fs::write(&path, format!("{queue}{list}{keys}")).unwrap();
        let printed = super::super::check(&crate::kinds::Kinds::shipped(), &path).unwrap().0;
        assert!(!printed.contains("s3cret") && printed.contains("\nApiKey=***\n"), "{printed}");
        assert!(printed.contains("\npin=***\n"), "{printed}");
        assert!(
            printed.contains("\nText=shown\n") && printed.contains("\nParameters=***\n"),
            "{printed}"
        );
    }

    #[test]
    fn the_lists_of_other_servers_have_no_effect() {
        let list =
            "[Schedules]\nNumberOfSchedules=1\n0=News\n[News]\nStartTime=03:00\nInterval=1 day\n";
        let (schedules, warnings) = parse(list).unwrap();
        assert_eq!(schedules, []);
        let told: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|warning| warning.contains("NumberOfSchedules")), "{told:?}");
    }
}
