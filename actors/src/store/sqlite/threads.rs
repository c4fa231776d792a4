//! The threads of the store: the jobs that they take, and their loops. One writes; two read.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::read::Reader;
use super::read_queue::{ReadClass, ReadQueue};
use super::write::Writer;
use crate::store::pending::PendingBatch;
use crate::store::{HandlerId, QueueState, StoreError};

#[derive(Debug, Default)]
pub(super) struct Threads {
    pub(super) reading: Vec<JoinHandle<()>>,
    pub(super) writing: Option<JoinHandle<()>>,
}

pub(super) enum WriteJob {
    Open(String, oneshot::Sender<Result<QueueState, StoreError>>),
    OpenHandler(String, oneshot::Sender<Result<HandlerId, StoreError>>),
    Commit(PendingBatch),
    /// Copies a database in memory to a file.
    Copy(PathBuf, oneshot::Sender<Result<(), StoreError>>),
    Close(oneshot::Sender<()>),
}

pub(super) enum ReadJob {
    Run(ReadClass, Box<dyn FnOnce(&Reader) + Send>),
    Close,
}

/// Maximum number of jobs in one transaction, so that its first caller does not wait for ever.
const MAX_GROUP: usize = 256;

/// Sends a job to a thread and returns its answer: [`StoreError::Closed`] if the thread has ended.
pub(super) fn ask<T: Send + 'static, Job>(
    thread: &mpsc::Sender<Job>,
    job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
) -> BoxFuture<'static, Result<T, StoreError>> {
    let (reply, answer) = oneshot::channel();
    // If the thread has ended, the job comes back and is dropped with its `reply`.
    drop(thread.send(job(reply)));
    answer.map(|answer| answer.unwrap_or(Err(StoreError::Closed))).boxed()
}

/// Sends a read to a reading thread and returns its answer.
pub(super) fn read<T: Send + 'static>(
    thread: &mpsc::Sender<ReadJob>,
    class: ReadClass,
    job: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
) -> BoxFuture<'static, Result<T, StoreError>> {
    // The reply fails only if the caller no longer waits for it.
    ask(thread, |reply| ReadJob::Run(class, Box::new(move |reader| drop(reply.send(job(reader))))))
}

pub(super) fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|e| StoreError::Io(format!("can't start the thread {name}: {e}")))
}

/// The end of the writing thread, with the recipient of the answer to a close.
type End = Option<oneshot::Sender<()>>;

/// Runs the writing thread: takes all jobs that wait, writes them as one transaction, answers, and repeats.
pub(super) fn write_loop(mut writer: Writer<'_>, jobs: &mpsc::Receiver<WriteJob>) {
    let end = loop {
        let wait = writer.rests();
        if let Err(end) = write_group(&mut writer, jobs, wait) {
            break end;
        }
        let mut ended = None;
        while ended.is_none() && writer.is_file_due() {
            writer.write_file(|writer| {
                ended = write_group(writer, jobs, Some(Duration::ZERO)).err();
                ended.is_none()
            });
        }
        if let Some(end) = ended {
            break end;
        }
    };
    writer.close();
    if let Some(reply) = end {
        let _ = reply.send(());
    }
}

/// Takes the jobs that wait, or come within a time, and writes them as one transaction; returns an error at the end.
fn write_group(
    writer: &mut Writer<'_>,
    jobs: &mpsc::Receiver<WriteJob>,
    wait: Option<Duration>,
) -> Result<(), End> {
    let next = match wait {
        Some(time) => jobs.recv_timeout(time),
        None => jobs.recv().map_err(RecvTimeoutError::from),
    };
    let mut next = match next {
        Ok(first) => Some(first),
        Err(RecvTimeoutError::Timeout) => {
            writer.idle();
            return Ok(());
        }
        Err(RecvTimeoutError::Disconnected) => return Err(None),
    };
    let mut group = Vec::new();
    while let Some(job) = next {
        match job {
            WriteJob::Commit(batch) => group.push(batch),
            WriteJob::Open(name, reply) => {
                // Order matters: a queue that is opened again must see its earlier batches applied.
                writer.commit(&mut group);
                let _ = reply.send(writer.open_queue(&name));
            }
            WriteJob::OpenHandler(name, reply) => {
                writer.commit(&mut group);
                let _ = reply.send(writer.open_handler(&name));
            }
            WriteJob::Copy(into, reply) => writer.want_copy(into, reply),
            WriteJob::Close(reply) => {
                writer.commit(&mut group);
                return Err(Some(reply));
            }
        }
        next = if group.len() < MAX_GROUP { jobs.try_recv().ok() } else { None };
    }
    writer.commit(&mut group);
    Ok(())
}

/// Runs a reading thread: takes all jobs that wait, does those that are next on one snapshot, and repeats. Jobs that
/// arrive after the close are dropped.
pub(super) fn read_loop(reader: &Reader, jobs: &mpsc::Receiver<ReadJob>) {
    let (mut open, mut waiting) = (true, ReadQueue::new());
    while open || !waiting.is_empty() {
        let mut taken = 0;
        while open && taken < MAX_GROUP {
            let next = if waiting.is_empty() {
                jobs.recv().unwrap_or(ReadJob::Close)
            } else {
                let Ok(next) = jobs.try_recv() else { break };
                next
            };
            match next {
                ReadJob::Run(class, job) => waiting.push(class, job),
                ReadJob::Close => open = false,
            }
            taken += 1;
        }
        // The snapshot is taken after the last of these jobs has arrived, so each of them sees
        // every change that was acknowledged before it was sent.
        reader.in_snapshot(|| {
            for job in waiting.take_next() {
                job(reader);
            }
        });
    }
}
