//! What the interfaces of `wasi:filesystem` work on: the session's tree and the
//! table of what its guest holds.
//!
//! The resource types are the library's; what they stand for in the table is
//! ours. Here are the interfaces that are asked once or by name; what is done
//! with an open file is in [`host`](super::host).

use std::sync::Arc;

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Descriptor, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    HostDirectoryEntryStream,
};
use wasmtime_wasi::p2::{FsError, FsResult};

use super::Tree;
use super::base::Kind;
use super::handle::Handle;
use super::listing::Entries;

/// What the interfaces work on.
pub struct View<'a> {
    /// The files of the session.
    pub tree: &'a Tree,
    /// The handles of the guest.
    pub table: &'a mut ResourceTable,
}

/// Marks [`View`] as what the interfaces work on.
pub struct HasTree;

impl HasData for HasTree {
    type Data<'a> = View<'a>;
}

pub(super) type File = Arc<Handle>;

impl View<'_> {
    pub(super) fn push(&mut self, handle: Handle) -> wasmtime::Result<Resource<Descriptor>> {
        let resource = self.table.push::<File>(Arc::new(handle))?;
        Ok(Resource::new_own(resource.rep()))
    }

    pub(super) fn get(&self, descriptor: &Resource<Descriptor>) -> wasmtime::Result<&File> {
        let resource = Resource::<File>::new_borrow(descriptor.rep());
        Ok(self.table.get(&resource)?)
    }

    /// The two ends of a link or a rename, which are in one tree.
    pub(super) fn both(
        &self,
        one: &Resource<Descriptor>,
        other: &Resource<Descriptor>,
    ) -> FsResult<(&File, &File)> {
        let one = self.get(one).map_err(FsError::trap)?;
        let other = self.get(other).map_err(FsError::trap)?;
        if one.is_beside(other) {
            Ok((one, other))
        } else {
            Err(ErrorCode::CrossDevice.into())
        }
    }

    pub(super) fn file(&self, descriptor: &Resource<Descriptor>) -> FsResult<&File> {
        self.get(descriptor).map_err(FsError::trap)
    }
}

pub(super) fn type_of(kind: Kind) -> DescriptorType {
    match kind {
        Kind::File => DescriptorType::RegularFile,
        Kind::Dir => DescriptorType::Directory,
        Kind::Link => DescriptorType::SymbolicLink,
    }
}

impl preopens::Host for View<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        // There is no error that this could tell: a guest that has no handle
        // left sees no directories.
        let opened = self.tree.preopens().unwrap_or_default();
        opened
            .into_iter()
            .map(|(handle, at)| Ok((self.push(handle)?, at.to_owned())))
            .collect()
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(error.downcast_ref::<ErrorCode>().copied())
    }
}

impl HostDirectoryEntryStream for View<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let stream = Resource::<Entries>::new_borrow(stream.rep());
        let next = self.table.get_mut(&stream)?.next()?;
        Ok(next.map(|(name, kind)| DirectoryEntry {
            type_: type_of(kind),
            name,
        }))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.table
            .delete(Resource::<Entries>::new_own(stream.rep()))?;
        Ok(())
    }
}
