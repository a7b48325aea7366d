//! `orwd inspect`: describes an environment without opening an episode.

mod report;
mod schema_warnings;

use std::path::PathBuf;

use clap::Args;
use orwd_config::{
    BuildFlags, BuildMode, EnvironmentFlags, HardeningMode, LimitFlags, NetworkFlags,
};
use orwd_model::{AdmissionLimits, HttpLimits, SessionLimits};

use crate::bootstrap::{TempDirectory, environments, hardening, runtime};
use crate::console::{CommandError, CommandStatus, Log, terminal};
use report::InspectReport;

/// Show what an environment exports, imports and offers
///
/// Prints the exports of the component, its imports and thus its capabilities,
/// its tools with their schemas, its splits and their number of tasks, its
/// digest and size, and the limits of its sessions. Nothing is built unless
/// --build is given, except a Python environment, whose code runs in the sandbox
/// only; the component runs in the sandbox.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orwd inspect my-env.wasm
  orwd inspect examples/counter --json")]
pub(crate) struct Inspect {
    /// Component file or folder of an environment
    #[arg(value_name = "FILE|FOLDER")]
    path: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    environments: EnvironmentFlags,

    #[command(flatten)]
    network: NetworkFlags,

    #[command(flatten)]
    build: BuildFlags,

    #[command(flatten)]
    admission: LimitFlags<AdmissionLimits>,

    #[command(flatten)]
    session: LimitFlags<SessionLimits>,
}

impl Inspect {
    pub(crate) fn run(self, log: &mut Log) -> Result<CommandStatus, CommandError> {
        let mut paths = self.environments.resolve(self.build.or(BuildMode::Never))?;
        paths.network = self.network.clone();
        let path = std::slice::from_ref(&self.path);
        let admission = self.admission.resolve();
        let discovered = environments::discover(
            path,
            &paths,
            self.build.no_build,
            &admission,
            &terminal::note,
        )?;
        let threads = runtime::threads();
        let limits = self.session.resolve();
        let prepared = environments::prepare(
            discovered,
            &paths,
            admission,
            limits,
            &HttpLimits::default(),
            environments::engine_settings(limits, 1),
        )?;
        let temp_dir = TempDirectory::create()?;
        hardening::apply(
            HardeningMode::Available,
            &hardening::policy(prepared.iter(), None, None, &temp_dir),
        )?;
        log.start_thread();
        let runtime = runtime::start(threads)?;
        let report = runtime.block_on(async {
            let loaded = prepared.open().await?;
            match (loaded.problems.as_slice(), loaded.environments.as_slice()) {
                ([], [environment]) => Ok(InspectReport::of(environment).await),
                ([], several) => Err(self.several(several.len())),
                (problems, _) => Err(CommandError::new(environments::join_problems(problems))),
            }
        });
        runtime.shutdown_background();
        let report = report?;
        if self.json {
            let json = serde_json::to_string_pretty(&report)?;
            terminal::print(&format!("{json}\n"))?;
        } else {
            terminal::print_styled(&report.text())?;
        }
        Ok(CommandStatus::Success)
    }

    fn several(&self, count: usize) -> CommandError {
        CommandError::usage(format!(
            "{}: found {count} environments; pass the path of one",
            self.path.display()
        ))
    }
}
