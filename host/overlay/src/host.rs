//! Open files and directories as guests see them: `wasi:filesystem` 0.2.
//!
//! Nothing waits, though the signatures would let it, but for data that has to
//! come from the disk.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntryStream,
    ErrorCode, Filesize, HostDescriptor, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::base::Kind;
use super::listing::Entries;
use super::ops::How;
use super::stat::{Stat, Time};
use super::store::PAGE;
use super::streams::{Reader, Writer};
use super::view::{File, View, type_of};
use super::walk::At;

fn follow(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

fn time(time: NewTimestamp) -> Time {
    match time {
        NewTimestamp::NoChange => Time::Keep,
        NewTimestamp::Now => Time::Now,
        NewTimestamp::Timestamp(time) => Time::At(time),
    }
}

fn stat(stat: Stat) -> DescriptorStat {
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

impl HostDescriptor for View<'_> {
    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let file = self.file(&fd)?.clone();
        file.read(offset, 0)?;
        let stream: DynInputStream = Box::new(Reader::new(file, offset));
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let file = self.file(&fd)?.clone();
        file.writable()?;
        let stream: DynOutputStream = Box::new(Writer::new(file, Some(offset)));
        Ok(self.table.push(stream)?)
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let file = self.file(&fd)?.clone();
        file.writable()?;
        let stream: DynOutputStream = Box::new(Writer::new(file, None));
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
        let is_dir = layer.node(file.node())?.folder().is_some();
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
        file.writable()?;
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
        file.fetch(offset, count).await;
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
        let written = self.file(&fd)?.write(Some(offset), &buffer)?;
        Ok(written as u64)
    }

    async fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DirectoryEntryStream>> {
        let entries = self.file(&fd)?.entries()?;
        let resource = self.table.push::<Entries>(entries)?;
        Ok(Resource::new_own(resource.rep()))
    }

    async fn create_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FsResult<()> {
        let dir = self.file(&fd)?;
        Ok(dir.layer().make_dir(dir.node(), &path)?)
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        let file = self.file(&fd)?;
        Ok(stat(file.layer().stat(&At::Node(file.node()))?))
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let dir = self.file(&fd)?;
        let layer = dir.layer();
        let found = layer.look(dir.node(), &path, follow(flags))?;
        Ok(stat(layer.stat(&found.at)?))
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
        let walk = layer.walk(dir.node(), &path, follow(flags))?;
        Ok(layer.on(&walk, |layer, node| {
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
        let how = How {
            create: open.contains(OpenFlags::CREATE),
            exclusive: open.contains(OpenFlags::EXCLUSIVE),
            directory: open.contains(OpenFlags::DIRECTORY),
            truncate: open.contains(OpenFlags::TRUNCATE),
            write: flags.contains(DescriptorFlags::WRITE),
        };
        let read = flags.contains(DescriptorFlags::READ);
        let handle = self
            .file(&fd)?
            .open_at(&path, follow(path_flags), how, read)?;
        self.push(handle).map_err(FsError::trap)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        let dir = self.file(&fd)?;
        let layer = dir.layer();
        let found = layer.look(dir.node(), &path, false)?;
        if found.kind != Kind::Link {
            return Err(ErrorCode::Invalid.into());
        }
        let target = layer.target(&found.at)?;
        // It would say where the host keeps its things.
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
        Ok(dir.layer().make_link(dir.node(), &target, &path)?)
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
        Ok(one.is_beside(other) && one.node() == other.node())
    }

    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        let file = self.file(&fd)?;
        Ok(hash(file.layer().hash(&At::Node(file.node()))?))
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let dir = self.file(&fd)?;
        let layer = dir.layer();
        let found = layer.look(dir.node(), &path, follow(flags))?;
        Ok(hash(layer.hash(&found.at)?))
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<File>::new_own(fd.rep()))?;
        Ok(())
    }
}
