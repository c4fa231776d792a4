//! The output of a measurement.

use std::time::Duration;

use super::super::show::{counted, grouped, line};
use super::load::Sent;
use crate::aci::client::ServerStatus;

/// The ends of what was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All had ended so long after the first request.
    After(Duration),
    /// Some had not when it was given up.
    NotAll,
    /// They can't be told from others there.
    NotSeen,
}

/// The figures of a measurement.
pub(super) struct Report<'a> {
    pub(super) sent: &'a Sent,
    pub(super) ended: Ended,
    pub(super) status: &'a ServerStatus,
    pub(super) connections: u16,
}

/// The word for facts that the server does not tell.
const UNKNOWN: &str = "not told";

impl Report<'_> {
    pub(super) fn text(&self) -> String {
        let sent = self.sent;
        let time = |quantile| millis(sent.times.value_at_quantile(quantile));
        let connections = counted(u64::from(self.connections), "connection");
        let actions = counted(sent.accepted(), "action");
        let seconds = sent.took.as_secs_f64();
        let mut text = format!("submitted    {actions} in {seconds:.1} s with {connections}\n");
        text.push_str(&format!("rate         {} a second\n", rate(sent.accepted(), sent.took)));
        text.push_str(&format!(
            "latency      p50 {}, p90 {}, p99 {}, longest {}\n",
            time(0.5),
            time(0.9),
            time(0.99),
            millis(sent.times.max())
        ));
        if sent.refused > 0 {
            let why = sent.refusal.as_deref().unwrap_or_default();
            text.push_str(&format!("refused      {}: {}\n", grouped(sent.refused), line(why)));
        }
        text.push_str(&match self.ended {
            Ended::After(time) => {
                format!("ended        {} a second\n", rate(sent.accepted(), time))
            }
            Ended::NotAll => "ended        not all of them\n".to_owned(),
            Ended::NotSeen => "ended        not seen\n".to_owned(),
        });
        text.push_str(&format!("durability   {}\n", self.durability()));
        text.push_str(&format!("file system  {}\n", self.file_system()));
        text
    }

    pub(super) fn json(&self) -> String {
        let sent = self.sent;
        let time = |quantile| micros_as_millis(sent.times.value_at_quantile(quantile));
        let rate = |time: Duration| per_second(sent.accepted(), time);
        let object = serde_json::json!({
            "connections": self.connections,
            "submitted": sent.accepted(),
            "refused": sent.refused,
            "seconds": sent.took.as_secs_f64(),
            "per_second": rate(sent.took),
            "p50_ms": time(0.5),
            "p90_ms": time(0.9),
            "p99_ms": time(0.99),
            "max_ms": micros_as_millis(sent.times.max()),
            "ended_per_second": match self.ended {
                Ended::After(time) => Some(rate(time)),
                Ended::NotAll | Ended::NotSeen => None,
            },
            "durability": self.status.durability,
            "file_system": self.status.file_system,
        });
        format!("{object}\n")
    }

    fn durability(&self) -> String {
        let told = self.status.durability.as_deref().unwrap_or(UNKNOWN);
        let meaning = match told {
            "full" => " (each answer after its fsync)",
            "normal" => " (written, not synced)",
            "memory" => " (nothing is on disk)",
            _ => "",
        };
        format!("{}{meaning}", line(told))
    }

    fn file_system(&self) -> String {
        line(self.status.file_system.as_deref().unwrap_or(UNKNOWN)).into_owned()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(number: u64, time: Duration) -> f64 {
    number as f64 / time.as_secs_f64().max(0.000_001)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is no less than 0"
)]
fn rate(number: u64, time: Duration) -> String {
    grouped(per_second(number, time).round() as u64)
}

#[expect(clippy::cast_precision_loss, reason = "times of less than years")]
fn micros_as_millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn millis(micros: u64) -> String {
    format!("{:.2} ms", micros_as_millis(micros))
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use tokio::time::Instant;

    use super::*;

    fn sent(times: &[u64], refused: u64) -> Sent {
        let mut histogram = Histogram::new(3).unwrap();
        times.iter().for_each(|time| histogram.record(*time).unwrap());
        Sent {
            times: histogram,
            refused,
            refusal: (refused > 0).then(|| "full".to_owned()),
            took: Duration::from_secs(2),
            began: Instant::now(),
            failure: None,
            was_interrupted: false,
        }
    }

    #[test]
    fn a_measurement_is_told() {
        let times: Vec<u64> = (1..=100).map(|time| time * 10).collect();
        let sent = sent(&times, 3);
        let durability = Some("full".to_owned());
        let status = ServerStatus { durability, ..ServerStatus::default() };
        let ended = Ended::After(Duration::from_secs(4));
        let report = Report { sent: &sent, ended, status: &status, connections: 8 };
        let want = "submitted    100 actions in 2.0 s with 8 connections\n\
                    rate         50 a second\n\
                    latency      p50 0.50 ms, p90 0.90 ms, p99 0.99 ms, longest 1.00 ms\n\
                    refused      3: full\n\
                    ended        25 a second\n\
                    durability   full (each answer after its fsync)\n\
                    file system  not told\n";
        assert_eq!(report.text(), want);
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["per_second"], &json["p99_ms"]), (&50.0.into(), &0.99.into()));
        let unended = Report { ended: Ended::NotAll, ..report };
        assert!(unended.text().contains("ended        not all of them\n"));
    }
}
