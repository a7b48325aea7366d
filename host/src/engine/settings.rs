//! How the engine is set up, and why.

use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};
use wasmtime::{Result, WasmFeatures};

/// Stack of a guest; deeper recursion is a trap.
const WASM_STACK: usize = 512 * 1024;

/// Stack of a fiber: the guest's, and what host functions need on top.
const FIBER_STACK: usize = 1024 * 1024;

/// Instances beyond the sessions: those that answer questions about tasks,
/// and those that are being dropped while their successors begin.
const SPARE: u32 = 256;

/// What the operator decides about the engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// Sessions that may be open at once.
    pub max_sessions: u32,
    /// Bytes that a session's linear memory may have at most.
    pub max_memory: usize,
    /// Elements that a session's tables may have at most.
    pub max_tables: usize,
    /// Threads that run guests.
    pub threads: usize,
}

/// Where instances come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allocation {
    /// Slots reserved up front: a session starts in microseconds.
    Pooled,
    /// Mapped one by one, where the address space for the pool is not to be
    /// had (a container with a limit on it, an emulator).
    OnDemand,
}

impl EngineSettings {
    /// The whole configuration. Compiled code depends on it, so there is this
    /// one place that makes it.
    pub(super) fn config(&self, allocation: Allocation) -> Result<Config> {
        let mut config = Config::new();
        // The guest is stopped by epochs: cheap, and unavoidable for it.
        config.epoch_interruption(true).consume_fuel(false);
        // 4 GiB are reserved for each memory, so that no access needs a bounds
        // check, and none can be mis-speculated.
        config
            .memory_reservation(4 << 30)
            .memory_guard_size(32 << 20)
            .guard_before_linear_memory(true)
            .memory_may_move(false)
            .memory_init_cow(true)
            .signals_based_traps(true);
        // Zeroed fibers, lest one guest's stack be read by the next.
        config
            .max_wasm_stack(WASM_STACK)
            .async_stack_size(FIBER_STACK)
            .async_stack_zeroing(true);
        // The same inputs give the same bits, on any machine.
        config
            .cranelift_nan_canonicalization(true)
            .relaxed_simd_deterministic(true)
            .cranelift_opt_level(OptLevel::Speed);
        // What no environment needs and most advisories are about stays off.
        config
            .concurrency_support(false)
            .shared_memory(false)
            .gc_support(false)
            .wasm_memory64(false)
            .wasm_custom_page_sizes(false)
            .wasm_features(
                WasmFeatures::THREADS
                    | WasmFeatures::EXCEPTIONS
                    | WasmFeatures::FUNCTION_REFERENCES
                    | WasmFeatures::GC
                    | WasmFeatures::STACK_SWITCHING
                    | WasmFeatures::CM_ASYNC,
                false,
            );
        // Backtraces would carry names that the guest chose.
        config.wasm_backtrace_max_frames(None);
        if allocation == Allocation::Pooled {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(self.pool()));
        }
        Ok(config)
    }

    fn pool(&self) -> PoolingAllocationConfig {
        let instances = self.max_sessions.saturating_add(SPARE);
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(instances)
            .total_memories(instances)
            .total_stacks(instances)
            // Counters only; toolchains that link several modules need them.
            .total_core_instances(instances.saturating_mul(16))
            .total_tables(instances.saturating_mul(4))
            .max_core_instances_per_component(100)
            .max_memories_per_component(8)
            .max_tables_per_component(64)
            .max_memories_per_module(1)
            .max_tables_per_module(4)
            .table_elements(self.max_tables)
            .max_component_instance_size(1 << 20)
            .max_core_instance_size(1 << 20)
            .max_memory_size(self.max_memory)
            .max_unused_warm_slots(64)
            .decommit_batch_size(1);
        pool
    }
}
