//! Commands that manage environments on a platform, such as that of `orwd hub`.
//!
//! They have the names, flags and outputs of the command line of the `openreward`
//! package, whose script has the name of this program.

mod api;
mod deployments;
mod environments;
mod files;
mod lifecycle;
mod links;
mod open;
mod output;
mod rollouts;

use clap::Subcommand;

use crate::console::{CommandError, CommandStatus};

/// A command that manages a platform.
#[derive(Subcommand, Debug)]
pub(crate) enum Manage {
    Whoami(environments::Whoami),
    Login(environments::Login),
    Create(environments::Create),
    List(environments::List),
    Get(environments::Get),
    Update(environments::Update),
    Rename(lifecycle::Rename),
    Delete(lifecycle::Delete),
    Deleted(lifecycle::Deleted),
    Restore(lifecycle::Restore),
    Audit(lifecycle::Audit),
    Open(open::Open),
    Link(links::Link),
    Unlink(links::Unlink),
    UpdateLink(links::UpdateLink),
    Webhook(links::Webhook),
    Deployments(deployments::Deployments),
    Deploy(files::Deploy),
    Rollback(deployments::Rollback),
    Logs(deployments::Logs),
    Upload(files::Upload),
    Files(files::Files),
    DeleteFile(files::DeleteFile),
    Runs(rollouts::Runs),
    Run(rollouts::Run),
    Rollouts(rollouts::Rollouts),
    Usage(rollouts::Usage),
}

impl Manage {
    pub(crate) fn run(self) -> Result<CommandStatus, CommandError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            match self {
                Manage::Whoami(command) => command.run().await,
                Manage::Login(command) => command.run().await,
                Manage::Create(command) => command.run().await,
                Manage::List(command) => command.run().await,
                Manage::Get(command) => command.run().await,
                Manage::Update(command) => command.run().await,
                Manage::Rename(command) => command.run().await,
                Manage::Delete(command) => command.run().await,
                Manage::Deleted(command) => command.run().await,
                Manage::Restore(command) => command.run().await,
                Manage::Audit(command) => command.run().await,
                Manage::Open(command) => command.run(),
                Manage::Link(command) => command.run().await,
                Manage::Unlink(command) => command.run().await,
                Manage::UpdateLink(command) => command.run().await,
                Manage::Webhook(command) => command.run().await,
                Manage::Deployments(command) => command.run().await,
                Manage::Deploy(command) => command.run().await,
                Manage::Rollback(command) => command.run().await,
                Manage::Logs(command) => command.run().await,
                Manage::Upload(command) => command.run().await,
                Manage::Files(command) => command.run().await,
                Manage::DeleteFile(command) => command.run().await,
                Manage::Runs(command) => command.run().await,
                Manage::Run(command) => command.run().await,
                Manage::Rollouts(command) => command.run().await,
                Manage::Usage(command) => command.run().await,
            }
        })?;
        Ok(CommandStatus::Success)
    }
}
