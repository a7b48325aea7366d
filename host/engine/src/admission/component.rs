//! Loads a component: reads, checks, compiles and links it.
//!
//! Compilation takes a good part of a second, so it happens once, before an
//! environment is served, and never on a request. The code is kept in the
//! [`CodeCache`]; linking happens once too. A component file is never taken for
//! compiled code, and is scanned before the compiler sees it.

use std::fs::File;
use std::io::{self, Read, Seek};

use orwd_bindings::EnvironmentPre;

use crate::admission::scan::{self, LimitExceeded, ScanError, ScanLimits};
use crate::admission::world::{self, ComponentImport, WorldMismatch};
use crate::compile::cache::CodeCache;
use crate::compile::code::CompiledCode;
use crate::compile::error::CompileError;
use crate::engine::Engine;
use crate::settings::MAX_MEMORIES;
use orwd_model::Digest;
use orwd_sandbox::GuestState;

/// A component that is checked, compiled and linked.
#[derive(Clone)]
pub struct Component {
    pub(crate) pre: EnvironmentPre<GuestState>,
    digest: Digest,
    size: usize,
    imports: Vec<ComponentImport>,
    exports: Vec<String>,
}

/// The file is not an environment.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// The file is a core module.
    #[error(
        "this is a core WebAssembly module and not a component; build it for the target \
         wasm32-wasip2, or convert it with `wasm-tools component new`"
    )]
    CoreModule,
    /// The file is text, WebAssembly text or other.
    #[error("this is text and not a compiled component; run `orwd build` to compile it")]
    Text,
    /// The file is native code.
    #[error(
        "this is native or precompiled code; orwd accepts only components and compiles them itself"
    )]
    Precompiled,
    /// The file is none of the above.
    #[error("this is not a WebAssembly component: its first bytes are unknown")]
    Unknown,
    /// The component exceeds a limit of the scan.
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
    /// The component is malformed, or compiling it exceeds a limit.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The compiled code does not fit this engine; the component is not at
    /// fault.
    #[error("cannot load the compiled component: {0:#}")]
    Load(wasmtime::Error),
    /// The component does not implement the world of this host.
    #[error(transparent)]
    WorldMismatch(#[from] WorldMismatch),
    /// The component matches the world and still cannot be linked.
    #[error("cannot link the component: {0:#}")]
    Link(wasmtime::Error),
}

impl ComponentError {
    /// Whether the host is the cause and not the component. A limit of the compiler
    /// counts as the host's: another host, or the same one at another time, compiles
    /// the component.
    pub fn is_host_fault(&self) -> bool {
        match self {
            ComponentError::Compile(CompileError::Refused(_)) => false,
            ComponentError::Compile(
                CompileError::Cpu(_)
                | CompileError::Wall(_)
                | CompileError::Memory(_)
                | CompileError::Crashed(_)
                | CompileError::Unavailable(_),
            )
            | ComponentError::LimitExceeded(_)
            | ComponentError::Load(_) => true,
            ComponentError::Empty
            | ComponentError::CoreModule
            | ComponentError::Text
            | ComponentError::Precompiled
            | ComponentError::Unknown
            | ComponentError::WorldMismatch(_)
            | ComponentError::Link(_) => false,
        }
    }
}

impl From<ScanError> for ComponentError {
    fn from(error: ScanError) -> ComponentError {
        match error {
            ScanError::LimitExceeded(excess) => ComponentError::LimitExceeded(excess),
            ScanError::Malformed(error) => CompileError::Refused(error.to_string()).into(),
        }
    }
}

/// The file of a component cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ComponentFileError {
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is larger than a component may be.
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
}

impl Component {
    /// Reads the file of a component from its start, up to the size limit. The
    /// file was opened without blocking; only a regular one is read.
    pub fn read(engine: &Engine, mut file: &File) -> Result<Vec<u8>, ComponentFileError> {
        let cap = engine.compiler().limits().component;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file").into());
        }
        scan::check_size(metadata.len(), cap)?;
        file.rewind()?;
        let mut wasm = Vec::new();
        // It may grow while it is read.
        file.take(cap.saturating_add(1)).read_to_end(&mut wasm)?;
        scan::check_size(wasm.len() as u64, cap)?;
        Ok(wasm)
    }

    /// Compiles a component, or takes its code from the cache.
    pub fn load(
        engine: &Engine,
        cache: Option<&CodeCache>,
        wasm: &[u8],
    ) -> Result<Component, ComponentError> {
        check_preamble(wasm)?;
        let limits = engine.compiler().limits();
        scan::scan(wasm, &ScanLimits::with_size(limits.component))?;
        let digest = Digest::of(wasm);
        let component = compiled(engine, cache, digest, wasm)?;
        world::check(&component)?;
        engine.record_memories(memories(&component));
        let pre = engine
            .linker()
            .instantiate_pre(&component)
            .and_then(EnvironmentPre::new)
            .map_err(ComponentError::Link)?;
        Ok(Component {
            pre,
            digest,
            size: wasm.len(),
            imports: world::imports(&component),
            exports: world::exports(&component),
        })
    }

    /// Returns the digest of the component's bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the size of the component in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the imports of the component: everything it could reach.
    pub fn imports(&self) -> &[ComponentImport] {
        &self.imports
    }

    /// Returns the names of the component's exports.
    pub fn exports(&self) -> &[String] {
        &self.exports
    }
}

/// Returns how many memories an instance of the component has. Where that is
/// unknown, it is taken to have the most that one may.
fn memories(component: &wasmtime::component::Component) -> u64 {
    let resources = component.resources_required();
    resources.map_or(u64::from(MAX_MEMORIES), |resources| {
        u64::from(resources.num_memories)
    })
}

fn check_preamble(wasm: &[u8]) -> Result<(), ComponentError> {
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    if wasm.starts_with(COMPONENT) {
        return Ok(());
    }
    Err(if wasm.is_empty() {
        ComponentError::Empty
    } else if wasm.starts_with(MODULE) {
        ComponentError::CoreModule
    } else if wasmtime::Engine::detect_precompiled(wasm).is_some() || wasm.starts_with(b"\x7fELF") {
        ComponentError::Precompiled
    } else if std::str::from_utf8(wasm).is_ok_and(|text| !text.contains('\0')) {
        ComponentError::Text
    } else {
        ComponentError::Unknown
    })
}

/// Returns the component as native code, from the cache or from the compiler.
fn compiled(
    engine: &Engine,
    cache: Option<&CodeCache>,
    digest: Digest,
    wasm: &[u8],
) -> Result<wasmtime::component::Component, ComponentError> {
    if let Some(code) = cache.and_then(|cache| cache.get(digest, engine.wasmtime())) {
        match load_compiled_code(engine, &code) {
            Ok(component) => return Ok(component),
            Err(error) => {
                tracing::warn!(%digest, error = format!("{error:#}"), "cannot load cached code");
            }
        }
    }
    let code = engine.compiler().compile(digest, wasm)?;
    if let Some(cache) = cache
        && let Err(error) = cache.put(digest, engine.wasmtime(), &code)
    {
        tracing::warn!(%digest, %error, "cannot write code cache; the next start will compile again");
    }
    load_compiled_code(engine, &code).map_err(ComponentError::Load)
}

/// Loads code made by a compiler of this program.
#[expect(
    unsafe_code,
    reason = "the one place where compiled code is loaded; the argument is below"
)]
fn load_compiled_code(
    engine: &Engine,
    code: &CompiledCode,
) -> wasmtime::Result<wasmtime::component::Component> {
    // SAFETY: the bytes must be the unchanged output of
    // `Engine::precompile_component`. A `CompiledCode` is made in two places.
    // (1) `Compiler::compile` makes it from the output of that function in a
    // subprocess. The subprocess runs the program that the host was configured
    // with, which is its own executable; the reply arrives over a pipe that
    // only the two hold, in a frame that is complete or rejected. The
    // subprocess is limited in resources, and its output is trusted exactly as
    // a compiler in this process would be. (2) `CodeCache::get` makes it from a
    // file with a valid keyed hash over content, component digest, engine and
    // host version, under a key created by the host and readable by its user
    // only; `CodeCache::put`, the only writer of such a hash, accepts nothing
    // but a `CompiledCode`. The bytes are in our own memory when they are
    // checked, so nothing can change them between check and use.
    unsafe { wasmtime::component::Component::deserialize(engine.wasmtime(), code.bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_component_are_rejected_by_kind() {
        for (bytes, expected) in [
            (&b""[..], "empty"),
            (b"\0asm\x01\0\0\0", "core WebAssembly module"),
            (b"(component)", "text"),
            (b"\x7fELF\x02\x01", "precompiled"),
            (b"\0asm\x0e\0\x01\0", "first bytes are unknown"),
            (&[0xff, 0xfe, 0x00, 0x17], "first bytes are unknown"),
        ] {
            let error = check_preamble(bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{bytes:?}: {error}");
        }
        assert!(check_preamble(b"\0asm\x0d\0\x01\0 and so on").is_ok());
    }
}
