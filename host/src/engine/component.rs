//! From the bytes of a component to something that sessions can be made of.
//!
//! Compiling takes a good part of a second, so it happens once, before an
//! environment is served, and never on a request; the result is kept in the
//! [`Cache`]. Linking happens once too. What an author handed over is never
//! taken for compiled code.

use orwd_bindings::EnvironmentPre;

use super::cache::Cache;
use super::check::{self, Import, Mismatch};
use super::runtime::Engine;
use crate::model::Digest;
use crate::sandbox::GuestState;

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
    /// It begins like a component and does not go on like one.
    #[error("the component cannot be compiled: {0:#}")]
    Compile(wasmtime::Error),
    /// It is a component, but not an environment for this host.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// It fits, and still cannot be linked.
    #[error("the component cannot be linked: {0:#}")]
    Link(wasmtime::Error),
}

impl Component {
    /// Compiles a component, or takes what was compiled of it before.
    pub fn load(
        engine: &Engine,
        cache: Option<&Cache>,
        wasm: &[u8],
    ) -> Result<Component, ComponentError> {
        refuse_what_is_none(wasm)?;
        let digest = Digest::of(wasm);
        let component = match cache {
            Some(cache) => from_cache(engine, cache, digest, wasm)?,
            None => compile(engine, wasm)?,
        };
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

fn compile(engine: &Engine, wasm: &[u8]) -> Result<wasmtime::component::Component, ComponentError> {
    wasmtime::component::Component::from_binary(engine.wasmtime(), wasm)
        .map_err(ComponentError::Compile)
}

fn from_cache(
    engine: &Engine,
    cache: &Cache,
    digest: Digest,
    wasm: &[u8],
) -> Result<wasmtime::component::Component, ComponentError> {
    if let Some(code) = cache.get(digest, engine.wasmtime())
        && let Some(component) = load_own_code(engine, &code)
    {
        return Ok(component);
    }
    let component = compile(engine, wasm)?;
    let kept = component
        .serialize()
        .map_err(std::io::Error::other)
        .and_then(|code| cache.put(digest, engine.wasmtime(), &code));
    if let Err(error) = kept {
        tracing::warn!(%digest, "compiled code could not be kept, and is made again at the next start: {error}");
    }
    Ok(component)
}

/// Loads code that the cache vouches for; `None` if wasmtime refuses it, in
/// which case it is made again.
#[expect(
    unsafe_code,
    reason = "the one place where compiled code is loaded; the argument is below"
)]
fn load_own_code(engine: &Engine, code: &[u8]) -> Option<wasmtime::component::Component> {
    // SAFETY: the bytes must be what `Component::serialize` gave, unchanged.
    // `code` comes from `Cache::get`, which returns only what bears a keyed
    // hash over content, component digest, engine and host version, under a
    // key that is drawn by the host and readable by its user alone; and the
    // only code that is ever given such a hash, in `from_cache`, is what
    // `serialize` returned. The bytes are in our own memory by the time they
    // are checked, so nobody can change them between check and use.
    let loaded = unsafe { wasmtime::component::Component::deserialize(engine.wasmtime(), code) };
    match loaded {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!("compiled code from the cache does not load: {error:#}");
            None
        }
    }
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
