//! Counts the core instances of a component, and bounds what they cost the host.
//!
//! Each core instance takes memory of the host that is not linear memory: an entry
//! for each import, global, table, memory and function. An instance pool bounds the
//! sum, but instances outside of a pool are bounded only here. A component inside of
//! another may be instantiated often, so the costs are multiplied along the nesting.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Instance, Payload, Result,
};

/// Entries of all core instances of a component, at about 32 bytes each. A Python
/// interpreter with pydantic has 30,000.
pub(crate) const MAX_ENTRIES: u64 = 1 << 20;

/// The cost of an instance: of a module, or of a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InstanceCost {
    /// Core instances.
    pub(crate) instances: u64,
    /// Entries in all of them.
    pub(crate) entries: u64,
}

impl InstanceCost {
    fn plus(self, other: InstanceCost) -> InstanceCost {
        InstanceCost {
            instances: self.instances.saturating_add(other.instances),
            entries: self.entries.saturating_add(other.entries),
        }
    }
}

/// What is being read: a module, or a component with the indices of what it can
/// instantiate.
#[derive(Debug)]
enum Scope {
    Module(u64),
    Component(Definitions),
}

#[derive(Debug, Default)]
struct Definitions {
    modules: Vec<InstanceCost>,
    components: Vec<InstanceCost>,
    total: InstanceCost,
}

/// The costs so far. Every list is as long as what the scan has counted before.
#[derive(Debug)]
pub(crate) struct InstanceCounter {
    /// From the whole component to what is being read.
    scopes: Vec<Scope>,
    /// The largest definition, which stands for one that cannot be followed.
    largest: InstanceCost,
}

impl InstanceCounter {
    pub(crate) fn new() -> InstanceCounter {
        InstanceCounter {
            scopes: vec![Scope::Component(Definitions::default())],
            largest: InstanceCost::default(),
        }
    }

    /// Returns the cost of an instance of the whole component, as far as it was read.
    pub(crate) fn total(&self) -> InstanceCost {
        match self.scopes.first() {
            Some(Scope::Component(definitions)) => definitions.total,
            _ => InstanceCost::default(),
        }
    }

    /// Takes a part of the component.
    pub(crate) fn take(&mut self, payload: &Payload<'_>) -> Result<()> {
        match payload {
            Payload::ModuleSection { .. } => self.scopes.push(Scope::Module(0)),
            Payload::ComponentSection { .. } => {
                self.scopes.push(Scope::Component(Definitions::default()));
            }
            Payload::End(_) => self.end(),
            Payload::ImportSection(list) => self.entries(list.count()),
            Payload::ExportSection(list) => self.entries(list.count()),
            Payload::GlobalSection(list) => self.entries(list.count()),
            Payload::TableSection(list) => self.entries(list.count()),
            Payload::MemorySection(list) => self.entries(list.count()),
            Payload::FunctionSection(list) => self.entries(list.count()),
            Payload::InstanceSection(list) => {
                for instance in list.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.instantiate(|from| from.modules.get(module_index as usize));
                    }
                }
            }
            Payload::ComponentInstanceSection(list) => {
                for instance in list.clone() {
                    if let ComponentInstance::Instantiate {
                        component_index, ..
                    } = instance?
                    {
                        self.instantiate(|from| from.components.get(component_index as usize));
                    }
                }
            }
            Payload::ComponentAliasSection(list) => {
                for alias in list.clone() {
                    self.alias(&alias?);
                }
            }
            Payload::ComponentImportSection(list) => {
                for import in list.clone() {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.define_module(self.largest),
                        ComponentTypeRef::Component(_) => self.define_component(self.largest),
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(list) => {
                for export in list.clone() {
                    let export = export?;
                    let index = export.index as usize;
                    match export.kind {
                        ComponentExternalKind::Module => {
                            self.define_module(self.outer(0, |from| from.modules.get(index)));
                        }
                        ComponentExternalKind::Component => {
                            self.define_component(self.outer(0, |from| from.components.get(index)));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        match *alias {
            ComponentAlias::InstanceExport { kind, .. } => match kind {
                ComponentExternalKind::Module => self.define_module(self.largest),
                ComponentExternalKind::Component => self.define_component(self.largest),
                _ => {}
            },
            ComponentAlias::Outer { kind, count, index } => {
                let (count, index) = (count as usize, index as usize);
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        self.define_module(self.outer(count, |from| from.modules.get(index)));
                    }
                    ComponentOuterAliasKind::Component => {
                        self.define_component(self.outer(count, |from| from.components.get(index)));
                    }
                    ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
                }
            }
            ComponentAlias::CoreInstanceExport { .. } => {}
        }
    }

    /// Returns a definition of the component that is `count` levels out.
    fn outer(
        &self,
        count: usize,
        find: impl Fn(&Definitions) -> Option<&InstanceCost>,
    ) -> InstanceCost {
        match self.scopes.iter().rev().nth(count) {
            // An index that does not exist is found by the validation.
            Some(Scope::Component(from)) => find(from).copied().unwrap_or_default(),
            _ => InstanceCost::default(),
        }
    }

    fn instantiate(&mut self, find: impl Fn(&Definitions) -> Option<&InstanceCost>) {
        let cost = self.outer(0, find);
        if let Some(Scope::Component(definitions)) = self.scopes.last_mut() {
            definitions.total = definitions.total.plus(cost);
        }
    }

    fn entries(&mut self, count: u32) {
        if let Some(Scope::Module(entries)) = self.scopes.last_mut() {
            *entries = entries.saturating_add(u64::from(count));
        }
    }

    fn end(&mut self) {
        // The end of the whole component closes no scope.
        if self.scopes.len() < 2 {
            return;
        }
        match self.scopes.pop() {
            Some(Scope::Module(entries)) => self.define_module(InstanceCost {
                instances: 1,
                entries: entries.saturating_add(1),
            }),
            Some(Scope::Component(definitions)) => self.define_component(definitions.total),
            None => {}
        }
    }

    fn define_module(&mut self, cost: InstanceCost) {
        self.note(cost);
        if let Some(Scope::Component(definitions)) = self.scopes.last_mut() {
            definitions.modules.push(cost);
        }
    }

    fn define_component(&mut self, cost: InstanceCost) {
        self.note(cost);
        if let Some(Scope::Component(definitions)) = self.scopes.last_mut() {
            definitions.components.push(cost);
        }
    }

    fn note(&mut self, cost: InstanceCost) {
        self.largest.instances = self.largest.instances.max(cost.instances);
        self.largest.entries = self.largest.entries.max(cost.entries);
    }
}
