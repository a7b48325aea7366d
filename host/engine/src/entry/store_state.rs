//! Entry into a guest: the only code that calls guest functions.
//!
//! Each entry has its own budget, counted from its start. A guest that traps,
//! exceeds its budget or is cancelled is never entered again: its store is
//! dropped at once and only the fault remains. A teardown is impossible then,
//! since wasmtime itself refuses to enter such an instance.

use std::sync::Arc;

use wasmtime::{Store, UpdateDeadline};

use crate::convert::lower::{self, LoweredSecrets};
use crate::entry::fault::{EntryFailure, classify};
use crate::entry::result_gate::ResultGate;
use crate::entry::scheduled_guest::ScheduledGuest;
use crate::schedule::account::CpuAccount;
use crate::schedule::scheduler::{Scheduler, Turns};
use orwd_model::{Budget, Fault, FaultCode, Secrets, SessionLimits, SleepMode};
use orwd_sandbox::GuestState;

/// Component-model handles allowed for each handle of the host's resource
/// table. They cost the host only a few bytes each: the guest's own resources,
/// and the borrows it makes for one call, such as one per timer in a poll list.
const COMPONENT_HANDLES: usize = 8;

/// How an instance gets its turns on the CPUs.
#[derive(Clone, Debug)]
pub(crate) struct CpuShare {
    pub(crate) scheduler: Scheduler,
    pub(crate) account: Arc<CpuAccount>,
    /// Whether there is room for what the next entry returns.
    pub(crate) gate: Option<Arc<dyn ResultGate>>,
}

/// A store, or the fault that ended it.
pub(crate) enum StoreState {
    Live(Box<Store<GuestState>>),
    Faulted(Fault),
}

/// Sets all limits of a new store except the budget, which belongs to an entry.
pub(crate) fn prepare(store: &mut Store<GuestState>, limits: &SessionLimits) {
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(limits.host_call);
    store.set_max_component_handles(limits.handles.saturating_mul(COMPONENT_HANDLES));
    store.epoch_deadline_callback(|mut store| {
        // Only the state is touched here: a guest may be in the middle of a
        // bulk operation.
        let state = store.data_mut();
        if state.meter.is_exhausted() {
            state.out_of_cpu = true;
            return Ok(UpdateDeadline::Interrupt);
        }
        state.memory.check_host()?;
        state.meter.note_yield();
        Ok(UpdateDeadline::Yield(1))
    });
}

impl StoreState {
    /// Redacts these secrets from the guest's output from now on, and returns what
    /// the guest gets: the values, or placeholders if they are hidden from it.
    pub(crate) fn take_secrets(&mut self, secrets: Secrets) -> LoweredSecrets {
        let StoreState::Live(store) = self else {
            return lower::secrets(Secrets::default());
        };
        store.data().log.redact(&secrets);
        if secrets.hidden_as().is_some() {
            let placeholders = lower::placeholders(&secrets);
            store.data_mut().hide_secrets(secrets);
            return placeholders;
        }
        if !secrets.is_empty() {
            store.data_mut().expose_secrets();
        }
        lower::secrets(secrets)
    }

    /// Enters the guest through `entry` under a budget. `what` names the entry
    /// in the log.
    pub(crate) async fn enter<T>(
        &mut self,
        cpu: &CpuShare,
        budget: Budget,
        what: &'static str,
        entry: impl AsyncFnOnce(&mut Store<GuestState>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        // The store is moved out of `self` while the guest runs. If this future
        // is dropped, so is the store, and it is never entered again.
        let cancelled = Fault::new(FaultCode::Interrupted, "the call was cancelled");
        let mut store = match std::mem::replace(self, StoreState::Faulted(cancelled)) {
            StoreState::Live(store) => store,
            StoreState::Faulted(fault) => {
                *self = StoreState::Faulted(fault.clone());
                return Err(fault);
            }
        };
        let sleep_mode = store.data().clock.begin_entry(budget.wall);
        let budget = match sleep_mode {
            SleepMode::RealTime => budget,
            SleepMode::Skip => budget.for_replay(),
        };
        let meter = store.data().meter.clone();
        meter.reset(budget.cpu);
        store.data_mut().begin_entry();
        store.set_epoch_deadline(1);
        let clock = store.data().clock.clone();
        let turns = Turns::new(&cpu.scheduler, &cpu.account);
        let mut guest = ScheduledGuest::new(turns, meter, clock, budget.wall, entry(&mut store));
        guest.set_gate(cpu.gate.clone());
        let result = match guest.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(EntryFailure::Error(error)),
            Err(overrun) => Err(EntryFailure::Overrun(overrun)),
        };
        store.data().log.flush();
        match result {
            Ok(value) => {
                *self = StoreState::Live(store);
                Ok(value)
            }
            Err(failure) => {
                let fault = classify(&failure, store.data_mut(), budget, what);
                *self = StoreState::Faulted(fault.clone());
                Err(fault)
            }
        }
    }
}
