//! Everything that a guest, a client or an author can make the server hold: who
//! is charged for it, what bounds it, and which test shows that.
//!
//! A new buffer, queue, table or cache gets a row here. The test fails if a row
//! names a flag or a test that does not exist, and if a flag that bounds an
//! amount is in no row.

use std::collections::BTreeSet;
use std::fs;

use orwd_tests::artifacts::workspace_dir;
use orwd_tests::process::OrwdCommand;

/// One thing that the server holds for others.
struct Holding {
    what: &'static str,
    /// Whose share of the bound it takes.
    charged_to: &'static str,
    /// The flags that bound it, or the fixed bound.
    bounds: &'static [&'static str],
    /// The file and the name of a test that shows the bound.
    shown_by: (&'static str, &'static str),
}

/// Flags that bound a rate or a form, and nothing that is held.
const NOT_HELD: [&str; 8] = [
    "--http-requests",
    "--http-rate",
    "--json-depth",
    "--body-rate",
    "--response-rate",
    "--create-rate",
    "--auth-failure-rate",
    "--guest-log-rate",
];

const SPACE: &str = "tests/journeys/limits/space.rs";
const OUTPUT: &str = "tests/journeys/limits/output.rs";
const LIMITS: &str = "tests/journeys/limits/mod.rs";
const RATES: &str = "tests/journeys/http/rate_limits.rs";
const ADDRESSES: &str = "tests/journeys/http/auth_and_origin.rs";
const HELD: &str = "tests/hostile/attacks/held_bytes.rs";
const FAIRNESS: &str = "tests/journeys/limits/fairness.rs";
const HTTP: &str = "host/ors/src/tests/limits.rs";

macro_rules! holdings {
    ($($what:literal, $charged_to:literal, [$($bound:literal),+], $file:expr, $test:literal;)+) => {
        &[$(Holding {
            what: $what,
            charged_to: $charged_to,
            bounds: &[$($bound),+],
            shown_by: ($file, $test),
        },)+]
    };
}

#[rustfmt::skip]
const HOLDINGS: &[Holding] = holdings! {
    // What a guest makes the host hold.
    "memories of a guest", "session", ["--memory"], SPACE, "memory_is_limited";
    "tables of a guest", "session", ["--tables"], SPACE, "tables_are_limited";
    "handles, streams and timers", "session", ["--handles"], SPACE, "handles_are_limited";
    "open files", "session", ["--open-files"], SPACE, "open_files_are_limited";
    "files and their names", "session", ["--disk", "--files"], SPACE, "disk_is_limited";
    "output on its way to the log", "session", ["--guest-log-limit", "--guest-log-total"], OUTPUT, "log_output_of_a_call";
    "data of one host call", "session", ["--host-call-limit"], OUTPUT, "size_of_host_call_data";
    "one result", "session", ["--result-limit"], OUTPUT, "size_of_a_result";
    "records in the journal", "session", ["--journal-limit"], SPACE, "journal_is_limited";
    "requests and responses of a call", "session", ["--http-call-limit"], "tests/journeys/limits/requests.rs", "size_of_the_requests_of_a_call";
    "requests on their way", "owner of the session", ["--http-at-once", "--http-at-once-per-key"], "host/network/src/tests/sharing.rs", "slow_requests_of_one_owner_leave_places_to_others";
    "headers of a request", "session", ["--http-request-headers"], "tests/journeys/sandbox/network.rs", "an_operator_sets_the_limits_of_a_request";
    "the head of a response", "session", ["--http-response-head"], "host/network/src/tests/responses.rs", "a_hostile_response_ends_in_a_named_error";
    "journals of an owner, live and ended", "owner of the session", ["--max-disk-per-key", "--disk-reserve"], "host/journal/src/tests/space/disk_quota.rs", "an_owner_loses_its_oldest_ended_episodes_and_is_then_refused";
    "lists of tasks", "key for which one is collected", ["--listing-memory", "--listing-limit", "--listing-tasks"], HELD, "held_bytes";
    "one list of tasks", "request", ["--listing-limit", "--listing-tasks"], "host/catalog/src/tasks/list.rs", "each_bound_is_met_before_more_is_held";
    // What a client makes it hold.
    "connections", "address or key", ["--max-connections", "--max-connections-per-address"], ADDRESSES, "connections_per_address_are_limited";
    "connections of a key", "key", ["--max-connections-per-key"], "host/ors/src/tests/auth_and_origin.rs", "connections_with_a_key_are_limited_by_key";
    "a request head", "connection", ["--header-limit"], HTTP, "refuses_heads_that_are_too_large_or_too_slow";
    "a request body", "connection", ["--body-limit", "--group-body-limit"], HTTP, "a_body_may_be_as_large_as_its_route_needs";
    "request bodies, until they are decoded", "address or key", ["--request-memory"], HTTP, "bodies_share_a_memory";
    "calls and creations that wait or run", "key", ["--request-memory"], HELD, "held_bytes";
    "calls in flight of a key", "key", ["--max-calls-per-key"], RATES, "calls_in_flight_per_key_are_limited";
    "responses that are not read", "address or key", ["--response-memory"], HTTP, "responses_that_are_not_read_share_a_memory";
    "a result that is sent", "run: its readers share it", ["--response-memory"], "host/ors/src/encode/run_stream/tests.rs", "readers_of_a_result_share_its_bytes";
    "lists of tasks that are sent", "reader", ["--response-memory"], "host/ors/src/limit/transfer_memory.rs", "a_list_is_charged_once_to_each_client_that_is_being_sent_it";
    "results that are read", "owner of the session", ["--result-memory"], "host/session/src/runs/result_memory.rs", "calls_of_an_owner_without_room_wait_for_its_readers_and_not_for_others";
    "results that can be fetched again", "owner of the session", ["--result-memory"], "host/session/src/runs/result_memory.rs", "the_oldest_results_of_an_owner_leave_for_its_newer_ones";
    "results of one session", "session", ["256 results, 16 MiB"], "host/session/src/runs/run_cache.rs", "the_oldest_finished_runs_are_evicted_when_there_are_too_many_or_too_large_ones";
    "idempotency keys", "owner of the session", ["--result-memory", "4096 a session"], "host/session/src/runs/idempotency.rs", "the_oldest_keys_are_forgotten_when_there_are_too_many_or_no_memory";
    "histories that are read", "owner of the session", ["--history-memory"], "host/session/src/limits/history_reader.rs", "an_owner_waits_for_its_own_readers_alone";
    "results that a resume restores", "session", ["256 results, 16 MiB"], "host/session/src/runs/recorded_runs.rs", "a_resume_holds_the_results_that_it_restores_and_one_request";
    "requests that wait for histories or lists", "owner", ["1024, half of them for one owner"], "host/limiter/src/fair_queue.rs", "waiting_is_bounded_and_those_that_leave_are_forgotten";
    "rate limits of clients", "process", ["16,384 clients"], "host/limiter/src/rate_limiter.rs", "the_table_is_bounded";
    "instances in memory", "owner", ["--max-sessions"], FAIRNESS, "the_sessions_of_one_key_leave_places_for_another";
    "open sessions", "owner", ["--max-open-sessions"], FAIRNESS, "the_sessions_of_one_key_leave_places_for_another";
    "instances and open sessions without keys", "process", ["--max-sessions", "--max-open-sessions"], LIMITS, "sessions_in_total_are_limited";
    "open sessions of a key", "key", ["--max-sessions-per-key"], RATES, "sessions_per_key_are_limited";
    "guests that wait for a CPU", "key", ["--cpu-queue"], FAIRNESS, "a_call_behind_many_busy_sessions_of_its_own_key_gets_a_503";
    "temporary files of sessions", "owner of the session", ["--max-disk-per-key"], "host/overlay/src/storage/pages.rs", "the_temporary_file_is_charged_to_the_budget_of_its_owner";
    "queries about tasks", "owner", ["4096 an environment, half of them for one owner"], "host/limiter/src/fair_queue.rs", "keys_take_turns_where_only_one_is_admitted";
    "what guests have grown by", "owner of the session", ["--guest-memory"], "host/session/src/limits/guest_memory.rs", "guests_of_an_owner_above_its_share_run_one_at_a_time";
    "guests that have grown by less than 4 MiB, and the images of environments", "process", ["--max-sessions", "--memory-high-watermark"], "host/session/src/limits/guest_memory.rs", "small_guests_cost_nothing_and_large_ones_all_that_they_grew_by";
    "idle guests", "process", ["--memory-high-watermark"], "host/session/src/limits/memory_pressure.rs", "the_number_of_evictions_follows_the_excess";
    // What an author makes it hold.
    "a component", "author", ["--component-limit"], "tests/journeys/startup/component_admission.rs", "a_component_that_is_too_large_is_refused";
    "a manifest", "author", ["1 MiB"], "host/catalog/src/files/author_folder.rs", "only_regular_files_of_bounded_size_are_read";
    "data files and their number", "author", ["--data-limit", "--data-entries"], "tests/journeys/startup/hostile_authors.rs", "too_much_data_is_refused_by_the_operators_limits";
    "the process that compiles a component", "author", ["--compile-memory"], "tests/journeys/startup/component_admission.rs", "a_component_that_takes_too_much_memory_to_compile_is_refused";
};

/// Returns the flags of a command that take a size or a count.
fn flags_of_amounts(help: &str) -> BTreeSet<String> {
    let lines = help.lines().filter_map(|line| {
        let flag = line.trim_start();
        let (name, value) = flag.split_once(" <")?;
        let is_amount = value.starts_with("SIZE>") || value.starts_with("COUNT>");
        (name.starts_with("--") && is_amount).then(|| name.to_owned())
    });
    lines.collect()
}

#[test]
fn everything_that_is_held_has_a_bound_and_a_test() {
    let help = OrwdCommand::new(["serve", "--help"]).run();
    let flags = flags_of_amounts(help.expect_success());
    let mut bounded: BTreeSet<&str> = NOT_HELD.into();
    let mut problems = Vec::new();
    for holding in HOLDINGS {
        let what = holding.what;
        assert!(!holding.charged_to.is_empty(), "{what}");
        for bound in holding.bounds {
            if bound.starts_with("--") {
                bounded.insert(bound);
            } else {
                assert!(
                    bound.contains(|c: char| c.is_ascii_digit()),
                    "{what}: {bound}"
                );
            }
        }
        let (file, test) = holding.shown_by;
        let source = fs::read_to_string(workspace_dir().join(file)).unwrap_or_default();
        if !source.contains(&format!("fn {test}")) {
            problems.push(format!("{what}: no test {test} in {file}"));
        }
    }
    for flag in &flags {
        if !bounded.contains(flag.as_str()) {
            problems.push(format!("{flag} bounds an amount and is in no row"));
        }
    }
    for bound in bounded {
        if !flags.contains(bound) {
            problems.push(format!("{bound} is no flag"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
