//! Creates instances of an environment.

use orwd_engine::{Component, Engine, Instance};
use orwd_model::{DeterminismConfig, Fault, SleepMode};
use orwd_sandbox::{InstanceConfig, InstanceLabel};
use tokio::sync::OwnedSemaphorePermit;

use crate::spec::{EnvironmentSpec, InstanceOptions};

/// Creates the instance that describes the environment and answers task
/// queries.
pub(crate) async fn probe(
    engine: &Engine,
    component: &Component,
    spec: &EnvironmentSpec,
) -> Result<Instance, Fault> {
    let options = InstanceOptions {
        determinism: DeterminismConfig::CATALOG,
        sleep_mode: SleepMode::RealTime,
        limits: spec.limits,
        mode: spec.mode.clone(),
    };
    start(engine, component, spec, "catalog", options, None).await
}

/// Creates an instance with the sandbox that the spec describes.
pub(crate) async fn start(
    engine: &Engine,
    component: &Component,
    spec: &EnvironmentSpec,
    session: &str,
    options: InstanceOptions,
    slot: Option<OwnedSemaphorePermit>,
) -> Result<Instance, Fault> {
    let config = InstanceConfig {
        label: InstanceLabel {
            environment: spec.name.as_str().into(),
            session: session.into(),
        },
        determinism: options.determinism,
        sleep_mode: options.sleep_mode,
        data: spec.data.clone(),
        mode: options.mode,
        limits: options.limits,
    };
    Instance::start(engine, component, config, slot).await
}
