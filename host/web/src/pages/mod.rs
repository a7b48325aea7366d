//! The pages, one file for each kind.

mod accounts;
mod catalogue;
mod compare;
mod create;
mod deployments;
mod environment;
mod error;
mod repository;
mod settings;
mod tasks;

pub use accounts::{
    AccountPage, ApiKeyRow, AuditPage, ChangeRow, DeletedPage, DeletedRow, UserRow, UsersPage,
    account, audit, deleted, set_up, sign_in, users,
};
pub use catalogue::{CataloguePage, CatalogueRow, catalogue};
pub use compare::{Aspect, ComparePage, CompareVersion, Line, compare};
pub use create::{NewEnvironmentForm, create};
pub use deployments::{DeploymentPage, DeploymentRow, DeploymentsPage, deployment, deployments};
pub(crate) use environment::head;
pub use environment::{
    About, AboutImport, AboutNetwork, AboutSplit, AboutTool, EnvironmentHead, EnvironmentPage, Tab,
    environment,
};
pub use error::error;
pub use repository::{Elsewhere, RepositoryPage, repository};
pub use settings::{SettingsForm, settings};
pub use tasks::{TaskRow, TasksPage, tasks};
