//! Descriptors as guests see them: `wasi:filesystem` 0.2.
//!
//! Only reads and listings that must go to the disk wait, although the
//! signatures would allow more.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntryStream,
    ErrorCode, Filesize, HostDescriptor, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use crate::listing::DirectoryReader;
use crate::lower::FileKind;
use crate::storage::pages::PAGE;
use crate::upper::location::Location;
use crate::upper::ops::OpenOptions;
use crate::upper::stat::{FileStat, SetTime};
use crate::wasi::streams::{FileInputStream, FileOutputStream};
use crate::wasi::view::{FilesystemView, OpenFile, type_of};

/// The most bytes of one write. A guest writes the rest with further ones, so
/// that none delays others by much.
const MAX_WRITE: usize = 1 << 20;

fn follow(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

fn time(time: NewTimestamp) -> SetTime {
    match time {
        NewTimestamp::NoChange => SetTime::Keep,
        NewTimestamp::Now => SetTime::Now,
        NewTimestamp::Timestamp(time) => SetTime::To(time),
    }
}

fn stat(stat: FileStat) -> DescriptorStat {
    DescriptorStat {
        type_: type_of(stat.kind),
        link_count: stat.links,
        size: stat.size,
        data_access_timestamp: Some(stat.accessed),
        data_modification_timestamp: Some(stat.modified),
        status_change_timestamp: Some(stat.modified),
    }
}

fn hash((lower, upper): (u64, u64)) -> MetadataHashValue {
    MetadataHashValue { lower, upper }
}

impl HostDescriptor for FilesystemView<'_> {
    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let file = self.file(&fd)?.clone();
        file.read(offset, 0)?;
        let stream: DynInputStream = Box::new(FileInputStream::new(file, offset));
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let file = self.file(&fd)?.clone();
        file.check_writable()?;
        let stream: DynOutputStream = Box::new(FileOutputStream::new(file, Some(offset)));
        Ok(self.table.push(stream)?)
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let file = self.file(&fd)?.clone();
        file.check_writable()?;
        let stream: DynOutputStream = Box::new(FileOutputStream::new(file, None));
        Ok(self.table.push(stream)?)
    }

    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        _offset: Filesize,
        _length: Filesize,
        _advice: Advice,
    ) -> FsResult<()> {
        let file = self.file(&fd)?;
        file.layer().content(file.node())?;
        Ok(())
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.file(&fd)?;
        Ok(())
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.file(&fd)?;
        Ok(())
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        let file = self.file(&fd)?;
        let rights = file.rights();
        let layer = file.layer();
        let is_dir = layer.node(file.node())?.directory().is_some();
        let mut flags = DescriptorFlags::empty();
        if rights.read {
            flags |= DescriptorFlags::READ;
        }
        if is_dir && !layer.read_only {
            flags |= DescriptorFlags::MUTATE_DIRECTORY;
        }
        if !is_dir && rights.write {
            flags |= DescriptorFlags::WRITE;
        }
        Ok(flags)
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        let file = self.file(&fd)?;
        let kind = file.layer().node(file.node())?.kind();
        Ok(type_of(kind))
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        let file = self.file(&fd)?;
        file.check_writable()?;
        Ok(file.layer().set_size(file.node(), size)?)
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let file = self.file(&fd)?;
        let node = file.node();
        Ok(file
            .layer()
            .set_times(node, time(accessed), time(modified))?)
    }

    async fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        let count = usize::try_from(length).unwrap_or(PAGE).min(PAGE);
        let file = self.file(&fd)?;
        file.prefetch(offset, count).await;
        let bytes = file.read(offset, count)?;
        let is_end = bytes.is_empty();
        Ok((bytes, is_end))
    }

    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        buffer: Vec<u8>,
        offset: Filesize,
    ) -> FsResult<Filesize> {
        let file = self.file(&fd)?;
        let most = buffer.get(..MAX_WRITE).unwrap_or(&buffer);
        Ok(file.write(Some(offset), most)? as u64)
    }

    async fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        let entries = DirectoryReader::open(self.file(&fd)?).await?;
        let resource = self.table.push::<DirectoryReader>(entries)?;
        Ok(Resource::new_own(resource.rep()))
    }

    async fn create_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        let dir = self.file(&fd)?;
        Ok(dir.layer().create_dir(dir.node(), &path)?)
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        let file = self.file(&fd)?;
        Ok(stat(file.layer().stat(&Location::Upper(file.node()))?))
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let dir = self.file(&fd)?;
        let layer = dir.layer();
        let found = layer.find(dir.node(), &path, follow(flags))?;
        Ok(stat(layer.stat(&found.location)?))
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let dir = self.file(&fd)?;
        let mut layer = dir.layer();
        let resolved = layer.resolve(dir.node(), &path, follow(flags))?;
        Ok(layer.with_target(&resolved, |layer, node| {
            layer.set_times(node, time(accessed), time(modified))
        })?)
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let (old, new) = self.both(&fd, &new_fd)?;
        let (old_dir, new_dir) = (old.node(), new.node());
        Ok(old
            .layer()
            .link(old_dir, &path, follow(flags), new_dir, &new_path)?)
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let options = OpenOptions {
            create: open.contains(OpenFlags::CREATE),
            exclusive: open.contains(OpenFlags::EXCLUSIVE),
            directory: open.contains(OpenFlags::DIRECTORY),
            truncate: open.contains(OpenFlags::TRUNCATE),
            write: flags.contains(DescriptorFlags::WRITE),
        };
        let read = flags.contains(DescriptorFlags::READ);
        let handle = self
            .file(&fd)?
            .open_at(&path, follow(path_flags), options, read)?;
        self.push(handle).map_err(FsError::trap)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        let dir = self.file(&fd)?;
        let layer = dir.layer();
        let found = layer.find(dir.node(), &path, false)?;
        if found.kind != FileKind::Link {
            return Err(ErrorCode::Invalid.into());
        }
        let target = layer.target(&found.location)?;
        layer.observed.target(&target);
        // It would reveal a path of the host.
        if target.starts_with('/') {
            return Err(ErrorCode::NotPermitted.into());
        }
        Ok(target)
    }

    async fn remove_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        let dir = self.file(&fd)?;
        Ok(dir.layer().remove_dir(dir.node(), &path)?)
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let (old, new) = self.both(&fd, &new_fd)?;
        let (old_dir, new_dir) = (old.node(), new.node());
        Ok(old.layer().rename(old_dir, &path, new_dir, &new_path)?)
    }

    async fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FsResult<()> {
        let dir = self.file(&fd)?;
        Ok(dir.layer().create_symlink(dir.node(), &target, &path)?)
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let dir = self.file(&fd)?;
        Ok(dir.layer().unlink(dir.node(), &path)?)
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let (one, other) = (self.get(&one)?, self.get(&other)?);
        Ok(one.is_same_overlay(other) && one.node() == other.node())
    }

    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        let file = self.file(&fd)?;
        Ok(hash(file.layer().hash(&Location::Upper(file.node()))?))
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let dir = self.file(&fd)?;
        let layer = dir.layer();
        let found = layer.find(dir.node(), &path, follow(flags))?;
        Ok(hash(layer.hash(&found.location)?))
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<OpenFile>::new_own(fd.rep()))?;
        Ok(())
    }
}
