//! The queue of log lines, and the thread that writes them.
//!
//! Lines are written in order of arrival. Those of the host and those of guests
//! have separate space, so that guests never displace lines of the host. A line
//! that finds no space, because the reader of the log is too slow, is dropped
//! and counted; the count is logged as soon as there is space again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long the end of the process waits for the reader of the log.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of lines that may wait.
const HOST_ROOM: usize = 16 << 20;
const GUEST_ROOM: usize = 1 << 20;

/// Who says a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Host,
    Guest,
}

/// The queue; clones share it.
#[derive(Clone)]
pub(super) struct LogQueue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<(Lane, Vec<u8>)>,
    host: LaneState,
    guest: LaneState,
    closed: bool,
}

#[derive(Clone, Copy, Default)]
struct LaneState {
    /// Bytes that wait.
    bytes: usize,
    /// Lines that were dropped since it was last said.
    dropped: u64,
    /// Lines that were ever dropped.
    all_dropped: u64,
}

/// The thread that writes. Dropping it writes what waits.
pub(super) struct LogThread {
    queue: LogQueue,
    done: mpsc::Receiver<()>,
}

impl LogQueue {
    /// Starts a thread that writes to `output`.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<(LogQueue, LogThread)> {
        let queue = LogQueue(Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        }));
        let (finished, done) = mpsc::channel();
        let written = queue.clone();
        thread::Builder::new()
            .name("orwd-log".to_owned())
            .spawn(move || {
                written.write_all_to(output);
                // The receiver is gone if it has not waited.
                let _ = finished.send(());
            })?;
        let thread = LogThread {
            queue: queue.clone(),
            done,
        };
        Ok((queue, thread))
    }

    /// Returns how many lines of the host and of guests were ever dropped.
    pub(super) fn dropped(&self) -> (u64, u64) {
        let state = self.lock();
        (state.host.all_dropped, state.guest.all_dropped)
    }

    /// Adds a line, or counts it if it finds no room.
    pub(super) fn push(&self, lane: Lane, line: &[u8]) {
        let mut state = self.lock();
        let (room, waiting) = match lane {
            Lane::Host => (HOST_ROOM, &mut state.host),
            Lane::Guest => (GUEST_ROOM, &mut state.guest),
        };
        if waiting.bytes + line.len() > room {
            waiting.dropped += 1;
            waiting.all_dropped += 1;
            return;
        }
        waiting.bytes += line.len();
        state.lines.push_back((lane, line.to_vec()));
        drop(state);
        self.0.changed.notify_one();
    }

    /// Writes lines until the queue is closed and empty. An error of the output
    /// cannot be reported anywhere.
    fn write_all_to(&self, mut output: impl Write) {
        loop {
            let mut state = self.lock();
            while state.lines.is_empty() && !state.closed {
                state = self
                    .0
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let lines = std::mem::take(&mut state.lines);
            let dropped = (
                std::mem::take(&mut state.host.dropped),
                std::mem::take(&mut state.guest.dropped),
            );
            let closed = state.closed;
            drop(state);
            let is_last = lines.is_empty() && closed;
            let (mut host, mut guest) = (0, 0);
            for (lane, line) in lines {
                let _ = output.write_all(&line);
                match lane {
                    Lane::Host => host += line.len(),
                    Lane::Guest => guest += line.len(),
                }
            }
            let _ = output.flush();
            let mut state = self.lock();
            state.host.bytes -= host;
            state.guest.bytes -= guest;
            drop(state);
            report(dropped);
            if is_last {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs how many lines of the host and of guests were dropped.
fn report((host, guest): (u64, u64)) {
    if host > 0 {
        tracing::warn!(lines = host, "drop log lines: the log is read too slowly");
    }
    if guest > 0 {
        tracing::warn!(
            lines = guest,
            "drop guest output: the log is read too slowly"
        );
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.0.changed.notify_one();
        let _ = self.done.recv_timeout(FLUSH_TIMEOUT);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender};

    use super::*;

    /// An output that writes only on command.
    struct SlowOutput {
        go: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for SlowOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the sender is gone, it writes at once.
            let _ = self.go.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Slow {
        queue: LogQueue,
        thread: LogThread,
        go: Sender<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    fn slow() -> Slow {
        let written = Arc::new(Mutex::new(Vec::new()));
        let (go, wait) = mpsc::channel();
        let output = SlowOutput {
            go: wait,
            written: written.clone(),
        };
        let (queue, thread) = LogQueue::start(output).unwrap();
        Slow {
            queue,
            thread,
            go,
            written,
        }
    }

    #[test]
    fn lines_are_written_in_order_and_to_the_last() {
        let slow = slow();
        for number in 0..100 {
            let lane = [Lane::Host, Lane::Guest][number % 2];
            slow.queue.push(lane, format!("{number}\n").as_bytes());
        }
        drop(slow.go);
        drop(slow.thread);
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(*slow.written.lock().unwrap(), expected.as_bytes());
    }

    #[test]
    fn guests_do_not_displace_what_the_host_says() {
        let slow = slow();
        let line = [b'g'; 1000];
        let total = 10 * GUEST_ROOM / line.len();
        for _ in 0..total {
            slow.queue.push(Lane::Guest, &line);
        }
        for number in 0..1000 {
            slow.queue
                .push(Lane::Host, format!("host {number}\n").as_bytes());
        }
        let (host, guest) = {
            let state = slow.queue.lock();
            (state.host, state.guest)
        };
        assert_eq!(host.all_dropped, 0);
        assert!(guest.bytes <= GUEST_ROOM);
        // The thread may have taken a part of the count to report it.
        let kept = total - usize::try_from(guest.all_dropped).unwrap();
        assert_eq!(kept, GUEST_ROOM / line.len());
        drop(slow.go);
        drop(slow.thread);
        let written = String::from_utf8(slow.written.lock().unwrap().clone()).unwrap();
        assert_eq!(written.matches("host ").count(), 1000);
        let state = slow.queue.lock();
        assert_eq!((state.host.bytes, state.guest.bytes), (0, 0));
        assert_eq!((state.host.dropped, state.guest.dropped), (0, 0), "said");
    }

    #[test]
    fn lines_of_the_host_that_find_no_room_are_counted() {
        let slow = slow();
        let line = vec![b'h'; 1 << 20];
        for _ in 0..32 {
            slow.queue.push(Lane::Host, &line);
        }
        let host = slow.queue.lock().host;
        assert!(host.bytes <= HOST_ROOM);
        assert_eq!(host.all_dropped, 16);
        drop(slow.go);
    }
}
