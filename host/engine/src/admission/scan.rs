//! A scan of a component before it is compiled.
//!
//! Some components are built to keep a compiler busy for hours. The compiler's
//! own limits are those of the specification, far above any real environment.
//! The scan counts what is expensive to compile and rejects what is out of
//! proportion, in one pass that stores little. It does not validate, and it
//! never descends into nested types, the one place where a reader would
//! recurse. What slips through hits the limits of the compiler's subprocess.

use orwd_sandbox::MAX_CORE_INSTANCES;
use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

use crate::admission::instances::{InstanceCounter, MAX_ENTRIES};

/// The limits of the scan. All except the size are far above what any toolchain
/// emits, interpreters compiled to WebAssembly included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanLimits {
    size: u64,
    modules: u64,
    components: u64,
    nesting: u64,
    functions: u64,
    body: u64,
    locals: u64,
    blocks: u64,
    targets: u64,
    all_targets: u64,
    types: u64,
    data: u64,
    elements: u64,
    items: u64,
    custom: u64,
    instances: u64,
    entries: u64,
}

impl ScanLimits {
    /// Returns the limits for components of up to this size.
    pub(crate) fn with_size(size: u64) -> ScanLimits {
        ScanLimits {
            size,
            modules: 128,
            components: 512,
            nesting: 8,
            functions: 131_072,
            body: 1 << 20,
            locals: 20_000,
            blocks: 8192,
            targets: 8192,
            all_targets: 1 << 20,
            types: 32_768,
            data: 24_576,
            elements: 16_384,
            items: 131_072,
            custom: 32 << 20,
            instances: MAX_CORE_INSTANCES as u64,
            entries: MAX_ENTRIES,
        }
    }
}

/// A component exceeds a limit of the scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("component rejected before compilation: {what} is {value}, the limit is {limit}")]
pub struct LimitExceeded {
    /// The quantity that is limited.
    what: &'static str,
    /// Its value; counting stops soon after the limit.
    value: u64,
    /// The limit.
    limit: u64,
}

/// The scan rejects a component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
    #[error(transparent)]
    Malformed(#[from] BinaryReaderError),
}

/// Rejects a component by its size alone.
pub(crate) fn check_size(size: u64, limit: u64) -> Result<(), LimitExceeded> {
    within("its size in bytes (--component-limit)", size, limit)
}

/// Rejects a component that would be too expensive to compile.
pub(crate) fn scan(wasm: &[u8], limits: &ScanLimits) -> Result<(), ScanError> {
    check_size(wasm.len() as u64, limits.size)?;
    let mut count = Counts::default();
    let mut instances = InstanceCounter::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        count.take(&payload, limits)?;
        instances.take(&payload)?;
        let total = instances.total();
        let what = "the number of core instances";
        within(what, total.instances, limits.instances)?;
        let what = "the number of imports, globals and functions of its core instances";
        within(what, total.entries, limits.entries)?;
    }
    Ok(())
}

/// The counts so far.
#[derive(Default)]
struct Counts {
    modules: u64,
    components: u64,
    nesting: u64,
    functions: u64,
    targets: u64,
    types: u64,
    data: u64,
    elements: u64,
    items: u64,
    custom: u64,
}

impl Counts {
    fn take(&mut self, payload: &Payload<'_>, limits: &ScanLimits) -> Result<(), ScanError> {
        match payload {
            Payload::ModuleSection { .. } => {
                self.nesting += 1;
                add(
                    "the number of core modules",
                    &mut self.modules,
                    1_u32,
                    limits.modules,
                )?;
            }
            Payload::ComponentSection { .. } => {
                self.nesting += 1;
                within("the nesting of components", self.nesting, limits.nesting)?;
                let what = "the number of nested components";
                add(what, &mut self.components, 1_u32, limits.components)?;
            }
            Payload::End(_) => self.nesting = self.nesting.saturating_sub(1),
            Payload::FunctionSection(functions) => {
                let what = "the number of functions";
                add(
                    what,
                    &mut self.functions,
                    functions.count(),
                    limits.functions,
                )?;
            }
            Payload::CodeSectionEntry(body) => self.body(body, limits)?,
            Payload::TypeSection(types) => self.types(types.count(), limits)?,
            Payload::CoreTypeSection(types) => self.types(types.count(), limits)?,
            Payload::ComponentTypeSection(types) => self.types(types.count(), limits)?,
            Payload::DataSection(data) => {
                let what = "the number of data segments";
                add(what, &mut self.data, data.count(), limits.data)?;
            }
            Payload::ElementSection(elements) => {
                let what = "the number of element segments";
                add(what, &mut self.elements, elements.count(), limits.elements)?;
            }
            Payload::ImportSection(items) => self.items(items.count(), limits)?,
            Payload::ExportSection(items) => self.items(items.count(), limits)?,
            Payload::GlobalSection(items) => self.items(items.count(), limits)?,
            Payload::TableSection(items) => self.items(items.count(), limits)?,
            Payload::MemorySection(items) => self.items(items.count(), limits)?,
            Payload::InstanceSection(items) => self.items(items.count(), limits)?,
            Payload::ComponentInstanceSection(items) => self.items(items.count(), limits)?,
            Payload::ComponentAliasSection(items) => self.items(items.count(), limits)?,
            Payload::ComponentCanonicalSection(items) => self.items(items.count(), limits)?,
            Payload::ComponentImportSection(items) => self.items(items.count(), limits)?,
            Payload::ComponentExportSection(items) => self.items(items.count(), limits)?,
            Payload::CustomSection(section) => {
                let what = "the size of its custom sections in bytes";
                let size = section.range().len() as u64;
                add(what, &mut self.custom, size, limits.custom)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn types(&mut self, count: u32, limits: &ScanLimits) -> Result<(), LimitExceeded> {
        add("the number of types", &mut self.types, count, limits.types)
    }

    fn items(&mut self, count: u32, limits: &ScanLimits) -> Result<(), LimitExceeded> {
        let what = "the number of imports, exports, instances and aliases";
        add(what, &mut self.items, count, limits.items)
    }

    fn body(&mut self, body: &FunctionBody<'_>, limits: &ScanLimits) -> Result<(), ScanError> {
        let size = body.range().len() as u64;
        within("the size of a function in bytes", size, limits.body)?;
        let mut locals = 0;
        for group in body.get_locals_reader()? {
            let (number, _) = group?;
            add(
                "the number of locals of a function",
                &mut locals,
                number,
                limits.locals,
            )?;
        }
        let mut blocks: u64 = 0;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            match operators.read()? {
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::TryTable { .. } => {
                    add(
                        "the nesting of blocks in a function",
                        &mut blocks,
                        1_u32,
                        limits.blocks,
                    )?;
                }
                Operator::End => blocks = blocks.saturating_sub(1),
                Operator::BrTable { targets } => {
                    let count = targets.len();
                    let what = "the number of targets of a br_table";
                    within(what, u64::from(count), limits.targets)?;
                    let what = "the number of targets of all br_tables";
                    add(what, &mut self.targets, count, limits.all_targets)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn add(
    what: &'static str,
    sum: &mut u64,
    more: impl Into<u64>,
    limit: u64,
) -> Result<(), LimitExceeded> {
    *sum = sum.saturating_add(more.into());
    within(what, *sum, limit)
}

fn within(what: &'static str, value: u64, limit: u64) -> Result<(), LimitExceeded> {
    if value <= limit {
        Ok(())
    } else {
        Err(LimitExceeded { what, value, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn leb(mut n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while n > 0x7f {
            bytes.push((n & 0x7f) as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
        bytes
    }

    /// A section, or any other item with a tag and a length.
    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        [&[id], leb(content.len()).as_slice(), content].concat()
    }

    /// A section that holds `count` copies of an item.
    fn list(id: u8, count: usize, item: &[u8]) -> Vec<u8> {
        section(id, &[leb(count), item.repeat(count)].concat())
    }

    /// A component of these sections.
    fn component(sections: &[Vec<u8>]) -> Vec<u8> {
        [COMPONENT, &sections.concat()].concat()
    }

    /// A component with one core module of these sections.
    fn module(sections: &[Vec<u8>]) -> Vec<u8> {
        component(&[section(1, &[MODULE, &sections.concat()].concat())])
    }

    /// A component with functions without parameters and results.
    fn functions(bodies: usize, body: &[u8]) -> Vec<u8> {
        let body = [leb(body.len()).as_slice(), body].concat();
        module(&[
            list(1, 1, b"\x60\0\0"),
            list(3, bodies, b"\0"),
            list(10, bodies, &body),
        ])
    }

    /// A component with one function of these operators.
    fn function(operators: &[&[u8]]) -> Vec<u8> {
        functions(1, &[b"\0", operators.concat().as_slice(), b"\x0b"].concat())
    }

    fn nested(levels: usize) -> Vec<u8> {
        let inner = match levels {
            0 => Vec::new(),
            levels => section(4, &nested(levels - 1)),
        };
        component(&[inner])
    }

    fn br_table(targets: usize) -> Vec<u8> {
        [&b"\x41\0\x0e"[..], &leb(targets), &vec![0; targets + 1]].concat()
    }

    /// Makes a component with a given number of something.
    type Bomb = fn(usize) -> Vec<u8>;

    /// The limited quantities, their limits, and how to exceed each.
    fn bombs(limits: &ScanLimits) -> Vec<(&'static str, u64, Bomb)> {
        vec![
            ("its size in bytes (--component-limit)", limits.size, |n| {
                let head = n - COMPONENT.len() - 5;
                let content = [b"\x04name".as_slice(), &vec![0; head - 5]].concat();
                component(&[section(0, &content)])
            }),
            ("the number of core modules", limits.modules, |n| {
                component(&[section(1, MODULE).repeat(n)])
            }),
            ("the number of nested components", limits.components, |n| {
                component(&[section(4, COMPONENT).repeat(n)])
            }),
            ("the nesting of components", limits.nesting, nested),
            ("the number of functions", limits.functions, |n| {
                functions(n, b"\0\x0b")
            }),
            ("the size of a function in bytes", limits.body, |n| {
                function(&[&vec![1; n - 2]])
            }),
            ("the number of locals of a function", limits.locals, |n| {
                let locals = [b"\x01", leb(n).as_slice(), b"\x7f\x0b"].concat();
                functions(1, &locals)
            }),
            ("the nesting of blocks in a function", limits.blocks, |n| {
                function(&[&b"\x02\x40".repeat(n), &vec![0x0b; n]])
            }),
            ("the number of targets of a br_table", limits.targets, |n| {
                function(&[&br_table(n)])
            }),
            (
                "the number of targets of all br_tables",
                limits.all_targets,
                |n| {
                    let body = [b"\0".as_slice(), &br_table(4096), b"\x0b"].concat();
                    let rest = [b"\0".as_slice(), &br_table(n % 4096), b"\x0b"].concat();
                    let entry = |body: &[u8]| [leb(body.len()).as_slice(), body].concat();
                    let bodies = [entry(&body).repeat(n / 4096), entry(&rest)].concat();
                    let count = n / 4096 + 1;
                    let code = section(10, &[leb(count), bodies].concat());
                    module(&[list(3, count, b"\0"), code])
                },
            ),
            ("the number of types", limits.types, |n| {
                component(&[list(7, n, b"\x7f")])
            }),
            ("the number of data segments", limits.data, |n| {
                module(&[list(11, n, b"\x01\0")])
            }),
            ("the number of element segments", limits.elements, |n| {
                module(&[list(9, n, b"\x01\0\0")])
            }),
            (
                "the number of imports, exports, instances and aliases",
                limits.items,
                |n| module(&[list(6, n, b"\x7f\0\x41\0\x0b")]),
            ),
            ("the number of core instances", limits.instances, |n| {
                component(&[section(1, MODULE), list(2, n, b"\0\0\0")])
            }),
            (
                "the number of imports, globals and functions of its core instances",
                limits.entries,
                |n| {
                    // Instances of a large module, and one of a small module for
                    // the rest. A module itself is one entry.
                    let module = |n| {
                        let globals = list(6, n - 1, b"\x7f\0\x41\0\x0b");
                        section(1, &[MODULE, &globals].concat())
                    };
                    let (many, rest) = (n >> 16, n & 0xffff);
                    let mut sections = vec![module(1 << 16), list(2, many, b"\0\0\0")];
                    if rest > 0 {
                        sections.extend([module(rest), list(2, 1, b"\0\x01\0")]);
                    }
                    component(&sections)
                },
            ),
            (
                "the size of its custom sections in bytes",
                limits.custom,
                |n| {
                    let content = [b"\x04name".as_slice(), &vec![0; n - 5]].concat();
                    component(&[section(0, &content)])
                },
            ),
        ]
    }

    fn message(wasm: &[u8], limits: &ScanLimits) -> String {
        match scan(wasm, limits) {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_bomb_is_rejected_by_name_and_a_component_at_the_limit_is_not() {
        let limits = ScanLimits::with_size(48 << 20);
        for (what, limit, bomb) in bombs(&limits) {
            let amount = limit as usize;
            // The limit on custom sections must not trigger before the size.
            let wide = ScanLimits {
                custom: u64::MAX,
                ..limits
            };
            let limits = if what.starts_with("its size") {
                &wide
            } else {
                &limits
            };
            assert_eq!(message(&bomb(amount), limits), "fine", "{what}");
            let expected = format!(
                "component rejected before compilation: {what} is {}, the limit is {limit}",
                limit + 1
            );
            assert_eq!(message(&bomb(amount + 1), limits), expected);
        }
    }

    /// A component that instantiates one of 100 core instances six times has 600.
    #[test]
    fn core_instances_are_multiplied_along_the_nesting() {
        let limits = ScanLimits::with_size(1 << 20);
        let hundred = component(&[section(1, MODULE), list(2, 100, b"\0\0\0")]);
        let times = |n| component(&[section(4, &hundred), list(5, n, b"\0\0\0")]);
        assert_eq!(message(&times(5), &limits), "fine");
        let refused = message(&times(6), &limits);
        assert!(
            refused.contains("core instances is 600, the limit is 512"),
            "{refused}"
        );
        // The same through an alias of an outer component: it is the first of the
        // component one level out.
        let alias = section(6, b"\x01\x04\x02\x01\0");
        let inner = component(&[alias, list(5, 6, b"\0\0\0")]);
        let outer = [
            section(4, &hundred),
            section(4, &inner),
            list(5, 1, b"\0\x01\0"),
        ];
        assert!(message(&component(&outer), &limits).contains("core instances is 600"));
    }

    /// A list may announce more than it holds, and nested types may be as deep
    /// as the file is long: neither costs more than reading the header.
    #[test]
    fn false_counts_and_depth_cost_nothing() {
        let limits = ScanLimits::with_size(48 << 20);
        let false_count = module(&[section(3, &leb(0xffff_ffff))]);
        assert!(message(&false_count, &limits).contains("the number of functions is 4294967295"));
        let deep = component(&[section(
            7,
            &[b"\x01".to_vec(), b"\x42\x01\x01".repeat(1 << 20)].concat(),
        )]);
        assert_eq!(message(&deep, &limits), "fine");
    }

    /// A cut between two sections is left for the compiler to find.
    #[test]
    fn a_truncated_component_is_malformed_at_most() {
        let limits = ScanLimits::with_size(1 << 20);
        let whole = function(&[b"\x41\0\x1a"]);
        assert_eq!(message(&whole, &limits), "fine");
        for cut in COMPONENT.len()..whole.len() {
            let found = scan(&whole[..cut], &limits);
            assert!(!matches!(found, Err(ScanError::LimitExceeded(_))), "{cut}");
        }
        let last = scan(&whole[..whole.len() - 1], &limits);
        assert!(matches!(last, Err(ScanError::Malformed(_))));
    }
}
