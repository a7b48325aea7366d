//! A look at a component before it is compiled.
//!
//! Some components are built to cost their compiler hours. The compiler's own
//! ceilings are those of the specification, far beyond any environment; this
//! counts what compiling costs most for and refuses what is out of proportion,
//! in one pass over the bytes that keeps none of them. It does not validate,
//! and it never descends into nested types, which is the one place where a
//! reader would recurse. What slips through dies in the compiler's process.

use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

/// What there may be of each thing. All but the size are far above what any
/// toolchain makes, interpreters compiled to WebAssembly included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
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
}

impl Caps {
    /// The caps of a host that takes components of up to this size.
    pub(super) fn with_size(size: u64) -> Caps {
        Caps {
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
            data: 16_384,
            elements: 16_384,
            items: 131_072,
            custom: 32 << 20,
        }
    }
}

/// Something that a component has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the component is refused before it is compiled: {what} is {figure}, and at most {cap} is taken"
)]
pub struct Excess {
    /// What.
    what: &'static str,
    /// How much there is of it; counting stops soon after the cap.
    figure: u64,
    /// How much there may be.
    cap: u64,
}

/// Why a component is not even compiled.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    #[error(transparent)]
    Excess(#[from] Excess),
    #[error(transparent)]
    Malformed(#[from] BinaryReaderError),
}

/// Refuses a component by its size alone.
pub(super) fn check_size(size: u64, cap: u64) -> Result<(), Excess> {
    within("its size in bytes (--component-limit)", size, cap)
}

/// Refuses what would be too expensive.
pub(super) fn scan(wasm: &[u8], caps: &Caps) -> Result<(), ScanError> {
    check_size(wasm.len() as u64, caps.size)?;
    let mut count = Count::default();
    for payload in Parser::new(0).parse_all(wasm) {
        count.take(&payload?, caps)?;
    }
    Ok(())
}

/// What was seen so far.
#[derive(Default)]
struct Count {
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

impl Count {
    fn take(&mut self, payload: &Payload<'_>, caps: &Caps) -> Result<(), ScanError> {
        match payload {
            Payload::ModuleSection { .. } => {
                self.nesting += 1;
                add(
                    "the number of core modules",
                    &mut self.modules,
                    1_u32,
                    caps.modules,
                )?;
            }
            Payload::ComponentSection { .. } => {
                self.nesting += 1;
                within("the nesting of components", self.nesting, caps.nesting)?;
                let what = "the number of nested components";
                add(what, &mut self.components, 1_u32, caps.components)?;
            }
            Payload::End(_) => self.nesting = self.nesting.saturating_sub(1),
            Payload::FunctionSection(functions) => {
                let what = "the number of functions";
                add(what, &mut self.functions, functions.count(), caps.functions)?;
            }
            Payload::CodeSectionEntry(body) => self.body(body, caps)?,
            Payload::TypeSection(types) => self.types(types.count(), caps)?,
            Payload::CoreTypeSection(types) => self.types(types.count(), caps)?,
            Payload::ComponentTypeSection(types) => self.types(types.count(), caps)?,
            Payload::DataSection(data) => {
                let what = "the number of data segments";
                add(what, &mut self.data, data.count(), caps.data)?;
            }
            Payload::ElementSection(elements) => {
                let what = "the number of element segments";
                add(what, &mut self.elements, elements.count(), caps.elements)?;
            }
            Payload::ImportSection(items) => self.items(items.count(), caps)?,
            Payload::ExportSection(items) => self.items(items.count(), caps)?,
            Payload::GlobalSection(items) => self.items(items.count(), caps)?,
            Payload::TableSection(items) => self.items(items.count(), caps)?,
            Payload::MemorySection(items) => self.items(items.count(), caps)?,
            Payload::InstanceSection(items) => self.items(items.count(), caps)?,
            Payload::ComponentInstanceSection(items) => self.items(items.count(), caps)?,
            Payload::ComponentAliasSection(items) => self.items(items.count(), caps)?,
            Payload::ComponentCanonicalSection(items) => self.items(items.count(), caps)?,
            Payload::ComponentImportSection(items) => self.items(items.count(), caps)?,
            Payload::ComponentExportSection(items) => self.items(items.count(), caps)?,
            Payload::CustomSection(section) => {
                let what = "the size of its custom sections in bytes";
                let size = section.range().len() as u64;
                add(what, &mut self.custom, size, caps.custom)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn types(&mut self, count: u32, caps: &Caps) -> Result<(), Excess> {
        add("the number of types", &mut self.types, count, caps.types)
    }

    fn items(&mut self, count: u32, caps: &Caps) -> Result<(), Excess> {
        let what = "the number of imports, exports, instances and aliases";
        add(what, &mut self.items, count, caps.items)
    }

    fn body(&mut self, body: &FunctionBody<'_>, caps: &Caps) -> Result<(), ScanError> {
        let size = body.range().len() as u64;
        within("the size of a function in bytes", size, caps.body)?;
        let mut locals = 0;
        for group in body.get_locals_reader()? {
            let (many, _) = group?;
            add(
                "the number of locals of a function",
                &mut locals,
                many,
                caps.locals,
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
                        caps.blocks,
                    )?;
                }
                Operator::End => blocks = blocks.saturating_sub(1),
                Operator::BrTable { targets } => {
                    let count = targets.len();
                    let what = "the number of targets of a br_table";
                    within(what, u64::from(count), caps.targets)?;
                    let what = "the number of targets of all br_tables";
                    add(what, &mut self.targets, count, caps.all_targets)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn add(what: &'static str, sum: &mut u64, more: impl Into<u64>, cap: u64) -> Result<(), Excess> {
    *sum = sum.saturating_add(more.into());
    within(what, *sum, cap)
}

fn within(what: &'static str, figure: u64, cap: u64) -> Result<(), Excess> {
    if figure <= cap {
        Ok(())
    } else {
        Err(Excess { what, figure, cap })
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

    /// A section, or anything else that has a letter and a length.
    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        [&[id], leb(content.len()).as_slice(), content].concat()
    }

    /// So many times the same item.
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

    /// The same with functions of no parameters and no results.
    fn functions(bodies: usize, body: &[u8]) -> Vec<u8> {
        let body = [leb(body.len()).as_slice(), body].concat();
        module(&[
            list(1, 1, b"\x60\0\0"),
            list(3, bodies, b"\0"),
            list(10, bodies, &body),
        ])
    }

    /// One function of these operators.
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

    /// Makes a component with so many of something.
    type Bomb = fn(usize) -> Vec<u8>;

    /// What there may be too much of, the cap on it, and how it is made.
    fn bombs(caps: &Caps) -> Vec<(&'static str, u64, Bomb)> {
        vec![
            ("its size in bytes (--component-limit)", caps.size, |n| {
                let head = n - COMPONENT.len() - 5;
                let content = [b"\x04name".as_slice(), &vec![0; head - 5]].concat();
                component(&[section(0, &content)])
            }),
            ("the number of core modules", caps.modules, |n| {
                component(&[section(1, MODULE).repeat(n)])
            }),
            ("the number of nested components", caps.components, |n| {
                component(&[section(4, COMPONENT).repeat(n)])
            }),
            ("the nesting of components", caps.nesting, nested),
            ("the number of functions", caps.functions, |n| {
                functions(n, b"\0\x0b")
            }),
            ("the size of a function in bytes", caps.body, |n| {
                function(&[&vec![1; n - 2]])
            }),
            ("the number of locals of a function", caps.locals, |n| {
                let locals = [b"\x01", leb(n).as_slice(), b"\x7f\x0b"].concat();
                functions(1, &locals)
            }),
            ("the nesting of blocks in a function", caps.blocks, |n| {
                function(&[&b"\x02\x40".repeat(n), &vec![0x0b; n]])
            }),
            ("the number of targets of a br_table", caps.targets, |n| {
                function(&[&br_table(n)])
            }),
            (
                "the number of targets of all br_tables",
                caps.all_targets,
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
            ("the number of types", caps.types, |n| {
                component(&[list(7, n, b"\x7f")])
            }),
            ("the number of data segments", caps.data, |n| {
                module(&[list(11, n, b"\x01\0")])
            }),
            ("the number of element segments", caps.elements, |n| {
                module(&[list(9, n, b"\x01\0\0")])
            }),
            (
                "the number of imports, exports, instances and aliases",
                caps.items,
                |n| module(&[list(6, n, b"\x7f\0\x41\0\x0b")]),
            ),
            (
                "the size of its custom sections in bytes",
                caps.custom,
                |n| {
                    let content = [b"\x04name".as_slice(), &vec![0; n - 5]].concat();
                    component(&[section(0, &content)])
                },
            ),
        ]
    }

    fn told(wasm: &[u8], caps: &Caps) -> String {
        match scan(wasm, caps) {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_bomb_is_refused_by_name_and_what_is_at_the_cap_is_not() {
        let caps = Caps::with_size(48 << 20);
        for (what, cap, bomb) in bombs(&caps) {
            let amount = cap as usize;
            // No other cap is in the way of the size.
            let wide = Caps {
                custom: u64::MAX,
                ..caps
            };
            let caps = if what.starts_with("its size") {
                &wide
            } else {
                &caps
            };
            assert_eq!(told(&bomb(amount), caps), "fine", "{what}");
            let expected = format!(
                "the component is refused before it is compiled: {what} is {}, and at most {cap} \
                 is taken",
                cap + 1
            );
            assert_eq!(told(&bomb(amount + 1), caps), expected);
        }
    }

    /// A list may announce more than it holds, and nested types may be as deep
    /// as the file is long: neither costs more than reading the head.
    #[test]
    fn lies_and_depth_cost_nothing() {
        let caps = Caps::with_size(48 << 20);
        let lie = module(&[section(3, &leb(0xffff_ffff))]);
        assert!(told(&lie, &caps).contains("the number of functions is 4294967295"));
        let deep = component(&[section(
            7,
            &[b"\x01".to_vec(), b"\x42\x01\x01".repeat(1 << 20)].concat(),
        )]);
        assert_eq!(told(&deep, &caps), "fine");
    }

    /// A cut between two sections is for the compiler to find.
    #[test]
    fn a_part_of_a_component_is_at_most_malformed() {
        let caps = Caps::with_size(1 << 20);
        let whole = function(&[b"\x41\0\x1a"]);
        assert_eq!(told(&whole, &caps), "fine");
        for cut in COMPONENT.len()..whole.len() {
            let found = scan(&whole[..cut], &caps);
            assert!(!matches!(found, Err(ScanError::Excess(_))), "{cut}");
        }
        let last = scan(&whole[..whole.len() - 1], &caps);
        assert!(matches!(last, Err(ScanError::Malformed(_))));
    }
}
