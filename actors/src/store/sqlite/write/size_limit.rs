//! The maximum size of the database that the configuration sets: submissions that do not fit are refused, everything else goes
//! on. What is free in the file counts as free.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Writer;
use crate::store::sqlite::reserve::PAGE;
use crate::store::sqlite::rows::number;
use crate::store::{Batch, NewAction, StoreError};

/// Number of bytes that an action takes beside its parameters: its row, the entries of indexes, a short result.
const BESIDE: u64 = 500;

/// The maximum number of bytes; `u64::MAX` if there is none. Shared with whoever may change it.
#[derive(Debug, Clone)]
pub(in crate::store::sqlite) struct SizeLimit {
    now: Arc<AtomicU64>,
    /// The most that the store itself can hold.
    most: u64,
}

impl SizeLimit {
    pub(in crate::store::sqlite) fn up_to(most: u64) -> Self {
        Self { now: Arc::new(AtomicU64::new(most)), most }
    }

    pub(in crate::store::sqlite) fn set(&self, limit: Option<u64>) {
        self.now.store(limit.unwrap_or(u64::MAX).min(self.most), Ordering::Relaxed);
    }

    fn get(&self) -> Option<u64> {
        Some(self.now.load(Ordering::Relaxed)).filter(|limit| *limit < u64::MAX)
    }
}

impl Writer<'_> {
    /// Tells of each batch whether its submissions fit; returns the error with which those are refused that do not.
    pub(super) fn over_limit(&mut self, batches: &[&Batch]) -> Option<(StoreError, Vec<bool>)> {
        if batches.iter().all(|batch| batch.submissions.is_empty()) {
            return None;
        }
        let Some(limit) = self.size_limit.get() else {
            self.is_over_limit = false;
            return None;
        };
        let pages = self.number("PRAGMA page_count");
        let used = pages.saturating_sub(self.number("PRAGMA freelist_count"));
        let mut left = limit.saturating_sub(used.saturating_mul(PAGE));
        let mut fits = |batch: &&Batch| {
            let needed = batch.submissions.iter().map(|new| self.bytes_of(new));
            let needed = needed.fold(0, u64::saturating_add);
            let fits = needed <= left;
            left = if fits { left - needed } else { left };
            batch.submissions.is_empty() || fits
        };
        let fit: Vec<bool> = batches.iter().map(&mut fits).collect();
        let is_over = fit.contains(&false);
        if is_over && !std::mem::replace(&mut self.is_over_limit, true) {
            log::warn!(
                "the action database has the {limit} bytes that it may have (MaxDatastoreSize): submissions are refused until actions were deleted"
            );
        } else if !is_over && std::mem::take(&mut self.is_over_limit) {
            log::info!("the action database has room again: submissions are taken");
        }
        is_over.then_some((StoreError::SizeLimit { limit }, fit))
    }

    /// Returns the number of bytes that a new action will take, about.
    fn bytes_of(&self, new: &NewAction) -> u64 {
        let parameters = match new {
            NewAction::Given { parameters, .. } => parameters.byte_len() as u64,
            NewAction::CopyOf { id, .. } => self
                .connection
                .prepare_cached("SELECT octet_length(value) FROM parameters WHERE id = ?1")
                .and_then(|mut length| length.query_row([number(*id)], |row| row.get(0)))
                // One that is not there is refused for that.
                .unwrap_or_default(),
        };
        parameters.saturating_add(BESIDE)
    }
}
