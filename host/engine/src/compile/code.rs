//! Native code, as the compiler subprocess returns it.

/// Native code made by a compiler of this program. Only this type is ever
/// loaded as code.
pub(crate) struct CompiledCode(Vec<u8>);

impl CompiledCode {
    /// Wraps the output of a compiler of this program.
    pub(crate) fn from_compiler(bytes: Vec<u8>) -> CompiledCode {
        CompiledCode(bytes)
    }

    /// Wraps bytes whose keyed hash the cache has verified.
    pub(crate) fn from_cache(bytes: Vec<u8>) -> CompiledCode {
        CompiledCode(bytes)
    }

    /// Returns the bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
