//! Creates instances of an environment.

use orwd_engine::{Component, Engine, Instance};
use orwd_model::{DeterminismConfig, Fault};

use crate::spec::EnvironmentSpec;

/// Creates the instance that describes the environment and answers task
/// queries.
pub(crate) async fn probe(
    engine: &Engine,
    component: &Component,
    spec: &EnvironmentSpec,
) -> Result<Instance, Fault> {
    let config = spec.instance_config("catalog", DeterminismConfig::CATALOG);
    Instance::start(engine, component, config, None).await
}
