//! A list of tasks in the form in which it is sent, collected within limits.
//!
//! An environment chooses how many tasks it has and how large they are, so each
//! bound is checked before anything is held: the count before the first task is
//! asked for, the bytes before a task is added. The list is text in pieces, which
//! all its readers share. It is charged to the owner of the request for which it
//! was collected, as long as the list is kept; who sends its pieces charges them to
//! their reader.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use orwd_engine::{Owner, TaskLookupError};
use orwd_limiter::BytePermit;
use orwd_model::{ByteSize, Json, TimeSpan};

/// The size of a piece. A larger task is a piece of its own.
const PIECE: usize = 64 * 1024;

/// What one list may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingLimits {
    /// Tasks; `--listing-tasks`.
    pub tasks: u64,
    /// Bytes of their text; `--listing-limit`.
    pub bytes: usize,
    /// Time for collecting them; `--listing-time`.
    pub time: Duration,
}

/// Why tasks cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The environment cannot return a task.
    #[error("the environment cannot return a task")]
    Lookup(TaskLookupError),
    /// The range has more tasks than one response.
    #[error(
        "a response lists at most {limit} tasks, and this range has {tasks}; ask for smaller \
         ranges with start and stop (the server's limit is --listing-tasks)"
    )]
    TooManyTasks {
        /// The tasks of the range.
        tasks: u64,
        /// The limit.
        limit: u64,
    },
    /// The tasks are larger than one response.
    #[error(
        "a response lists at most {} of tasks, and those from {start} to {stop} are larger; ask \
         for smaller ranges with start and stop (the server's limit is --listing-limit)",
        ByteSize::bytes(*limit as u64)
    )]
    TooLarge {
        /// The first task.
        start: u64,
        /// The task that did not fit.
        stop: u64,
        /// The limit.
        limit: usize,
    },
    /// The environment took too long.
    #[error(
        "the environment listed {tasks} tasks in {}, and more time is not allowed; ask for \
         smaller ranges with start and stop (the server's limit is --listing-time)",
        TimeSpan::from(*limit)
    )]
    TooSlow {
        /// The tasks so far.
        tasks: u64,
        /// The limit.
        limit: Duration,
    },
    /// Other lists take the memory.
    #[error("other lists of tasks take all memory for them; try again (--listing-memory)")]
    NoMemory,
}

impl From<TaskLookupError> for ListingError {
    fn from(error: TaskLookupError) -> ListingError {
        ListingError::Lookup(error)
    }
}

impl ListingLimits {
    /// Refuses a range with too many tasks.
    pub fn check_count(&self, start: u64, stop: u64) -> Result<(), ListingError> {
        let tasks = stop.saturating_sub(start);
        if tasks > self.tasks {
            return Err(ListingError::TooManyTasks {
                tasks,
                limit: self.tasks,
            });
        }
        Ok(())
    }
}

/// A list of tasks as JSON text: the tasks, separated by commas. Clones share it.
#[derive(Clone, Debug)]
pub struct TaskList(Arc<Listed>);

#[derive(Debug)]
struct Listed {
    pieces: Vec<Bytes>,
    tasks: u64,
    bytes: usize,
    _memory: Option<BytePermit<Owner>>,
}

impl TaskList {
    /// Creates a list of these tasks, which is charged to nobody.
    pub fn uncharged(tasks: &[Json]) -> TaskList {
        let texts: Vec<&str> = tasks.iter().map(Json::as_str).collect();
        let text = Bytes::from(texts.join(","));
        TaskList(Arc::new(Listed {
            tasks: tasks.len() as u64,
            bytes: text.len(),
            pieces: vec![text],
            _memory: None,
        }))
    }

    /// Returns the text in pieces, whose memory is charged as long as the list is left.
    pub fn pieces(&self) -> &[Bytes] {
        &self.0.pieces
    }

    /// Returns the number of tasks.
    pub fn tasks(&self) -> u64 {
        self.0.tasks
    }

    /// Returns the size of the text.
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }
}

/// Collects a list of tasks.
#[derive(Debug)]
pub struct TaskListBuilder {
    limits: ListingLimits,
    memory: BytePermit<Owner>,
    start: u64,
    tasks: u64,
    bytes: usize,
    full: Vec<Vec<u8>>,
    piece: Vec<u8>,
}

impl TaskListBuilder {
    /// Begins a list with the task `start`, which is charged to `memory`.
    pub fn new(limits: &ListingLimits, memory: BytePermit<Owner>, start: u64) -> TaskListBuilder {
        TaskListBuilder {
            limits: *limits,
            memory,
            start,
            tasks: 0,
            bytes: 0,
            full: Vec::new(),
            piece: Vec::new(),
        }
    }

    /// Adds a task.
    pub fn push(&mut self, task: &Json) -> Result<(), ListingError> {
        let comma = usize::from(self.tasks > 0);
        let text = task.as_str().as_bytes();
        let size = text.len() + comma;
        if self.bytes + size > self.limits.bytes {
            return Err(ListingError::TooLarge {
                start: self.start,
                stop: self.start.saturating_add(self.tasks).saturating_add(1),
                limit: self.limits.bytes,
            });
        }
        if self.piece.capacity() - self.piece.len() < size {
            // Charged as it is allocated.
            let capacity = size.max(PIECE);
            self.memory
                .grow(capacity)
                .map_err(|_| ListingError::NoMemory)?;
            let full = std::mem::replace(&mut self.piece, Vec::with_capacity(capacity));
            if !full.is_empty() {
                self.full.push(full);
            }
        }
        self.piece
            .extend_from_slice(b",".get(..comma).unwrap_or_default());
        self.piece.extend_from_slice(text);
        self.bytes += size;
        self.tasks += 1;
        Ok(())
    }

    /// Returns why collecting it ended early.
    pub(crate) fn too_slow(&self) -> ListingError {
        ListingError::TooSlow {
            tasks: self.tasks,
            limit: self.limits.time,
        }
    }

    /// Returns the list.
    pub fn finish(self) -> TaskList {
        let TaskListBuilder {
            mut memory,
            tasks,
            bytes,
            mut full,
            mut piece,
            ..
        } = self;
        piece.shrink_to_fit();
        full.push(piece);
        memory.shrink_to(full.iter().map(Vec::capacity).sum());
        let pieces = full.into_iter().filter(|piece| !piece.is_empty());
        TaskList(Arc::new(Listed {
            pieces: pieces.map(Bytes::from).collect(),
            tasks,
            bytes,
            _memory: Some(memory),
        }))
    }
}

#[cfg(test)]
mod tests {
    use orwd_limiter::ByteBudget;

    use super::*;

    fn limits(tasks: u64, bytes: usize) -> ListingLimits {
        ListingLimits {
            tasks,
            bytes,
            time: Duration::from_secs(1),
        }
    }

    fn task(text: &str) -> Json {
        Json::object(text.to_owned()).unwrap()
    }

    fn owner() -> Owner {
        Owner::Client(Some("alice".into()))
    }

    #[test]
    fn a_list_is_the_tasks_with_commas_in_pieces() {
        let budget = ByteBudget::new(1 << 30, 1 << 30);
        let memory = budget.try_take(&owner(), 0).unwrap();
        let mut list = TaskListBuilder::new(&limits(1000, 1 << 20), memory, 0);
        let tasks: Vec<Json> = (0..100)
            .map(|n| task(&format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(n * 100))))
            .collect();
        for task in &tasks {
            list.push(task).unwrap();
        }
        let list = list.finish();
        assert_eq!(list.tasks(), 100);
        let text: Vec<u8> = list.pieces().concat();
        assert_eq!(text.len(), list.bytes());
        let texts: Vec<&str> = tasks.iter().map(Json::as_str).collect();
        assert_eq!(String::from_utf8(text).unwrap(), texts.join(","));
        assert!(list.pieces().len() > 3, "{}", list.pieces().len());
        assert!(budget.used() >= list.bytes());
        let kept = list.clone();
        // Who sends a piece charges it to its reader.
        let _piece = list.pieces()[1].slice(10..20);
        drop(list);
        assert!(budget.used() > 0);
        drop(kept);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn each_bound_is_met_before_more_is_held() {
        let count = limits(10, 1 << 20);
        assert!(count.check_count(5, 15).is_ok());
        let error = count.check_count(0, 1 << 62).unwrap_err().to_string();
        assert!(
            error.starts_with("a response lists at most 10 tasks") && error.contains("start"),
            "{error}"
        );
        let budget = ByteBudget::new(200 << 10, 200 << 10);
        let memory = budget.try_take(&owner(), 0).unwrap();
        let mut list = TaskListBuilder::new(&limits(10, 25), memory, 7);
        list.push(&task("{\"a\":10}")).unwrap();
        list.push(&task("{\"a\":10}")).unwrap();
        let error = list.push(&task("{\"a\":10}")).unwrap_err().to_string();
        assert!(
            error.contains("at most 25B") && error.contains("from 7 to 10"),
            "{error}"
        );
        assert_eq!(
            String::from_utf8_lossy(&list.finish().pieces().concat()).len(),
            17
        );
        assert_eq!(budget.used(), 0);

        let other = budget.try_take(&owner(), 100 << 10).unwrap();
        let memory = budget.try_take(&owner(), 0).unwrap();
        let mut list = TaskListBuilder::new(&limits(10, 1 << 30), memory, 0);
        let large = task(&format!("{{\"a\":\"{}\"}}", "x".repeat(60 << 10)));
        list.push(&large).unwrap();
        assert!(matches!(list.push(&large), Err(ListingError::NoMemory)));
        assert!(budget.used() <= 200 << 10);
        drop((other, list));
        assert_eq!(budget.used(), 0);
    }
}
