//! The requests of the host's kernel, taken apart and answered.
//!
//! A request that is malformed never comes here: the library ends it with an error. One that is answered after the
//! unmount is nobody's any more, and the host's kernel refuses the answer.

use crate::errors::Failed;
use crate::last_words::Unanswered;
use crate::locks::Asked;
use crate::names;
use crate::server::{Attributes, Caller, New, Renaming};
use crate::times::GRANULARITY;
use crate::work::{Shared, Work};
use crate::{attributes, server};
use fuser::{
    BsdFileFlags, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyLock, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, Request,
    TimeOrNow, WriteFlags,
};
use ntbox_kernel::processor::thread;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long the host's kernel may rely on what it was told. Nobody but it changes the volume.
const VALID: Duration = Duration::from_secs(1);
/// Bytes that one request writes, at most.
const MOST_WRITTEN: u32 = 1 << 20;
/// Numbers are never used again while the kernel knows them.
const FIRST: Generation = Generation(0);

/// The file system that the library serves.
pub struct Fuse(pub Arc<Shared>);

/// Does the work of a request and answers it: what is given to `good`, or the error.
macro_rules! answer {
    ($self:ident, $request:ident, $reply:ident, $work:expr, $good:expr) => {
        match Work::begin(&$self.0, $request) {
            Ok(_work) => match $work {
                Ok(given) => $good($reply, given),
                Err(Failed(error)) => $reply.error(error),
            },
            Err(Failed(error)) => $reply.error(error),
        }
    };
}

fn caller(request: &Request) -> Caller {
    Caller {
        user: request.uid(),
        group: request.gid(),
    }
}

fn entry(reply: ReplyEntry, told: fuser::FileAttr) {
    reply.entry(&VALID, &told, FIRST);
}

fn ok(reply: ReplyEmpty, (): ()) {
    reply.ok();
}

fn open_flags(flags: i32) -> FopenFlags {
    match flags & libc::O_DIRECT {
        0 => FopenFlags::empty(),
        _ => FopenFlags::FOPEN_DIRECT_IO,
    }
}

impl Filesystem for Fuse {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // What this kernel does not have, it does by itself, or not.
        for wanted in [
            InitFlags::FUSE_POSIX_LOCKS,
            InitFlags::FUSE_FLOCK_LOCKS,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
        ] {
            let _lacking = config.add_capabilities(wanted);
        }
        let _least = config.set_max_write(MOST_WRITTEN);
        let _next = config.set_time_granularity(GRANULARITY);
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let server = &self.0.server;
        answer!(self, request, reply, server.lookup(parent.0, name), entry);
    }

    fn forget(&self, _: &Request, node: INodeNo, times: u64) {
        self.0.server.forget(node.0, times);
    }

    fn getattr(&self, request: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let told = |reply: ReplyAttr, told| reply.attr(&VALID, &told);
        answer!(self, request, reply, self.0.server.state(node.0), told);
    }

    fn setattr(
        &self,
        request: &Request,
        node: INodeNo,
        mode: Option<u32>,
        user: Option<u32>,
        group: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        written: Option<TimeOrNow>,
        _changed: Option<SystemTime>,
        open: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let new = Attributes {
            mode,
            user,
            group,
            size,
            accessed,
            written,
            open: open.map(|open| open.0),
        };
        let told = |reply: ReplyAttr, told| reply.attr(&VALID, &told);
        answer!(self, request, reply, self.0.server.set(node.0, &new), told);
    }

    fn readlink(&self, request: &Request, node: INodeNo, reply: ReplyData) {
        let data = |reply: ReplyData, target: Vec<u8>| reply.data(&target);
        answer!(self, request, reply, self.0.server.target(node.0), data);
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let new = new(request, parent, name, mode);
        let server = &self.0.server;
        answer!(
            self,
            request,
            reply,
            server.make_special(&new, device),
            entry
        );
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let new = new(request, parent, name, libc::S_IFDIR | mode);
        let server = &self.0.server;
        answer!(self, request, reply, server.make_directory(&new), entry);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let server = &self.0.server;
        answer!(self, request, reply, server.unlink(parent.0, name), ok);
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let server = &self.0.server;
        answer!(
            self,
            request,
            reply,
            server.remove_directory(parent.0, name),
            ok
        );
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let new = new(request, parent, name, libc::S_IFLNK | 0o777);
        let target = target.as_os_str().as_bytes();
        let server = &self.0.server;
        answer!(self, request, reply, server.make_link(&new, target), entry);
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renaming = Renaming {
            from: (parent.0, name),
            to: (new_parent.0, new_name),
            flags: flags.bits(),
        };
        answer!(self, request, reply, self.0.server.rename(&renaming), ok);
    }

    fn link(
        &self,
        request: &Request,
        node: INodeNo,
        parent: INodeNo,
        name: &OsStr,
        reply: ReplyEntry,
    ) {
        let server = &self.0.server;
        answer!(
            self,
            request,
            reply,
            server.link(node.0, parent.0, name),
            entry
        );
    }

    fn open(&self, request: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let opened =
            |reply: ReplyOpen, number| reply.opened(FileHandle(number), open_flags(flags.0));
        answer!(
            self,
            request,
            reply,
            self.0.server.open(node.0, flags.0),
            opened
        );
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let new = new(request, parent, name, libc::S_IFREG | mode);
        let created = |reply: ReplyCreate, (told, number)| {
            reply.created(&VALID, &told, FIRST, FileHandle(number), open_flags(flags));
        };
        let server = &self.0.server;
        answer!(self, request, reply, server.create(&new, flags), created);
    }

    fn read(
        &self,
        request: &Request,
        _: INodeNo,
        file: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let data = |reply: ReplyData, read: Vec<u8>| reply.data(&read);
        let server = &self.0.server;
        answer!(
            self,
            request,
            reply,
            server.read(file.0, offset, size),
            data
        );
    }

    fn write(
        &self,
        request: &Request,
        _: INodeNo,
        file: FileHandle,
        offset: u64,
        data: &[u8],
        how: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let of_cache = how.contains(WriteFlags::FUSE_WRITE_CACHE);
        let written = |reply: ReplyWrite, bytes| reply.written(bytes as u32);
        let server = &self.0.server;
        let write = server.write(file.0, offset, data, of_cache);
        answer!(self, request, reply, write, written);
    }

    fn flush(
        &self,
        request: &Request,
        node: INodeNo,
        _: FileHandle,
        owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        let server = &self.0.server;
        answer!(self, request, reply, server.closed(node.0, owner.0), ok);
    }

    fn release(
        &self,
        request: &Request,
        _: INodeNo,
        file: FileHandle,
        _: OpenFlags,
        owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let owner = owner.map(|owner| owner.0);
        let server = &self.0.server;
        answer!(self, request, reply, server.release(file.0, owner), ok);
    }

    fn fsync(
        &self,
        request: &Request,
        node: INodeNo,
        file: FileHandle,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let server = &self.0.server;
        answer!(self, request, reply, server.flush(node.0, Some(file.0)), ok);
    }

    fn opendir(&self, request: &Request, node: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened =
            |reply: ReplyOpen, number| reply.opened(FileHandle(number), FopenFlags::empty());
        let server = &self.0.server;
        answer!(self, request, reply, server.open_directory(node.0), opened);
    }

    fn readdir(
        &self,
        request: &Request,
        _: INodeNo,
        directory: FileHandle,
        place: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut take = |next, number, kind, name: &OsStr| {
            !reply.add(INodeNo(number), next, attributes::file_type(kind), name)
        };
        let listed = match Work::begin(&self.0, request) {
            Ok(_work) => self.0.server.list(directory.0, place, &mut take),
            Err(error) => Err(error),
        };
        match listed {
            Ok(()) => reply.ok(),
            Err(Failed(error)) => reply.error(error),
        }
    }

    fn releasedir(
        &self,
        request: &Request,
        _: INodeNo,
        directory: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let server = &self.0.server;
        answer!(
            self,
            request,
            reply,
            server.close_directory(directory.0),
            ok
        );
    }

    fn fsyncdir(
        &self,
        request: &Request,
        node: INodeNo,
        _: FileHandle,
        _: bool,
        reply: ReplyEmpty,
    ) {
        answer!(self, request, reply, self.0.server.flush(node.0, None), ok);
    }

    fn statfs(&self, request: &Request, _: INodeNo, reply: ReplyStatfs) {
        let told = |reply: ReplyStatfs, space: server::Space| {
            let bytes = space.cluster;
            let (total, free, available) = (space.total, space.free, space.available);
            // NT does not count files.
            let longest = names::LONGEST as u32;
            reply.statfs(total, free, available, 0, 0, bytes, longest, bytes);
        };
        answer!(self, request, reply, self.0.server.space(), told);
    }

    fn fallocate(
        &self,
        request: &Request,
        _: INodeNo,
        file: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let server = &self.0.server;
        answer!(
            self,
            request,
            reply,
            server.allocate(file.0, offset, length, mode),
            ok
        );
    }

    fn lseek(
        &self,
        request: &Request,
        node: INodeNo,
        file: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let server = &self.0.server;
        let sought = server.seek(node.0, file.0, offset, whence);
        answer!(self, request, reply, sought, ReplyLseek::offset);
    }

    fn getlk(
        &self,
        request: &Request,
        node: INodeNo,
        _: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        kind: i32,
        process: u32,
        reply: ReplyLock,
    ) {
        let asked = asked(owner, (start, end), kind, process);
        let told = |reply: ReplyLock, found: Option<(u64, u64, bool, u32)>| match found {
            None => reply.locked(0, 0, libc::F_UNLCK, 0),
            Some((start, end, true, process)) => reply.locked(start, end, libc::F_WRLCK, process),
            Some((start, end, false, process)) => reply.locked(start, end, libc::F_RDLCK, process),
        };
        let locks = &self.0.server.locks;
        answer!(
            self,
            request,
            reply,
            Ok(locks.in_the_way(node.0, &asked)),
            told
        );
    }

    fn setlk(
        &self,
        request: &Request,
        _: INodeNo,
        file: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        kind: i32,
        process: u32,
        waits: bool,
        reply: ReplyEmpty,
    ) {
        let asked = asked(owner, (start, end), kind, process);
        if !waits {
            let server = &self.0.server;
            answer!(self, request, reply, server.lock(file.0, &asked, None), ok);
            return;
        }
        // A thread of its own: others are not to wait for it.
        let (shared, number) = (Arc::clone(&self.0), request.unique().0);
        let waits = request.pid();
        thread::spawn("lock", move || {
            let _unanswered = Unanswered::new(number);
            match shared.server.lock(file.0, &asked, Some(waits)) {
                Ok(()) => reply.ok(),
                Err(Failed(error)) => reply.error(error),
            }
        });
    }
}

fn new<'a>(request: &Request, parent: INodeNo, name: &'a OsStr, mode: u32) -> New<'a> {
    New {
        directory: parent.0,
        name,
        mode,
        caller: caller(request),
    }
}

fn asked(owner: LockOwner, (start, end): (u64, u64), kind: i32, process: u32) -> Asked {
    Asked {
        owner: owner.0,
        start,
        end,
        exclusive: match kind {
            libc::F_WRLCK => Some(true),
            libc::F_RDLCK => Some(false),
            _ => None,
        },
        process,
    }
}
