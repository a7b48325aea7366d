//! The limits of the server.

use std::time::Duration;

use orwd_model::LimitDefault::{Fixed, Unset};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MILLION: u64 = 1_000_000;

const fn ms(millis: u64) -> u64 {
    millis * MILLION
}

const fn secs(secs: u64) -> u64 {
    ms(secs * 1000)
}

const HOUR: u64 = secs(3600);

orwd_model::declare_limits! {
    /// Limits of the server as a whole.
    pub struct ServerLimits, "Limits of the server" {
        /// Sessions in memory at once, and at most what the system can map and
        /// has descriptors for. For another one, the longest-idle
        /// session of the key with the most resident sessions is evicted; if
        /// none can be evicted, the client gets 503 and `Retry-After`. One key
        /// gets at most four for each that is free.
        max_sessions: u32 = "max-sessions"
            (Count, Fixed(8192), 1, MILLION);
        /// Sessions open at once, in memory or hibernated. Creating another one
        /// gets 503 and `Retry-After`. One key gets at most four places for each
        /// that is free.
        max_open_sessions: usize = "max-open-sessions"
            (Count, Fixed(65_536), 1, MILLION);
        /// Connections open at once, and at most three quarters of the file
        /// descriptors. Further connections wait to be accepted. An address or
        /// key gets at most four for each that is free.
        max_connections: usize = "max-connections"
            (Count, Fixed(10_000), 1, MILLION);
        /// Connections open at once from one address, without counting those
        /// that have sent a valid API key. Another one gets 503 `starting` and
        /// is closed. Set it behind a proxy, where all clients share an address.
        max_connections_per_address: Option<usize> = "max-connections-per-address"
            (Count, Unset("1024, and unlimited from this machine"), 1, MILLION);
        /// Time without a request or ping after which a session is deleted.
        /// Later requests get 404.
        idle_timeout: Duration = "idle-timeout"
            (Time, Fixed(secs(900)), secs(1), 720 * HOUR);
        /// Time that a session waits while the data that it has seen is not as
        /// it was. Meanwhile its requests get 503 and `Retry-After`; after it,
        /// the session is lost and they get 410.
        data_change_wait: Duration = "data-change-wait"
            (Time, Fixed(secs(600)), 0, 720 * HOUR);
        /// Time that a request waits for its session's setup. After it, the
        /// client gets 503 `starting` and tries again.
        setup_wait: Duration = "setup-wait"
            (Time, Fixed(secs(25)), 0, HOUR);
        /// Time after a call's end during which its result can be fetched. After
        /// it, the client gets the `error` event `unknown task_id`.
        result_ttl: Duration = "result-ttl"
            (Time, Fixed(secs(60)), secs(1), 24 * HOUR);
        /// Time that running calls may take to finish when the server shuts
        /// down. New requests get 503.
        drain: Duration = "drain"
            (Time, Fixed(secs(30)), 0, HOUR);
        /// Size of the body of a call or a creation; of other requests, at most
        /// 1MiB of it. A larger one gets 413.
        body: usize = "body-limit"
            (Size, Fixed(16 * MIB), KIB, GIB);
        /// Size of the body of a group score, which holds a whole conversation
        /// for each candidate. A larger one gets 413.
        group_body: usize = "group-body-limit"
            (Size, Fixed(32 * MIB), KIB, GIB);
        /// Size of all request headers together. Larger ones get 431.
        header: usize = "header-limit"
            (Size, Fixed(16 * KIB), 8 * KIB, MIB);
        /// Time for the request headers to arrive. After it, the connection is
        /// closed.
        header_timeout: Duration = "header-timeout"
            (Time, Fixed(secs(10)), ms(100), HOUR);
        /// Time for the request body to arrive. After it, the client gets 408
        /// and the connection is closed.
        body_timeout: Duration = "body-timeout"
            (Time, Fixed(secs(30)), ms(100), HOUR);
        /// Bytes of a request body that must arrive each second, after the
        /// first 5s. A slower client gets 408 and the connection is closed.
        body_rate: u64 = "body-rate"
            (Size, Fixed(KIB), 1, GIB);
        /// Sessions created each second for one API key, or from one address
        /// without keys; ten times as many in a burst. Further ones get 429 and
        /// `Retry-After`.
        create_rate: u32 = "create-rate"
            (Count, Fixed(1000), 1, MILLION);
        /// With --api-keys: requests with an invalid key from one address each
        /// minute. Further ones get 429 and `Retry-After`; a valid key is never
        /// refused.
        auth_failure_rate: Option<u32> = "auth-failure-rate"
            (Count, Unset("60"), 1, MILLION);
        /// With --api-keys: sessions that one key holds at once. Further ones
        /// get 429 and `Retry-After`.
        max_sessions_per_key: Option<usize> = "max-sessions-per-key"
            (Count, Unset("unlimited"), 1, MILLION);
        /// With --api-keys: calls that one key has in flight at once. Further
        /// ones get 429 and `Retry-After`.
        max_calls_per_key: Option<usize> = "max-calls-per-key"
            (Count, Unset("unlimited"), 1, MILLION);
        /// Memory of the server above which idle sessions hibernate early.
        /// Halfway from it to all memory, new sessions get 503 and large guests
        /// are stopped.
        memory_high_watermark: Option<u64> = "memory-high-watermark"
            (Size, Unset("three quarters of the machine's or container's memory"), 16 * MIB, 1024 * GIB);
        /// How long ended sessions stay available for inspection, replay,
        /// export and receipts. After it, they are removed from the journal.
        retention: Duration = "retention"
            (Time, Fixed(168 * HOUR), secs(1), 87_600 * HOUR);
        /// Disk space that the sessions of one API key take, live and ended; without
        /// keys, those of all clients. Above it, ended sessions of the key are
        /// removed, the oldest first; if none is left, creations and calls get 403.
        max_disk_per_key: Option<u64> = "max-disk-per-key"
            (Size, Unset("a quarter of the file system with --api-keys, otherwise unlimited"), MIB, 1024 * 1024 * GIB);
        /// Free disk space that is kept. Below it, a key that takes the average or
        /// more is treated as above its limit, and others may use half of it. Then
        /// creations and calls get 503 and `Retry-After`.
        disk_reserve: Option<u64> = "disk-reserve"
            (Size, Unset("a twentieth of the file system, from 32MiB to 256MiB"), 0, 1024 * GIB);
        /// Guest output (stdout and stderr) of all sessions that reaches the log
        /// each second; sixteen times as much in a burst. One key gets half of
        /// it and one session a quarter. The rest is counted and dropped.
        guest_log_rate: u64 = "guest-log-rate"
            (Size, Fixed(512 * KIB), KIB, GIB);
        /// Time between two requests on a connection. After it, the connection
        /// is closed.
        keep_alive: Duration = "keep-alive"
            (Time, Fixed(secs(75)), secs(1), HOUR);
        /// Time without progress in sending a response. After it, the
        /// connection is closed.
        write_timeout: Duration = "write-timeout"
            (Time, Fixed(secs(30)), ms(100), HOUR);
        /// With --api-keys: connections open at once that use one key. Another
        /// one gets 503 `starting` and is closed.
        max_connections_per_key: usize = "max-connections-per-key"
            (Count, Fixed(4096), 1, MILLION);
        /// Bytes of a response that a client must read each second, as an
        /// average; --write-timeout is its credit. The connection of a slower
        /// client is closed.
        response_rate: u64 = "response-rate"
            (Size, Fixed(4 * KIB), 1, GIB);
        /// Memory for request bodies and for calls that wait, all together; one
        /// key or address gets half. Above it, requests get 503 `starting`.
        request_memory: usize = "request-memory"
            (Size, Fixed(256 * MIB), MIB, 1024 * GIB);
        /// Memory for responses that clients have not read yet, all together;
        /// one key or address gets half. Above it, requests get 503 `starting`
        /// and results wait.
        response_memory: usize = "response-memory"
            (Size, Fixed(256 * MIB), MIB, 1024 * GIB);
        /// Memory for results that are read or can be fetched again, all
        /// together; one key gets half. Above it, the oldest leave memory before
        /// --result-ttl, and calls of the key wait.
        result_memory: usize = "result-memory"
            (Size, Fixed(256 * MIB), MIB, 1024 * GIB);
        /// Memory for reading the journal of sessions, all together; one key
        /// gets half. Above it, inspections, receipts, forks and resumes wait.
        history_memory: usize = "history-memory"
            (Size, Fixed(256 * MIB), MIB, 1024 * GIB);
        /// Memory that guests have grown by since they began, all together, of those
        /// that grew by more than 4MiB; one key gets half. Above it, idle sessions
        /// of the key hibernate; if that is not enough, its calls wait for
        /// --setup-wait and then get 503.
        guest_memory: Option<usize> = "guest-memory"
            (Size, Unset("1GiB or a 32nd of the machine's or container's memory, whichever is more, and at most a quarter of it"), 16 * MIB, 1024 * GIB);
        /// Sessions of one key that wait for each CPU. Above it, a further call
        /// of the key waits for --setup-wait and then gets 503.
        cpu_queue: usize = "cpu-queue"
            (Count, Fixed(256), 1, MILLION);
        /// Tasks in one response. A request for more gets 400; ask for ranges.
        listing_tasks: u64 = "listing-tasks"
            (Count, Fixed(MILLION), 1, 1000 * MILLION);
        /// Size of the tasks in one response. A request for more gets 400; ask
        /// for smaller ranges.
        listing_size: usize = "listing-limit"
            (Size, Fixed(64 * MIB), 64 * KIB, GIB);
        /// Memory for lists of tasks that are collected or kept for the next
        /// request, all together; one key gets half. Above it, requests get 503
        /// `starting`.
        listing_memory: usize = "listing-memory"
            (Size, Fixed(128 * MIB), 128 * KIB, 1024 * GIB);
        /// Time for collecting the tasks of one response. After it, the client
        /// gets 503 and `Retry-After`; ask for smaller ranges.
        listing_time: Duration = "listing-time"
            (Time, Fixed(secs(60)), ms(100), HOUR);
    }
}
