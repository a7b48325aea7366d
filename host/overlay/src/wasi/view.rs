//! The state behind `wasi:filesystem`: the session's overlay and its resource
//! table.
//!
//! The resource types are those of wasmtime-wasi; the table entries are our
//! own. This file implements the small interfaces; operations on descriptors
//! are in [`descriptor`](super::descriptor).

use std::sync::Arc;

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Descriptor, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    HostDirectoryEntryStream,
};
use wasmtime_wasi::p2::{FsError, FsResult};

use crate::error::trap_of;
use crate::handle::Handle;
use crate::listing::DirectoryReader;
use crate::lower::FileKind;
use crate::overlay::Overlay;

/// The state that the interfaces work on.
pub struct FilesystemView<'a> {
    /// The files of the session.
    pub overlay: &'a Overlay,
    /// The resource table of the guest.
    pub table: &'a mut ResourceTable,
}

/// Gives the interfaces access to [`FilesystemView`].
pub struct HasFilesystem;

impl HasData for HasFilesystem {
    type Data<'a> = FilesystemView<'a>;
}

pub(crate) type OpenFile = Arc<Handle>;

impl FilesystemView<'_> {
    pub(crate) fn push(&mut self, handle: Handle) -> wasmtime::Result<Resource<Descriptor>> {
        let resource = self.table.push::<OpenFile>(Arc::new(handle))?;
        Ok(Resource::new_own(resource.rep()))
    }

    pub(crate) fn get(&self, descriptor: &Resource<Descriptor>) -> wasmtime::Result<&OpenFile> {
        let resource = Resource::<OpenFile>::new_borrow(descriptor.rep());
        Ok(self.table.get(&resource)?)
    }

    /// Returns both ends of a link or a rename, which must be in one overlay.
    pub(crate) fn both(
        &self,
        one: &Resource<Descriptor>,
        other: &Resource<Descriptor>,
    ) -> FsResult<(&OpenFile, &OpenFile)> {
        let one = self.get(one).map_err(FsError::trap)?;
        let other = self.get(other).map_err(FsError::trap)?;
        if one.is_same_overlay(other) {
            Ok((one, other))
        } else {
            Err(ErrorCode::CrossDevice.into())
        }
    }

    pub(crate) fn file(&self, descriptor: &Resource<Descriptor>) -> FsResult<&OpenFile> {
        self.get(descriptor).map_err(FsError::trap)
    }
}

pub(crate) fn type_of(kind: FileKind) -> DescriptorType {
    match kind {
        FileKind::File => DescriptorType::RegularFile,
        FileKind::Dir => DescriptorType::Directory,
        FileKind::Link => DescriptorType::SymbolicLink,
    }
}

impl preopens::Host for FilesystemView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        // The interface has no error: a guest without a free handle sees no
        // directories.
        let opened = self.overlay.preopens().unwrap_or_default();
        opened
            .into_iter()
            .map(|(handle, at)| Ok((self.push(handle)?, at.to_owned())))
            .collect()
    }
}

impl types::Host for FilesystemView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        let code = error.downcast()?;
        if let Some(trap) = trap_of(code) {
            return Err(trap);
        }
        self.overlay.layer.lock().observed.failure(code);
        Ok(code)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(error.downcast_ref::<ErrorCode>().copied())
    }
}

impl HostDirectoryEntryStream for FilesystemView<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let stream = Resource::<DirectoryReader>::new_borrow(stream.rep());
        let next = self.table.get_mut(&stream)?.next()?;
        Ok(next.map(|(name, kind)| DirectoryEntry {
            type_: type_of(kind),
            name,
        }))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.table
            .delete(Resource::<DirectoryReader>::new_own(stream.rep()))?;
        Ok(())
    }
}
