//! Random histories of batches, of which the power is cut off several times.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::Arc;

use actiond_actors::Timestamp;
use actiond_actors::store::conformance::{Damage, Found, Witness};
use actiond_actors::store::sqlite::{Durability, SqliteStore};
use actiond_actors::store::{Batch, BatchReply, Store, StoreError};
use fastrand::Rng;
use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use rusqlite::{Connection, OpenFlags};

use super::disk::{Cut, Disk, During, Honesty};
use super::inspect;
use super::vfs::{mount, unmount};

/// How many groups are committed between two cuts at most.
const GROUPS: usize = 24;

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) durability: Durability,
    pub(crate) honesty: Honesty,
    /// Whether each batch is committed in several transactions: a mistake that must be found.
    pub(crate) in_pieces: bool,
}

/// What the store does by default, on a disk that keeps its word.
pub(crate) const SAFE: Setup =
    Setup { durability: Durability::Full, honesty: Honesty::Honest, in_pieces: false };

/// What happened.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) cuts: BTreeMap<During, u64>,
    /// Cuts while a group was on its way that was there, or was not there, afterwards.
    pub(crate) kept: u64,
    pub(crate) dropped: u64,
    /// Cuts after which acknowledged groups were missing.
    pub(crate) losses: u64,
    /// Batches.
    pub(crate) acknowledged: u64,
    /// Changes and syncs of the disk.
    pub(crate) operations: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (during, number) in other.cuts {
            *self.cuts.entry(during).or_default() += number;
        }
        self.kept += other.kept;
        self.dropped += other.dropped;
        self.losses += other.losses;
        self.acknowledged += other.acknowledged;
        self.operations += other.operations;
    }
}

/// A history, its disk and its directory.
struct Run {
    setup: Setup,
    random: Rng,
    witness: Witness,
    disk: Arc<Disk>,
    checkpoint_pages: u32,
    /// Whether a group was on its way at the last cut.
    unanswered: bool,
    tally: Tally,
}

/// Runs the history of this seed to its end, or to the first fault.
pub(crate) async fn run(seed: u64, setup: Setup) -> Result<Tally, Damage> {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Rng::with_seed(seed);
    let sector = if seed.is_multiple_of(2) { 512 } else { 4_096 };
    let mut run = Run {
        setup,
        witness: Witness::new(seed, &["Fetch", "Ingest", "Process"]),
        disk: Arc::new(Disk::new(sector, setup.honesty)),
        checkpoint_pages: [10, 30, 100][random.usize(0..3)],
        random,
        unanswered: false,
        tally: Tally::default(),
    };
    let outcome = run.all(directory.path()).await;
    unmount(directory.path());
    outcome.map(|()| run.tally)
}

impl Run {
    async fn all(&mut self, directory: &Path) -> Result<(), Damage> {
        for _ in 0..self.random.u32(1..=4) {
            self.choose_cut();
            let outcome = self.powered(directory).await;
            if outcome.is_err() && self.disk.cut_during().is_none() {
                return outcome;
            }
            self.disk.cut_now();
            *self.tally.cuts.entry(self.disk.cut_during().unwrap()).or_default() += 1;
            self.disk = Arc::new(self.disk.after_cut(&mut self.random));
        }
        self.powered(directory).await?;
        // And once more after a clean end.
        self.powered(directory).await
    }

    /// Chooses when the power is cut next: anywhere, or in the middle of something that is rare.
    fn choose_cut(&mut self) {
        let random = &mut self.random;
        let (kind, most) = match random.u8(0..16) {
            // While it is still being recovered from the last cut.
            0..2 => (None, 30),
            2..6 => (None, 300),
            6..9 => (Some(During::LogSync), 25),
            9..11 => (Some(During::MainWrite), 60),
            11..13 => (Some(During::MainSync), 5),
            13 => (Some(During::LogLength), 1),
            14 => (Some(During::MainLength), 1),
            _ => (Some(During::Names), 4),
        };
        self.disk.cut_at(Cut { kind, nth: random.u64(1..=most), late: random.bool() });
    }

    /// Opens the store, looks what is there, and goes on until the power is cut or for a while.
    async fn powered(&mut self, directory: &Path) -> Result<(), Damage> {
        let vfs = mount(directory, &self.disk);
        let durability = self.setup.durability;
        let store =
            SqliteStore::open_with_vfs(directory, durability, vfs, self.checkpoint_pages, true)?;
        let outcome = self.opened(&store, directory, vfs).await;
        // The last connection to close deletes the log if it may write: always the writer's.
        self.disk.hold_writers();
        let closed = store.close();
        self.disk.until_one_is_left();
        self.disk.release_writers();
        closed.await;
        self.tally.operations += self.disk.operations();
        outcome
    }

    async fn opened(
        &mut self,
        store: &SqliteStore,
        directory: &Path,
        vfs: &str,
    ) -> Result<(), Damage> {
        let Found { lost, unanswered_kept } = self.witness.open(store).await?;
        if std::mem::take(&mut self.unanswered) {
            let number =
                if unanswered_kept { &mut self.tally.kept } else { &mut self.tally.dropped };
            *number += 1;
        }
        self.tally.losses += u64::from(lost > 0);
        self.disk.until_idle();
        let path = directory.join("actions.db");
        let second = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
            Connection::open_with_flags_and_vfs(&path, flags, vfs)
        };
        inspect(&second().unwrap());
        // A reader with an old snapshot: checkpoints can't finish, and the log can't start anew.
        let reader = self.random.bool().then(second).transpose().unwrap();
        let read_until = self.random.usize(0..GROUPS);
        for number in 0..self.random.usize(1..=GROUPS) {
            if let Some(reader) = &reader {
                match number {
                    0 => reader.execute_batch("BEGIN; SELECT * FROM queue").unwrap(),
                    _ if number == read_until => reader.execute_batch("COMMIT").unwrap(),
                    _ => {}
                }
            }
            if self.disk.cut_during().is_some() {
                // In a checkpoint, for example: the commit before it was acknowledged all the same.
                return Ok(());
            }
            let group = self.witness.next_group(3);
            self.unanswered = true;
            let replies = self.commit(store, group).await?;
            self.unanswered = false;
            self.witness.acknowledge(&replies);
            self.tally.acknowledged += replies.len() as u64;
        }
        Ok(())
    }

    /// Commits the group as one transaction.
    async fn commit(
        &self,
        store: &SqliteStore,
        group: Vec<Batch>,
    ) -> Result<Vec<BatchReply>, StoreError> {
        if self.setup.in_pieces {
            return in_pieces(store, group).await;
        }
        if let [batch] = &*group {
            return Ok(vec![store.commit(batch.clone()).await?]);
        }
        // The writing thread takes all that comes while it is busy.
        self.disk.hold_writers();
        // At a time at which nothing is due: it must change nothing.
        let mut before = store.commit(Batch { now: Timestamp(0), ..nothing(&group[0]) });
        let mut answer = None;
        self.disk.until_writer_waits(|| {
            answer = (&mut before).now_or_never();
            answer.is_some()
        });
        let commits: Vec<_> = group.into_iter().map(|batch| store.commit(batch)).collect();
        self.disk.release_writers();
        match answer {
            Some(answer) => answer?,
            None => before.await?,
        };
        try_join_all(commits).await
    }
}

fn nothing(like: &Batch) -> Batch {
    Batch {
        controls: Vec::new(),
        submissions: Vec::new(),
        claim: 0,
        retention: Default::default(),
        keep_parameters: true,
        ..like.clone()
    }
}

/// Commits each batch as no store may.
async fn in_pieces(store: &SqliteStore, group: Vec<Batch>) -> Result<Vec<BatchReply>, StoreError> {
    let mut replies = Vec::new();
    for batch in group {
        let controls = Batch { controls: batch.controls.clone(), ..nothing(&batch) };
        let submissions = Batch { submissions: batch.submissions.clone(), ..nothing(&batch) };
        let rest = Batch { claim: batch.claim, retention: batch.retention, ..nothing(&batch) };
        let controls = store.commit(controls).await?.controls;
        let BatchReply { submissions, repeats, .. } = store.commit(submissions).await?;
        replies.push(BatchReply { controls, submissions, repeats, ..store.commit(rest).await? });
    }
    Ok(replies)
}
