//! One instance of a component, and the queries about its tasks.
//!
//! An instance belongs to one task and is entered only through
//! [`StoreState::enter`]. A [`Fault`] ends it: the store is dropped before the
//! caller sees the fault, and every later call returns the same fault.

use std::sync::Arc;
use std::time::Duration;

use orwd_bindings::Environment as Exports;
use orwd_bindings::exports::orwd::environment::orwd_catalog::TaskError;
use orwd_model::{
    EncodedSize, EnvironmentDescription, Fault, FaultCode, Json, JsonDepth, SessionLimits,
    SleepMode, Timestamp,
};
use orwd_sandbox::{CpuMeter, GuestState, HttpMode, InstanceConfig};
use wasmtime::Store;

use crate::admission::component::Component;
use crate::convert::lift::{self, InvalidOutput};
use crate::engine::{Engine, SessionPermit};
use crate::entry::error::{EntryError, TaskLookupError};
use crate::entry::fault;
use crate::entry::result_gate::ResultGate;
use crate::entry::store_state::{self, CpuShare, StoreState};
use crate::schedule::account::{CpuAccount, Owner};

/// An instance that serves task queries, or becomes an episode.
pub struct Instance {
    // Fields drop in this order: the store before its permit.
    pub(crate) state: StoreState,
    pub(crate) exports: Exports,
    pub(crate) cpu: CpuShare,
    /// The meter of the store, which may be gone.
    meter: CpuMeter,
    pub(crate) limits: SessionLimits,
    _permit: Option<SessionPermit>,
}

/// Enters the guest through one export of the catalog. Restarts the random
/// streams first, so that each query sees the same random numbers, in any order
/// of queries. A macro, because each export has its own arguments and result
/// type.
macro_rules! query {
    ($self:ident, $what:literal, |$catalog:ident, $store:ident| $call:expr) => {{
        let $catalog = $self.exports.orwd_environment_orwd_catalog();
        if let StoreState::Live(store) = &mut $self.state {
            store.data_mut().random.restart();
        }
        $self
            .state
            .enter(
                &$self.cpu,
                $self.limits.call(),
                $what,
                async |$store: &mut Store<GuestState>| $call.await,
            )
            .await
    }};
}

impl Instance {
    /// Creates an instance. Start functions and data initialisation run under
    /// the setup budget. It runs on behalf of the permit's owner; without a
    /// permit it serves the task queries of its environment.
    pub async fn start(
        engine: &Engine,
        component: &Component,
        config: InstanceConfig,
        permit: Option<SessionPermit>,
    ) -> Result<Instance, Fault> {
        let limits = config.limits;
        let owner = match &permit {
            Some(permit) => permit.owner().clone(),
            None => Owner::Catalog(config.label.environment.clone()),
        };
        let cpu = CpuShare {
            scheduler: engine.scheduler().clone(),
            account: CpuAccount::new(owner),
            gate: None,
        };
        let state = GuestState::new(config, engine.host_memory().clone());
        let mut store =
            Store::try_new(engine.wasmtime(), state).map_err(|error| fault::of_creation(&error))?;
        store_state::prepare(&mut store, &limits);
        let meter = store.data().meter.clone();
        let mut state = StoreState::Live(Box::new(store));
        let exports = state
            .enter(&cpu, limits.setup(), "instantiate", async |store| {
                component.pre.instantiate_async(store).await
            })
            .await?;
        Ok(Instance {
            state,
            exports,
            cpu,
            meter,
            limits,
            _permit: permit,
        })
    }

    /// Runs on behalf of this owner from now on, whose share of the CPUs it takes.
    pub fn run_for(&mut self, owner: &Owner) {
        if self.cpu.account.owner() != owner {
            self.cpu.account = self.cpu.account.for_owner(owner.clone());
        }
    }

    /// Returns the environment's description of itself.
    pub async fn describe(&mut self) -> Result<EnvironmentDescription, EntryError> {
        let description = query!(self, "describe", |catalog, store| catalog
            .call_describe(store))?;
        Ok(lift::description(description)?)
    }

    /// Returns the number of tasks in a split.
    pub async fn num_tasks(&mut self, split: &str) -> Result<u64, TaskLookupError> {
        let count = query!(self, "num-tasks", |catalog, store| catalog
            .call_num_tasks(store, split))
        .map_err(EntryError::from)?;
        count.map_err(|error| self.task_error(error))
    }

    /// Returns the tasks of a split from `start` to before `stop`.
    pub async fn tasks(
        &mut self,
        split: &str,
        start: u64,
        stop: u64,
    ) -> Result<Vec<Json>, TaskLookupError> {
        let tasks = query!(self, "tasks", |catalog, store| catalog
            .call_tasks(store, split, start, stop))
        .map_err(EntryError::from)?;
        let tasks = lift::tasks(tasks.map_err(|error| self.task_error(error))?)?;
        Ok(self.check_depth(tasks)?)
    }

    /// Returns one task.
    pub async fn task(&mut self, split: &str, index: i64) -> Result<Json, TaskLookupError> {
        let task = query!(self, "task", |catalog, store| catalog
            .call_task(store, split, index))
        .map_err(EntryError::from)?;
        let task = lift::task(task.map_err(|error| self.task_error(error))?)?;
        Ok(self.check_depth(task)?)
    }

    /// Advances the guest's wall clock to the arrival of the next entry; never
    /// moves it back. Without it an entry begins at the time the last one
    /// ended.
    pub(crate) fn set_arrival(&mut self, at: Timestamp) {
        if let StoreState::Live(store) = &self.state {
            store.data().clock.advance_to(at);
        }
    }

    /// Sets whether a sleep of the guest takes real time, from the next entry
    /// on.
    pub(crate) fn set_sleep_mode(&mut self, sleep_mode: SleepMode) {
        if let StoreState::Live(store) = &self.state {
            store.data().clock.set_sleep_mode(sleep_mode);
        }
    }

    /// Sets where the results of HTTP requests come from, in the next entry.
    pub(crate) fn set_http_mode(&mut self, mode: HttpMode) {
        if let StoreState::Live(store) = &mut self.state {
            store.data_mut().set_http_mode(mode);
        }
    }

    /// Sets who is asked for room before each turn, from the next entry on.
    pub(crate) fn set_result_gate(&mut self, gate: Option<Arc<dyn ResultGate>>) {
        self.cpu.gate = gate;
    }

    /// Returns the hash of what the guest has seen of its data so far; none if
    /// it is not observed, or gone.
    pub(crate) fn observed_data(&self) -> Option<[u8; 32]> {
        match &self.state {
            StoreState::Live(store) => store.data().observed_data(),
            StoreState::Faulted(_) => None,
        }
    }

    /// Returns the CPU time of the last entry.
    pub(crate) fn cpu_time(&self) -> Duration {
        self.meter.used()
    }

    /// Checks a result against the size and depth limits. An oversized result
    /// ends the instance, since its content is lost; one that is nested too
    /// deeply is an ordinary invalid output.
    pub(crate) fn check_result<T: EncodedSize + JsonDepth>(
        &mut self,
        result: T,
    ) -> Result<T, EntryError> {
        self.check_size(result.encoded_size())?;
        Ok(self.check_depth(result)?)
    }

    /// Returns a failure with the guest's own message, which counts as a
    /// result.
    pub(crate) fn guest_failure(&mut self, message: String) -> EntryError {
        match self.check_size(message.len()) {
            Ok(()) => EntryError::Failed(message),
            Err(fault) => fault.into(),
        }
    }

    fn task_error(&mut self, error: TaskError) -> TaskLookupError {
        match error {
            TaskError::InvalidSplit => TaskLookupError::InvalidSplit,
            TaskError::InvalidIndex => TaskLookupError::InvalidIndex,
            TaskError::Failed(message) => self.guest_failure(message).into(),
        }
    }

    /// Ends the instance if a result exceeds the size limit.
    pub(crate) fn check_size(&mut self, size: usize) -> Result<(), Fault> {
        if size <= self.limits.result {
            return Ok(());
        }
        let message = format!(
            "a result of {size} bytes, and {} are allowed",
            self.limits.result
        );
        let fault = Fault::new(FaultCode::LimitOutput, message);
        self.state = StoreState::Faulted(fault.clone());
        Err(fault)
    }

    /// Checks the nesting depth of JSON in a result.
    fn check_depth<T: JsonDepth>(&self, result: T) -> Result<T, InvalidOutput> {
        lift::check_depth(result, self.limits.json_depth)
    }
}
