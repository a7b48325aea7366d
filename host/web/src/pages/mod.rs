//! The pages, one file for each kind.

mod account;
mod catalogue;
mod create;
mod deployments;
mod environment;
mod error;
mod settings;
mod tasks;
mod users;

pub use account::{AccountPage, ApiKeyRow, account, set_up, sign_in};
pub use catalogue::{CataloguePage, CatalogueRow, catalogue};
pub use create::{NewEnvironmentForm, create};
pub use deployments::{DeploymentPage, DeploymentRow, DeploymentsPage, deployment, deployments};
pub(crate) use environment::head;
pub use environment::{
    About, AboutImport, AboutNetwork, AboutSplit, AboutTool, EnvironmentHead, EnvironmentPage, Tab,
    environment,
};
pub use error::error;
pub use settings::{SettingsForm, settings};
pub use tasks::{TaskRow, TasksPage, tasks};
pub use users::{UserRow, UsersPage, users};
