//! The configuration of wasmtime, with the reason for each setting.

use orwd_sandbox::MAX_CORE_INSTANCES;
use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};
use wasmtime::{Result, WasmFeatures};

/// Stack of a guest in bytes; deeper recursion traps. Parsers and evaluators in
/// guests recurse, and some that bound it need more than 512 KiB. These are addresses: a
/// page takes memory when it is used first.
const WASM_STACK: usize = 2 << 20;

/// Stack of a fiber in bytes: the guest's stack, plus the needs of host
/// functions.
const FIBER_STACK: usize = WASM_STACK + (512 << 10);

/// Addresses that each memory reserves, so that accesses need no bounds checks
/// that could be mis-speculated.
pub(crate) const MEMORY_RESERVATION: u64 = 4 << 30;

/// Addresses behind each memory that are never accessible.
pub(crate) const MEMORY_GUARD: u64 = 32 << 20;

/// Memories of one instance.
pub(crate) const MAX_MEMORIES: u32 = 8;

/// Bytes of one instance besides its linear memories, tables and stack: the state
/// of its core instances. It is allocated as needed, so a small guest pays nothing
/// for it. pandas needs 1.9 MiB.
const INSTANCE_SIZE: usize = 4 << 20;

/// The engine's release series: what the behaviour of a guest may depend on.
/// The journal records it.
pub const ENGINE_SERIES: &str = "wasmtime 48";

/// Settings of the engine that the operator chooses.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// Open sessions.
    pub max_sessions: u32,
    /// Bytes of linear memory of one session.
    pub max_memory: usize,
    /// Table elements of one session.
    pub max_tables: usize,
    /// Threads that run guests.
    pub threads: usize,
}

/// The instance allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allocation {
    /// Slots are reserved in advance, so a session starts in microseconds.
    Pooled {
        /// The number of slots.
        instances: u32,
    },
    /// Memory is mapped per instance, where the address space for the pool is
    /// not available (a container with a limit, an emulator).
    OnDemand,
}

impl EngineSettings {
    /// Returns the whole configuration. Compiled code depends on it, so it is
    /// made only here.
    pub(crate) fn config(&self, allocation: Allocation) -> Result<Config> {
        let mut config = Config::new();
        // Epochs interrupt the guest: they are cheap, and the guest cannot
        // avoid them.
        config.epoch_interruption(true).consume_fuel(false);
        config
            .memory_reservation(MEMORY_RESERVATION)
            .memory_guard_size(MEMORY_GUARD)
            .guard_before_linear_memory(true)
            .memory_may_move(false)
            .memory_init_cow(true)
            .signals_based_traps(true);
        // Fiber stacks are zeroed, so that no guest can read another's stack.
        config
            .max_wasm_stack(WASM_STACK)
            .async_stack_size(FIBER_STACK)
            .async_stack_zeroing(true);
        // The same inputs give the same bits on any machine.
        config
            .cranelift_nan_canonicalization(true)
            .relaxed_simd_deterministic(true)
            .cranelift_opt_level(OptLevel::Speed);
        // Features that no environment needs, and that most advisories concern,
        // stay off.
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
        // Backtraces would contain names chosen by the guest.
        config.wasm_backtrace_max_frames(None);
        if let Allocation::Pooled { instances } = allocation {
            let pool = self.pool(instances);
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        }
        Ok(config)
    }

    fn pool(&self, instances: u32) -> PoolingAllocationConfig {
        let core_instances = u32::try_from(MAX_CORE_INSTANCES).unwrap_or(u32::MAX);
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(instances)
            .total_memories(instances)
            .total_stacks(instances)
            // Only a counter. Each session may have the most that a component
            // may have, so that it never refuses before the sessions do.
            .total_core_instances(instances.saturating_mul(core_instances))
            .total_tables(instances.saturating_mul(4))
            .max_core_instances_per_component(core_instances)
            .max_memories_per_component(MAX_MEMORIES)
            .max_tables_per_component(64)
            .max_memories_per_module(1)
            .max_tables_per_module(4)
            .table_elements(self.max_tables)
            .max_component_instance_size(INSTANCE_SIZE)
            .max_core_instance_size(1 << 20)
            .max_memory_size(self.max_memory)
            .max_unused_warm_slots(64)
            .decommit_batch_size(1);
        pool
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, Instance, Module, Store, TypedFunc};

    use super::*;

    const HEADER: &[u8] = b"\0asm\x01\0\0\0";

    fn engine() -> Engine {
        let settings = EngineSettings {
            max_sessions: 1,
            max_memory: 1 << 20,
            max_tables: 1 << 10,
            threads: 1,
        };
        Engine::new(&settings.config(Allocation::OnDemand).unwrap()).unwrap()
    }

    fn module(engine: &Engine, sections: &[&[u8]]) -> wasmtime::Result<Module> {
        Module::new(engine, [HEADER, &sections.concat()].concat())
    }

    /// Both functions take the bits of a float. `n` adds zero and returns the
    /// bits of the sum. `t` converts to integers by the relaxed instruction,
    /// whose result for NaN and overflow is implementation-defined.
    const FLOATS: &[&[u8]] = &[
        b"\x01\x06\x01\x60\x01\x7f\x01\x7f",
        b"\x03\x03\x02\0\0",
        b"\x07\x09\x02\x01n\0\0\x01t\0\x01",
        b"\x0a\x1c\x02",
        b"\x0c\0\x20\0\xbe\x43\0\0\0\0\x92\xbc\x0b",
        b"\x0d\0\x20\0\xbe\xfd\x13\xfd\x81\x02\xfd\x1b\0\x0b",
    ];

    #[test]
    fn floats_have_the_same_bits_on_every_machine() {
        let engine = engine();
        let module = module(&engine, FLOATS).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(1);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let mut run = |name: &str, bits: u32| {
            let function: TypedFunc<u32, u32> = instance.get_typed_func(&mut store, name).unwrap();
            function.call(&mut store, bits).unwrap()
        };
        for (bits, expected) in [
            (0x3f80_0000, 0x3f80_0000),
            // A NaN has neither sign nor payload.
            (0x7fc0_0000, 0x7fc0_0000),
            (0xffc0_0000, 0x7fc0_0000),
            (0x7fc0_1234, 0x7fc0_0000),
            (0xff80_0001, 0x7fc0_0000),
        ] {
            assert_eq!(run("n", bits), expected, "{bits:x}");
        }
        for (number, expected) in [
            (1.9_f32, 1),
            (f32::NAN, 0),
            (1e20, i32::MAX as u32),
            (-1e20, i32::MIN as u32),
        ] {
            assert_eq!(run("t", number.to_bits()), expected, "{number}");
        }
    }

    #[test]
    fn there_are_no_threads() {
        let engine = engine();
        let memory = |limits: &[u8]| [b"\x05", &[limits.len() as u8 + 1, 1][..], limits].concat();
        assert!(module(&engine, &[&memory(b"\x01\x01\x01")]).is_ok());
        // The same memory, shared.
        let refused = module(&engine, &[&memory(b"\x03\x01\x01")]).unwrap_err();
        let refused = format!("{refused:#}");
        assert!(refused.contains("threads"), "{refused}");
    }
}
