//! Figures of the process, under the names that all Prometheus clients give them. Linux only: elsewhere there are none.

/// The figures of this process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) threads: u64,
    pub(super) open_fds: u64,
    pub(super) max_fds: f64,
    pub(super) start_time_seconds: f64,
}

impl Process {
    /// Reads them; `None` if the system does not tell.
    #[cfg(target_os = "linux")]
    pub(super) fn read() -> Option<Self> {
        match linux::read() {
            Ok(process) => Some(process),
            Err(error) => {
                log::debug!("the figures of the process can't be read: {error}");
                None
            }
        }
    }

    /// Reads them; `None` if the system does not tell.
    #[cfg(not(target_os = "linux"))]
    pub(super) const fn read() -> Option<Self> {
        None
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use procfs::process::LimitValue;
    use procfs::{ProcResult, boot_time_secs, page_size, ticks_per_second};

    use super::Process;

    #[expect(
        clippy::cast_precision_loss,
        reason = "neither times nor limits need more than 53 bits"
    )]
    pub(super) fn read() -> ProcResult<Process> {
        let process = procfs::process::Process::myself()?;
        let stat = process.stat()?;
        let per_second = ticks_per_second() as f64;
        let max_fds = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Value(limit) => limit as f64,
            LimitValue::Unlimited => f64::INFINITY,
        };
        Ok(Process {
            cpu_seconds: stat.utime.saturating_add(stat.stime) as f64 / per_second,
            resident_bytes: stat.rss.saturating_mul(page_size()),
            virtual_bytes: stat.vsize,
            threads: u64::try_from(stat.num_threads).unwrap_or_default(),
            open_fds: process.fd_count()? as u64,
            max_fds,
            start_time_seconds: boot_time_secs()? as f64 + stat.starttime as f64 / per_second,
        })
    }
}
