//! `/metrics` of the real program: exact counts, series that no client can add, and the files for Prometheus and Grafana.
//!
//! - `scrape`: a scrape, read into series;
//! - `counts`: after known work the counters have known values;
//! - `hostile`: whatever names clients send, the series stay the same;
//! - `documented`: `docs/metrics.md` and a scrape tell of the same metrics;
//! - `prometheus`: promtool and a real Prometheus read all of it, the dashboard and the alert rules too;
//! - `shared`: the lease on a database that servers share.
//!
//! Who may see them is tested in `access`.

mod counts;
mod documented;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(unix)]
mod prometheus;
mod scrape;
#[cfg(unix)]
mod shared;

pub(crate) use scrape::Scrape;
