//! From the bytes of a component to something that sessions can be made of.
//!
//! Compiling takes a good part of a second, so it happens once, before an
//! environment is served, and never on a request; the result is kept in the
//! [`Cache`]. Linking happens once too. What an author handed over is never
//! taken for compiled code, and is looked over before the compiler sees it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use orwd_bindings::EnvironmentPre;

use super::cache::Cache;
use super::check::{self, Import, Mismatch};
use super::compiler::{Code, CompileError};
use super::runtime::Engine;
use super::scan::{self, Caps, Excess, ScanError};
use orwd_model::Digest;
use orwd_sandbox::GuestState;

/// A component that is compiled, checked and linked.
#[derive(Clone)]
pub struct Component {
    pub(super) pre: EnvironmentPre<GuestState>,
    digest: Digest,
    size: usize,
    imports: Vec<Import>,
    exports: Vec<String>,
}

/// Why a file is no environment.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// A core module.
    #[error(
        "this is a core WebAssembly module and not a component: build it for the target \
         wasm32-wasip2, or make a component of it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Text, of WebAssembly or anything else.
    #[error("this is text and not a compiled component; `orwd build` makes one from sources")]
    Text,
    /// Native code.
    #[error(
        "this is code that was compiled already, for some machine and by someone; \
         orwd takes components and compiles them itself"
    )]
    Precompiled,
    /// None of the above.
    #[error("this is no WebAssembly component: it does not begin like one")]
    Unknown,
    /// There is more of something than any environment needs.
    #[error(transparent)]
    Excess(#[from] Excess),
    /// It begins like a component and does not go on like one, or compiling it
    /// takes more than it may.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The compiler's code is not for this engine, which is no fault of the
    /// component's.
    #[error("the compiled component cannot be loaded: {0:#}")]
    Load(wasmtime::Error),
    /// It is a component, but not an environment for this host.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// It fits, and still cannot be linked.
    #[error("the component cannot be linked: {0:#}")]
    Link(wasmtime::Error),
}

impl From<ScanError> for ComponentError {
    fn from(error: ScanError) -> ComponentError {
        match error {
            ScanError::Excess(excess) => ComponentError::Excess(excess),
            ScanError::Malformed(error) => CompileError::Refused(error.to_string()).into(),
        }
    }
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is larger than a component may be.
    #[error(transparent)]
    Excess(#[from] Excess),
}

impl Component {
    /// Reads the file of a component, unless it is too large to be one.
    pub fn read(engine: &Engine, path: &Path) -> Result<Vec<u8>, FileError> {
        let cap = engine.compiler().limits().component;
        let file = File::open(path)?;
        scan::check_size(file.metadata()?.len(), cap)?;
        let mut wasm = Vec::new();
        // It may be no ordinary file, or grow while it is read.
        file.take(cap.saturating_add(1)).read_to_end(&mut wasm)?;
        scan::check_size(wasm.len() as u64, cap)?;
        Ok(wasm)
    }

    /// Compiles a component, or takes what was compiled of it before.
    pub fn load(
        engine: &Engine,
        cache: Option<&Cache>,
        wasm: &[u8],
    ) -> Result<Component, ComponentError> {
        refuse_what_is_none(wasm)?;
        let limits = engine.compiler().limits();
        scan::scan(wasm, &Caps::with_size(limits.component))?;
        let digest = Digest::of(wasm);
        let component = compiled(engine, cache, digest, wasm)?;
        check::check(&component)?;
        let pre = engine
            .linker()
            .instantiate_pre(&component)
            .and_then(EnvironmentPre::new)
            .map_err(ComponentError::Link)?;
        Ok(Component {
            pre,
            digest,
            size: wasm.len(),
            imports: check::imports(&component),
            exports: check::exports(&component),
        })
    }

    /// The digest of the component's bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes of the component.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What it imports, and so could reach.
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// What it exports.
    pub fn exports(&self) -> &[String] {
        &self.exports
    }
}

fn refuse_what_is_none(wasm: &[u8]) -> Result<(), ComponentError> {
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

/// The component as native code, from the cache or else from the compiler.
fn compiled(
    engine: &Engine,
    cache: Option<&Cache>,
    digest: Digest,
    wasm: &[u8],
) -> Result<wasmtime::component::Component, ComponentError> {
    if let Some(code) = cache.and_then(|cache| cache.get(digest, engine.wasmtime())) {
        match load_own_code(engine, &code) {
            Ok(component) => return Ok(component),
            Err(error) => {
                tracing::warn!(%digest, "compiled code from the cache does not load: {error:#}");
            }
        }
    }
    let code = engine.compiler().compile(engine.wasmtime(), digest, wasm)?;
    if let Some(cache) = cache
        && let Err(error) = cache.put(digest, engine.wasmtime(), &code)
    {
        tracing::warn!(%digest, "compiled code could not be kept, and is made again at the next start: {error}");
    }
    load_own_code(engine, &code).map_err(ComponentError::Load)
}

/// Loads code that a compiler of ours made.
#[expect(
    unsafe_code,
    reason = "the one place where compiled code is loaded; the argument is below"
)]
fn load_own_code(engine: &Engine, code: &Code) -> wasmtime::Result<wasmtime::component::Component> {
    // SAFETY: the bytes must be what `Engine::precompile_component` gave,
    // unchanged. A `Code` is made in two places. `Compiler::compile` makes it
    // of what that function returned: in this process, or in a process of the
    // program that the host was told to use, which is its own file, started by
    // it, with the answer coming over a pipe that the two alone hold, in a
    // frame that is complete or refused. The process is confined in what it
    // uses up, and is trusted in what it says exactly as a compiler in this
    // process would be. `Cache::get` makes a `Code` of a file that bears a
    // keyed hash over content, component digest, engine and host version,
    // under a key that is drawn by the host and readable by its user alone;
    // and `Cache::put`, which alone gives such a hash, takes nothing but a
    // `Code`. The bytes are in our own memory by the time they are checked, so
    // nobody can change them between check and use.
    unsafe { wasmtime::component::Component::deserialize(engine.wasmtime(), code.bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_named() {
        for (bytes, expected) in [
            (&b""[..], "empty"),
            (b"\0asm\x01\0\0\0", "core WebAssembly module"),
            (b"(component)", "text"),
            (b"\x7fELF\x02\x01", "compiled already"),
            (b"\0asm\x0e\0\x01\0", "does not begin like one"),
            (&[0xff, 0xfe, 0x00, 0x17], "does not begin like one"),
        ] {
            let error = refuse_what_is_none(bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{bytes:?}: {error}");
        }
        assert!(refuse_what_is_none(b"\0asm\x0d\0\x01\0 and so on").is_ok());
    }
}
