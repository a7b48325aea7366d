//! `orwd inspect`: what an environment is, without an episode of it.

mod report;

use std::path::PathBuf;

use clap::Args;

use super::logging::Log;
use super::scratch::Scratch;
use super::terminal::Paint;
use super::{Ending, Failure, host, runtime, terminal, wall};
use orwd_catalog::source;
use orwd_config::{AdmissionFlags, EnvironmentFlags, SessionFlags, WallWish};
use report::Report;

/// Tell what an environment exports, imports and offers
///
/// Shows what the component exports, what it imports and so could reach, its
/// tools with their schemas, its splits and how many tasks they have, its
/// digest and size, and the limits that would be in force.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd inspect my-env.wasm
  orwd inspect examples/counter --json")]
pub(super) struct Inspect {
    /// A component file or an environment's folder
    #[arg(value_name = "FILE|FOLDER")]
    path: PathBuf,

    /// As JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    environments: EnvironmentFlags,

    #[command(flatten)]
    admission: AdmissionFlags,

    #[command(flatten)]
    session: SessionFlags,
}

impl Inspect {
    pub(super) fn run(self, log: &mut Log) -> Result<Ending, Failure> {
        let places = self.environments.resolve()?;
        let gathered = source::gather(std::slice::from_ref(&self.path), &places, &terminal::note)
            .map_err(host::one_data)?;
        let threads = host::threads();
        let limits = self.session.resolve();
        let ready = host::prepare(
            gathered,
            &places,
            self.admission.resolve(),
            limits,
            host::settings(limits, 1),
        )?;
        // Nobody knows yet what this component is: all the more reason.
        let scratch = Scratch::make()?;
        wall::raise(
            WallWish::Available,
            &wall::needs(ready.prepared(), None, None, &scratch),
        )?;
        log.queue();
        let runtime = runtime(threads)?;
        let report = runtime.block_on(async {
            let loaded = ready.open().await?;
            match (loaded.problems.as_slice(), loaded.environments.as_slice()) {
                ([], [environment]) => Ok(Report::of(environment).await),
                ([], several) => Err(self.several(several.len())),
                (problems, _) => Err(Failure::new(host::all(problems))),
            }
        });
        runtime.shutdown_background();
        let report = report?;
        let text = if self.json {
            let json = serde_json::to_string_pretty(&report)?;
            format!("{json}\n")
        } else {
            report.text(Paint::stdout())
        };
        terminal::print(&text)?;
        Ok(Ending::Fine)
    }

    fn several(&self, count: usize) -> Failure {
        Failure::usage(format!(
            "{}: there are {count} environments here; say one of them",
            self.path.display()
        ))
    }
}
