//! `runs`, `run`, `rollouts` and `usage`.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use super::api::{Api, rows, segment, text};
use super::output::OutputFlags;
use crate::console::CommandError;

/// Flags for a page.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct PageFlags {
    /// Rows at most
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 20,
        allow_negative_numbers = true
    )]
    limit: i64,

    /// Rows to skip
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    offset: i64,
}

impl PageFlags {
    fn query(self) -> String {
        format!("limit={}&offset={}", self.limit, self.offset)
    }
}

/// Formats a number with three decimals; `-` if there is none.
fn reward(object: &Value, key: &str) -> String {
    match object.get(key).and_then(Value::as_f64) {
        Some(number) => format!("{number:.3}"),
        None => "-".to_owned(),
    }
}

/// Formats the cost of a row, which is a number or its text.
fn dollars(row: &Value) -> String {
    let cost = text(row, "cost").parse::<f64>().unwrap_or_default();
    format!("${cost:.2}")
}

fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

/// List your runs, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd runs --search counter")]
pub(crate) struct Runs {
    /// Only those with this text in their name
    #[arg(long)]
    search: Option<String>,

    #[command(flatten)]
    page: PageFlags,

    #[command(flatten)]
    output: OutputFlags,
}

impl Runs {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let mut path = format!("/v1/runs?{}", self.page.query());
        if let Some(search) = &self.search {
            write!(path, "&search={}", segment(search)).ok();
        }
        let reply = Api::open()?.get(&path).await?;
        let found = rows(&reply, "runs");
        self.output.print(&Value::Array(found.clone()), || {
            if found.is_empty() {
                return "No runs found.\n".to_owned();
            }
            let mut out = format!(
                "{:<40} {:<10} {:<12} CREATED\n",
                "NAME", "ROLLOUTS", "AVG REWARD"
            );
            for row in &found {
                writeln!(
                    out,
                    "{:<40} {:<10} {:<12} {}",
                    cut(&text(row, "name"), 40),
                    text(row, "num_rollouts"),
                    reward(row, "avg_rollout_reward"),
                    text(row, "created_at")
                )
                .ok();
            }
            writeln!(
                out,
                "\nShowing {} of {} runs",
                found.len(),
                text(&reply, "total")
            )
            .ok();
            out
        })
    }
}

/// Show a run
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd run 0b5c6a1e-4a0e-4a57-9d6c-3a5f0f6f8f11")]
pub(crate) struct Run {
    /// Id of the run
    run: String,

    #[command(flatten)]
    output: OutputFlags,
}

impl Run {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let path = format!("/v1/runs/{}", segment(&self.run));
        let found = Api::open()?.get(&path).await?;
        self.output.print(&found, || {
            let length = found.get("avg_rollout_length").and_then(Value::as_f64);
            let length = length.map_or_else(|| "-".to_owned(), |number| format!("{number:.1}"));
            [
                ("Name:", text(&found, "name")),
                ("ID:", text(&found, "id")),
                ("Rollouts:", text(&found, "num_rollouts")),
                ("Avg reward:", reward(&found, "avg_rollout_reward")),
                ("Avg length:", length),
                ("Created:", text(&found, "created_at")),
                ("Updated:", text(&found, "updated_at")),
            ]
            .into_iter()
            .map(|(label, value)| format!("{label:<16}{value}\n"))
            .collect()
        })
    }
}

/// List the rollouts of a run, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd rollouts 0b5c6a1e-4a0e-4a57-9d6c-3a5f0f6f8f11 --limit 5")]
pub(crate) struct Rollouts {
    /// Id of the run
    run: String,

    #[command(flatten)]
    page: PageFlags,

    #[command(flatten)]
    output: OutputFlags,
}

impl Rollouts {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let path = format!(
            "/v1/runs/{}/rollouts?{}",
            segment(&self.run),
            self.page.query()
        );
        let reply = Api::open()?.get(&path).await?;
        let found = rows(&reply, "rollouts");
        self.output.print(&Value::Array(found.clone()), || {
            if found.is_empty() {
                return "No rollouts found.\n".to_owned();
            }
            let mut out = format!(
                "{:<30} {:<25} {:<10} {:<6} CREATED\n",
                "NAME", "ENVIRONMENT", "REWARD", "MSGS"
            );
            for row in &found {
                let name = match text(row, "rolloutName") {
                    name if name.is_empty() => cut(&text(row, "id"), 8),
                    name => cut(&name, 30),
                };
                let environment = match text(row, "environment") {
                    name if name.is_empty() => "-".to_owned(),
                    name => cut(&name, 25),
                };
                writeln!(
                    out,
                    "{name:<30} {environment:<25} {:<10} {:<6} {}",
                    reward(row, "max_reward"),
                    text(row, "num_messages"),
                    text(row, "created_at")
                )
                .ok();
            }
            writeln!(
                out,
                "\nShowing {} of {} rollouts",
                found.len(),
                text(&reply, "total")
            )
            .ok();
            out
        })
    }
}

/// Show the usage of paid services
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd usage --days 7")]
pub(crate) struct Usage {
    /// Days to report, 1 to 90
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 30,
        allow_negative_numbers = true
    )]
    days: i64,

    /// Only this service
    #[arg(long, value_name = "SERVICE", value_parser = ["search", "fetch"])]
    service: Option<String>,

    /// By day
    #[arg(long)]
    daily: bool,

    #[command(flatten)]
    output: OutputFlags,
}

impl Usage {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let granularity = if self.daily { "daily" } else { "total" };
        let days = self.days;
        let mut path = format!("/v1/billing/api-usage?days={days}&granularity={granularity}");
        if let Some(service) = &self.service {
            write!(path, "&service={service}").ok();
        }
        let reply = Api::open()?.get(&path).await?;
        self.output.print(&reply, || {
            let day = |key: &str| cut(&text(&reply, key), 10);
            let mut out = format!("Usage {} to {}\n\n", day("since"), day("until"));
            let services = rows(&reply, "byService");
            if services.is_empty() {
                return out + "  No API usage in this period.\n";
            }
            let line = |row: &Value, name: &str| {
                let (requests, cost) = (text(row, "requests"), dollars(row));
                format!("{name:<10}{requests:>12}{cost:>12}")
            };
            writeln!(
                out,
                "  {:<10}{:>12}{:>12}{:>10}",
                "SERVICE", "REQUESTS", "COST", "PENDING"
            )
            .ok();
            for row in &services {
                let pending = match text(row, "pendingRequests") {
                    none if none.is_empty() || none == "0" => "-".to_owned(),
                    count => count,
                };
                writeln!(out, "  {}{pending:>10}", line(row, &text(row, "service"))).ok();
            }
            let totals = reply.get("totals").unwrap_or(&Value::Null);
            writeln!(out, "  {}\n  {}", "-".repeat(44), line(totals, "TOTAL")).ok();
            let days = rows(&reply, "daily");
            if !days.is_empty() {
                out.push_str("\n  By day:\n");
            }
            for row in &days {
                let (service, requests) = (text(row, "service"), text(row, "requests"));
                let (date, cost) = (text(row, "date"), dollars(row));
                writeln!(out, "    {date}  {service:<8}{requests:>10}{cost:>12}").ok();
            }
            out
        })
    }
}
