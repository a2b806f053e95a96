//! Threads as the kernel sees them: client ids, thread objects, rights.
//!
//! A [`Thread`] is made for every host thread on its first use of this module
//! and lives as long as the process, so that an address of one is never stale.
//! Its `ETHREAD` stand-in is made when something asks for it; it begins with a
//! dispatcher header that is signaled when the thread ends, and goes with its last reference.

use super::apc::{self, Apc, Apcs};
use super::dispatcher::header::initialize_thread_object;
use super::dispatcher::waiter::Waiter;
use super::dispatcher::waits::{give_up_thread_object, interrupt_wait, signal_thread_object};
use super::object::{self, Kind, Procedures};
use super::process::{self, Process};
use super::{fault, irql, lock_order, processor_block};
use crate::host;
use crate::verifier::{self, Context};
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
use std::sync::{OnceLock, PoisonError, RwLock};

pub use super::fault::Sample;

pub use super::apc::{
    Regions, Sort as ApcSort, all_apcs_disabled, apcs_disabled, deliver_apcs,
    enter_critical_region, enter_guarded_region, leave_critical_region, leave_critical_region_for,
    leave_guarded_region, leave_guarded_region_for,
};

/// Bytes of the thread object's body, as many as an `ETHREAD` of Windows 10 has.
const ETHREAD_BYTES: usize = 0x900;

/// Processors that drivers see: one group of them. Every thread is one.
pub const PROCESSORS: u32 = 64;

/// Bytes of a thread's stack: many stacked drivers and the box itself run on it.
const STACK_BYTES: usize = 4 << 20;

/// Priority of a thread that nobody gave another.
const NORMAL_PRIORITY: i32 = 8;

/// Who a thread acts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// The operating system.
    System,
    /// A member of the administrators group, elevated.
    Administrator,
    /// Anybody else.
    User,
}

/// In the place of a client's token.
const NOBODY: u8 = u8::MAX;

fn token_of(value: u8) -> Token {
    match value {
        0 => Token::System,
        1 => Token::Administrator,
        _ => Token::User,
    }
}

/// A thread of the box.
pub struct Thread {
    id: u32,
    /// What the host calls it.
    host: u32,
    /// Where its crossings with drivers are, or 0.
    crossings: AtomicUsize,
    name: String,
    process: &'static Process,
    object: OnceLock<usize>,
    processor: u32,
    token: AtomicU8,
    /// The token of its client, or [`NOBODY`].
    client: AtomicU8,
    pub(super) apcs: Apcs,
    ended: AtomicBool,
    priority: AtomicI32,
    /// Status that `PsTerminateSystemThread` was given.
    exit_status: AtomicI32,
    /// What waits of it.
    pub(super) waiter: Waiter,
}

impl std::fmt::Debug for Thread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "thread {} '{}'", self.id, self.name)
    }
}

#[derive(Default)]
struct Registry {
    threads: HashMap<usize, &'static Thread>,
    by_object: HashMap<usize, &'static Thread>,
}

fn registry() -> &'static RwLock<Registry> {
    static REGISTRY: OnceLock<RwLock<Registry>> = OnceLock::new();
    REGISTRY.get_or_init(RwLock::default)
}

/// Processor numbers in use.
static PROCESSORS_IN_USE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static CURRENT: Cell<Option<&'static Thread>> = const { Cell::new(None) };
    static PREVIOUS_MODE: Cell<i8> = const { Cell::new(0) };
    static END: EndOfThread = const { EndOfThread };
}

/// What the object manager calls for a thread that has ended.
static PROCEDURES: Procedures = Procedures {
    closed: None,
    left: None,
    delete: |object| {
        let mut registry = registry().write().unwrap_or_else(PoisonError::into_inner);
        registry.by_object.remove(&object.addr());
    },
};

/// Signals the thread object when the host thread ends.
struct EndOfThread;

impl Drop for EndOfThread {
    fn drop(&mut self) {
        if let Some(thread) = CURRENT.get() {
            thread.end();
            processor_block::remove();
            thread.give_up_object();
        }
    }
}

impl Thread {
    /// Client id of the thread: a multiple of 4, unique in the run.
    pub fn id(&self) -> u32 {
        self.id
    }
    /// Where it is and at which level, unless it has ended or does not answer. Not for a thread to ask
    /// of itself.
    pub fn look(&self) -> Option<Sample> {
        fault::sample(self.id, self.host, self.crossings.load(Ordering::Relaxed))
    }
    /// The `ETHREAD` stand-in: readable memory that begins with a dispatcher header.
    pub fn object(&'static self) -> *mut c_void {
        let address = *self.object.get_or_init(|| {
            let object = object::create_with(Kind::Thread, ETHREAD_BYTES, Some(&PROCEDURES));
            initialize_thread_object(object, self.ended.load(Ordering::Acquire));
            let mut registry = registry().write().unwrap_or_else(PoisonError::into_inner);
            registry.by_object.insert(object.expose_provenance(), self);
            object.addr()
        });
        std::ptr::with_exposed_provenance_mut(address)
    }
    /// The `EPROCESS` stand-in.
    pub fn process(&self) -> *mut c_void {
        self.process.object()
    }
    /// The process it belongs to.
    pub fn owner(&self) -> &'static Process {
        self.process
    }
    /// What it is called in reports.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// True for a thread of the system process.
    pub fn is_system(&self) -> bool {
        self.process.is_system()
    }
    /// The number of its processor, below [`PROCESSORS`].
    pub fn processor(&self) -> u32 {
        self.processor
    }
    /// Whose rights it has: those of its client, if it impersonates one.
    pub fn token(&self) -> Token {
        self.impersonated().unwrap_or_else(|| self.primary_token())
    }
    /// The rights of its own.
    pub fn primary_token(&self) -> Token {
        token_of(self.token.load(Ordering::Relaxed))
    }
    /// Whom it impersonates.
    pub fn impersonated(&self) -> Option<Token> {
        let client = self.client.load(Ordering::Relaxed);
        (client != NOBODY).then(|| token_of(client))
    }
    /// Has it impersonate a client, or nobody.
    pub fn impersonate(&self, client: Option<Token>) {
        let client = client.map_or(NOBODY, |client| client as u8);
        self.client.store(client, Ordering::Relaxed);
    }
    /// Gives it the rights of `token`.
    pub fn set_token(&self, token: Token) {
        self.token.store(token as u8, Ordering::Relaxed);
    }
    /// Sets the priority, which is kept but not used, and returns the old one.
    pub fn set_priority(&self, priority: i32) -> i32 {
        self.priority.swap(priority, Ordering::Relaxed)
    }
    /// The priority it was given; normal until then.
    pub fn priority(&self) -> i32 {
        self.priority.load(Ordering::Relaxed)
    }
    /// The status it ended with; `STATUS_SUCCESS` until then.
    pub fn exit_status(&self) -> i32 {
        self.exit_status.load(Ordering::Acquire)
    }
    /// True when it has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
    pub(super) fn set_exit_status(&self, status: i32) {
        self.exit_status.store(status, Ordering::Release);
    }

    /// The thread keeps its object as long as it runs; after that it goes with the last reference.
    fn give_up_object(&self) {
        if let Some(object) = self.object.get() {
            give_up_thread_object(std::ptr::with_exposed_provenance_mut(*object));
        }
    }

    fn end(&self) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.processor < PROCESSORS {
            PROCESSORS_IN_USE.fetch_and(!(1 << self.processor), Ordering::AcqRel);
        }
        if let Some(object) = self.object.get() {
            signal_thread_object(std::ptr::with_exposed_provenance_mut(*object));
        }
    }
}

/// The lowest free processor. More threads than processors share numbers, which
/// a machine does not: two of them could be at `DISPATCH_LEVEL` on one number.
fn claim_processor(id: u32) -> u32 {
    let mut used = PROCESSORS_IN_USE.load(Ordering::Acquire);
    loop {
        let free = used.trailing_ones();
        if free >= PROCESSORS {
            return id / 4 % PROCESSORS;
        }
        match PROCESSORS_IN_USE.compare_exchange_weak(
            used,
            used | 1 << free,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => return free,
            Err(now) => used = now,
        }
    }
}

#[cold]
fn register(name: String, process: &'static Process) -> &'static Thread {
    static NEXT: AtomicU32 = AtomicU32::new(2);
    verifier::tell_threads(|| current().id(), context);
    let id = NEXT.fetch_add(1, Ordering::Relaxed) * 4;
    let token = if process.is_system() {
        Token::System
    } else {
        Token::Administrator
    };
    let thread: &'static Thread = Box::leak(Box::new(Thread {
        id,
        host: host::thread_id(),
        crossings: AtomicUsize::new(0),
        name,
        process,
        object: OnceLock::new(),
        processor: claim_processor(id),
        token: AtomicU8::new(token as u8),
        client: AtomicU8::new(NOBODY),
        apcs: Apcs::default(),
        ended: AtomicBool::new(false),
        priority: AtomicI32::new(NORMAL_PRIORITY),
        exit_status: AtomicI32::new(0),
        waiter: Waiter::new(id),
    }));
    let mut registry = registry().write().unwrap_or_else(PoisonError::into_inner);
    registry
        .threads
        .insert(std::ptr::from_ref(thread).addr(), thread);
    drop(registry);
    CURRENT.set(Some(thread));
    thread.apcs.adopt();
    fault::call_thread(thread.id, &thread.name);
    fault::prepare_thread();
    let crossings = processor_block::install(thread.object(), thread.processor);
    thread.crossings.store(crossings, Ordering::Relaxed);
    // Makes the object that the variable PsInitialSystemProcess points to.
    process::system();
    // While a thread ends its destructors may still come here; it has been signaled by then.
    let _ = END.try_with(|_| ());
    thread
}

/// What the verifier tells of the thread that runs.
fn context() -> Context {
    let thread = current();
    Context {
        thread: thread.id(),
        name: thread.name().to_owned(),
        irql: irql::current(),
    }
}

/// The host's first thread, which the others are begun by.
pub const MAIN: &str = "main";

/// The thread that runs. A host thread that [`spawn`] did not start belongs to
/// the user process, but for the main one, which is the system's.
#[inline]
pub fn current() -> &'static Thread {
    match CURRENT.get() {
        Some(thread) => thread,
        None => unregistered(),
    }
}

/// Registers the thread that runs. In the convention of drivers, so that a routine that they call keeps
/// no registers for it.
#[cold]
extern "win64" fn unregistered() -> &'static Thread {
    let name = std::thread::current()
        .name()
        .unwrap_or("unnamed")
        .to_owned();
    // The first one loads and unloads drivers, which is a worker thread's of the system to do.
    let process = match name.as_str() {
        MAIN => process::system(),
        _ => process::user(),
    };
    register(name, process)
}

/// The thread whose object this is.
pub fn from_object(object: *mut c_void) -> Option<&'static Thread> {
    if let Some(thread) = CURRENT.get()
        && thread.object.get() == Some(&object.addr())
    {
        return Some(thread);
    }
    let registry = registry().read().unwrap_or_else(PoisonError::into_inner);
    registry.by_object.get(&object.addr()).copied()
}

/// Queues an APC. One of the kernel runs at once if `thread` is the current one
/// and may take it; a wait of another thread is interrupted for it.
pub fn queue_apc(thread: &'static Thread, sort: ApcSort, apc: Apc) {
    thread.apcs.push(sort, apc);
    if std::ptr::eq(thread, current()) {
        deliver_apcs();
    } else {
        interrupt_wait(&thread.waiter);
    }
}

/// Threads that have not ended.
pub fn running() -> Vec<&'static Thread> {
    let registry = registry().read().unwrap_or_else(PoisonError::into_inner);
    registry
        .threads
        .values()
        .copied()
        .filter(|thread| !thread.ended.load(Ordering::Acquire))
        .collect()
}

/// True if a [`Thread`] lies at `address`.
pub(super) fn is_thread(address: usize) -> bool {
    registry()
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .threads
        .contains_key(&address)
}

/// `EPROCESS` stand-in of the system process.
pub fn system_process() -> *mut c_void {
    process::system().object()
}

/// `EPROCESS` stand-in of the one user process.
pub fn user_process() -> *mut c_void {
    process::user().object()
}

/// Starts a thread of `process`.
///
/// # Errors
/// The host has no more threads.
pub fn start(
    name: &str,
    process: &'static Process,
    f: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let thread_name = name.to_owned();
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            register(thread_name, process);
            f();
            lock_order::thread_ends(0);
        })
}

/// Starts a thread of the user process.
///
/// # Panics
/// If the host has no more threads.
pub fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    start(name, process::user(), f).expect("the host can start a thread")
}

/// Starts a thread of the system process.
///
/// # Panics
/// As [`spawn`].
pub fn spawn_system(name: &str, f: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    start(name, process::system(), f).expect("the host can start a thread")
}

/// Mode of the caller of the current request: 0 is kernel, 1 is user (`ExGetPreviousMode`).
pub fn previous_mode() -> i8 {
    PREVIOUS_MODE.get()
}

/// Runs `f` as a system call from user mode, and on the way back the user APCs that it has waited for.
pub fn from_user_mode<R>(f: impl FnOnce() -> R) -> R {
    let result = {
        let _restore = PreviousMode(PREVIOUS_MODE.replace(1));
        f()
    };
    apc::deliver_user_apcs();
    result
}

/// Runs `f` as a `Zw` call of kernel code.
pub fn from_kernel_mode<R>(f: impl FnOnce() -> R) -> R {
    let _restore = PreviousMode(PREVIOUS_MODE.replace(0));
    f()
}

struct PreviousMode(i8);

impl Drop for PreviousMode {
    fn drop(&mut self) {
        PREVIOUS_MODE.set(self.0);
    }
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
