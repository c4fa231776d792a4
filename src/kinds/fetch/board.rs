//! The board of a Fetch action: counts, tasks and progress, shown while it runs and when it is done.
//!
//! The shape of the result is that of the sample on the "`QueueInfo`" page of the connectors' Help.

use actiond_actors::{Node, Progress, Report, Stage, StageStatus};

use crate::kinds::WorkContext;

/// Number of steps between two updates of the progress.
const SHOW_EVERY: u32 = 100;

/// Number of failed tasks whose reasons are in the error of the action; all are in its result.
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
    /// `expected` is the number of files that the last run knew; 0 in a first run.
    Running {
        expected: u64,
    },
    Succeeded,
    Failed(String),
}

#[derive(Debug)]
struct TaskRow {
    task: String,
    counts: Counts,
    state: TaskState,
}

/// The tasks of one action and their states; they run one after another.
pub(crate) struct Board<'a> {
    context: &'a dyn WorkContext,
    rows: Vec<TaskRow>,
    /// A warning about parameters that are ignored.
    warning: Option<Node>,
    current: usize,
    steps: u32,
}

impl<'a> Board<'a> {
    /// Makes a board of these tasks and shows it.
    pub(crate) fn new<'n>(
        context: &'a dyn WorkContext,
        tasks: impl IntoIterator<Item = &'n str>,
        warning: Option<Node>,
    ) -> Self {
        let row = |task: &str| TaskRow {
            task: task.to_uppercase(),
            counts: Counts::default(),
            state: TaskState::Waiting,
        };
        let board = Self {
            context,
            rows: tasks.into_iter().map(row).collect(),
            warning,
            current: 0,
            steps: 0,
        };
        board.show();
        board
    }

    pub(crate) fn context(&self) -> &'a dyn WorkContext {
        self.context
    }

    /// Begins the current task.
    pub(crate) fn begin(&mut self, expected: u64) {
        if let Some(row) = self.rows.get_mut(self.current) {
            row.state = TaskState::Running { expected };
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
        if let Some(row) = self.rows.get_mut(self.current) {
            row.counts = counts;
        }
        self.steps = 0;
        self.show();
    }

    /// Ends the current task, and makes the next one current.
    pub(crate) fn end(&mut self, result: Result<(), String>) {
        if let Some(row) = self.rows.get_mut(self.current) {
            row.state = match result {
                Ok(()) => TaskState::Succeeded,
                Err(why) => TaskState::Failed(why),
            };
        }
        self.current += 1;
        self.show();
    }

    /// Returns the result so far.
    pub(crate) fn report(&self) -> Report {
        let counts = self.rows.iter().map(|row| row.counts.node(&row.task));
        let tasks = self.rows.iter().filter_map(|row| match &row.state {
            TaskState::Waiting | TaskState::Running { .. } => None,
            TaskState::Succeeded => Some(Node::text("success", &*row.task)),
            TaskState::Failed(why) => {
                Some(Node::text("failed", &*row.task).attribute("message", why))
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

    /// Returns the reason if there are tasks and all have failed.
    pub(crate) fn all_failed(&self) -> Option<String> {
        let mut reasons = Vec::new();
        for row in &self.rows {
            let TaskState::Failed(why) = &row.state else { return None };
            reasons.push(format!("{}: {why}", row.task));
        }
        let more = reasons.len().saturating_sub(MAX_REASONS);
        reasons.truncate(MAX_REASONS);
        let reasons = reasons.join("; ");
        match (self.rows.len(), more) {
            (0, _) => None,
            (1, _) => Some(format!("task {reasons}")),
            (tasks, 0) => Some(format!("all {tasks} tasks failed: {reasons}")),
            (tasks, more) => Some(format!("all {tasks} tasks failed: {reasons}; and {more} more")),
        }
    }

    fn show(&self) {
        let stages = self.rows.iter().map(|row| {
            let stage = Stage::new(&*row.task);
            match row.state {
                TaskState::Waiting => stage,
                TaskState::Running { expected: 0 } => stage.at(StageStatus::Processing),
                TaskState::Running { expected } => stage
                    .at(StageStatus::Processing)
                    .counted(row.counts.seen.min(expected), expected),
                TaskState::Succeeded | TaskState::Failed(_) => stage.at(StageStatus::Finished),
            }
        });
        let mut progress = Progress::of_stages(stages.collect());
        progress.measuring =
            self.rows.iter().any(|row| matches!(row.state, TaskState::Running { expected: 0 }));
        self.context.progress(progress);
        self.context.partial(self.report());
    }
}
