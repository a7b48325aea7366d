//! The one way into a guest.
//!
//! Every entry has a budget of its own, counted from when it begins. A guest
//! that traps, runs over or is cancelled is not entered again: its store is
//! dropped there and then, and what is left is the fault. Teardown after that
//! is impossible, since the engine itself refuses to enter such an instance.

use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::{Store, UpdateDeadline};

use super::fair::Fair;
use super::fault::{Failure, classify};
use orwd_model::{Budget, Fault, FaultCode, Secrets, SessionLimits, SleepMode};
use orwd_sandbox::GuestState;

/// Handles of the component model for each handle that the host keeps
/// something for. They cost it a few bytes: a guest's own resources, and those
/// that it lends for the time of a call, as it does with each timer of a list
/// that it waits on.
const COMPONENT_HANDLES: usize = 8;

/// A store and whether it may still be entered.
pub(super) enum Life {
    Live(Box<Store<GuestState>>),
    Dead(Fault),
}

/// Readies a new store: everything that bounds it, but the budget of an entry.
pub(super) fn prepare(store: &mut Store<GuestState>, limits: &SessionLimits) {
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(limits.host_call);
    store.set_max_component_handles(limits.handles.saturating_mul(COMPONENT_HANDLES));
    store.epoch_deadline_callback(|mut store| {
        // Only the state is touched here: a guest may be in the middle of a
        // bulk operation.
        let state = store.data_mut();
        if state.meter.is_spent() {
            state.out_of_cpu = true;
            return Ok(UpdateDeadline::Interrupt);
        }
        Ok(UpdateDeadline::Yield(1))
    });
}

impl Life {
    /// From here on the guest's output reaches the log without these values.
    pub(super) fn hide(&self, secrets: &Secrets) {
        if let Life::Live(store) = self {
            store.data().log.hide(secrets);
        }
    }

    /// Enters the guest by `entry` under a budget. `what` is for the log.
    pub(super) async fn enter<T>(
        &mut self,
        turns: &Arc<Semaphore>,
        budget: Budget,
        what: &'static str,
        entry: impl AsyncFnOnce(&mut Store<GuestState>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        // The store is out of `self` while the guest runs: should this future
        // be dropped, so is the store, and nobody enters it again.
        let cancelled = Fault::new(FaultCode::Interrupted, "the call was cancelled");
        let mut store = match std::mem::replace(self, Life::Dead(cancelled)) {
            Life::Live(store) => store,
            Life::Dead(fault) => {
                *self = Life::Dead(fault.clone());
                return Err(fault);
            }
        };
        let sleep_mode = store.data().clock.begin(budget.wall);
        let budget = match sleep_mode {
            SleepMode::RealTime => budget,
            SleepMode::Skip => budget.for_replay(),
        };
        let meter = store.data().meter.clone();
        meter.reset(budget.cpu);
        store.data_mut().begin_entry();
        store.set_epoch_deadline(1);
        let guest = Fair::new(turns.clone(), meter, entry(&mut store));
        let result = match tokio::time::timeout(budget.wall, guest).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Failure::Error(error)),
            Err(_) => Err(Failure::Timeout),
        };
        store.data().log.flush();
        match result {
            Ok(value) => {
                *self = Life::Live(store);
                Ok(value)
            }
            Err(failure) => {
                let fault = classify(&failure, store.data_mut(), budget);
                if let Failure::Error(error) = &failure {
                    tracing::debug!(what, "the guest failed: {error:?}");
                }
                *self = Life::Dead(fault.clone());
                Err(fault)
            }
        }
    }
}
