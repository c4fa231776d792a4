//! What a Fetch action shows while it runs and when it is done: counts, tasks, progress.
//!
//! The shape of the result is that of the sample on the "`QueueInfo`" page of the connectors' Help.

use actiond_actors::{Node, Progress, Report, Stage, StageStatus};

use crate::kinds::Watch;

/// Number of steps between two showings.
const SHOW_EVERY: u32 = 100;

/// Of how many failed tasks the error of the action gives the reason; all stand in its result.
const MAX_REASONS: usize = 10;

/// The figures of a task, in documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Found in all, unreadable ones too.
    pub(crate) seen: u64,
    /// New ones.
    pub(crate) added: u64,
    /// Changed ones.
    pub(crate) updated: u64,
    /// Vanished ones.
    pub(crate) deleted: u64,
    /// As they were.
    pub(crate) unchanged: u64,
    /// Files and directories that could not be read.
    pub(crate) errors: u64,
    /// New ones that Ingest has accepted.
    pub(crate) ingestadded: u64,
    /// Changed ones that Ingest has accepted.
    pub(crate) ingestupdated: u64,
    /// Vanished ones whose removal Ingest has accepted.
    pub(crate) ingestdeleted: u64,
    /// Those that Ingest has not accepted.
    pub(crate) ingestfailed: u64,
}

impl Counts {
    /// All attributes in the order of the alphabet, as servers write them.
    fn node(&self, task: &str) -> Node {
        Node::new("documentcount")
            .attribute("added", self.added)
            .attribute("collected", 0)
            .attribute("deleted", self.deleted)
            .attribute("errors", self.errors)
            .attribute("holds", 0)
            .attribute("ingestadded", self.ingestadded)
            .attribute("ingestdeleted", self.ingestdeleted)
            .attribute("ingestfailed", self.ingestfailed)
            .attribute("ingestupdated", self.ingestupdated)
            .attribute("inserted", 0)
            .attribute("releasedholds", 0)
            .attribute("seen", self.seen)
            .attribute("task", task)
            .attribute("unchanged", self.unchanged)
            .attribute("updated", self.updated)
    }
}

#[derive(Debug)]
enum TaskState {
    Waiting,
    /// `expected` is how many files the last run knew; 0 in a first run.
    Running {
        expected: u64,
    },
    Succeeded,
    Failed(String),
}

#[derive(Debug)]
struct Line {
    task: String,
    counts: Counts,
    state: TaskState,
}

/// The tasks of one action and how they stand; the tasks run one after another.
pub(crate) struct Board<'a> {
    watch: &'a dyn Watch,
    lines: Vec<Line>,
    /// What the action was asked for and is not done.
    warning: Option<Node>,
    current: usize,
    steps: u32,
}

impl<'a> Board<'a> {
    /// Makes a board for these tasks and shows it.
    pub(crate) fn new<'n>(
        watch: &'a dyn Watch,
        tasks: impl IntoIterator<Item = &'n str>,
        warning: Option<Node>,
    ) -> Self {
        let line = |task: &str| Line {
            task: task.to_uppercase(),
            counts: Counts::default(),
            state: TaskState::Waiting,
        };
        let board = Self {
            watch,
            lines: tasks.into_iter().map(line).collect(),
            warning,
            current: 0,
            steps: 0,
        };
        board.show();
        board
    }

    pub(crate) fn watch(&self) -> &'a dyn Watch {
        self.watch
    }

    /// The current task begins.
    pub(crate) fn begin(&mut self, expected: u64) {
        if let Some(line) = self.lines.get_mut(self.current) {
            line.state = TaskState::Running { expected };
        }
        self.show();
    }

    /// Takes the figures of the current task; shows them only now and then.
    pub(crate) fn step(&mut self, counts: Counts) {
        self.steps += 1;
        if self.steps >= SHOW_EVERY {
            self.update(counts);
        }
    }

    /// Takes the figures of the current task and shows them.
    pub(crate) fn update(&mut self, counts: Counts) {
        if let Some(line) = self.lines.get_mut(self.current) {
            line.counts = counts;
        }
        self.steps = 0;
        self.show();
    }

    /// The current task has ended; the next one is current.
    pub(crate) fn end(&mut self, result: Result<(), String>) {
        if let Some(line) = self.lines.get_mut(self.current) {
            line.state = match result {
                Ok(()) => TaskState::Succeeded,
                Err(why) => TaskState::Failed(why),
            };
        }
        self.current += 1;
        self.show();
    }

    /// Returns the result so far.
    pub(crate) fn report(&self) -> Report {
        let counts = self.lines.iter().map(|line| line.counts.node(&line.task));
        let tasks = self.lines.iter().filter_map(|line| match &line.state {
            TaskState::Waiting | TaskState::Running { .. } => None,
            TaskState::Succeeded => Some(Node::text("success", &*line.task)),
            TaskState::Failed(why) => {
                Some(Node::text("failed", &*line.task).attribute("message", why))
            }
        });
        let mut report = vec![
            counts.fold(Node::new("documentcounts"), Node::node),
            Node::text("fetchaction", "SYNCHRONIZE"),
            tasks.fold(Node::new("tasks"), Node::node),
        ];
        report.extend(self.warning.clone());
        report
    }

    /// Says why, if there are tasks and every one of them has failed.
    pub(crate) fn all_failed(&self) -> Option<String> {
        let mut reasons = Vec::new();
        for line in &self.lines {
            let TaskState::Failed(why) = &line.state else { return None };
            reasons.push(format!("{}: {why}", line.task));
        }
        let more = reasons.len().saturating_sub(MAX_REASONS);
        reasons.truncate(MAX_REASONS);
        let reasons = reasons.join("; ");
        match (self.lines.len(), more) {
            (0, _) => None,
            (1, _) => Some(format!("task {reasons}")),
            (tasks, 0) => Some(format!("all {tasks} tasks failed: {reasons}")),
            (tasks, more) => Some(format!("all {tasks} tasks failed: {reasons}; and {more} more")),
        }
    }

    fn show(&self) {
        let stages = self.lines.iter().map(|line| {
            let stage = Stage::new(&*line.task);
            match line.state {
                TaskState::Waiting => stage,
                TaskState::Running { expected: 0 } => stage.at(StageStatus::Processing),
                TaskState::Running { expected } => stage
                    .at(StageStatus::Processing)
                    .counted(line.counts.seen.min(expected), expected),
                TaskState::Succeeded | TaskState::Failed(_) => stage.at(StageStatus::Finished),
            }
        });
        let mut progress = Progress::of_stages(stages.collect());
        progress.measuring =
            self.lines.iter().any(|line| matches!(line.state, TaskState::Running { expected: 0 }));
        self.watch.progress(progress);
        self.watch.partial(self.report());
    }
}
