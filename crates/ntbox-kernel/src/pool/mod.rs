//! Pool: every block on pages of its own, so that touching what is not (or no
//! longer) yours is a fault at the very instruction.
//!
//! A block ends where an inaccessible page begins. Its start is aligned to 16
//! bytes as NT guarantees (to a page from a page on), so up to 15 bytes may lie
//! between its end and that page; they are filled with a pattern that is
//! checked when the block is freed, and so are the bytes in front of it.
//! A freed block becomes inaccessible and its addresses are not used again.
//!
//! Blocks come from one large reservation ([`arena`]); what they were and who
//! allocated and freed them is remembered apart from them ([`ledger`]), for
//! reports. [`failure`] makes chosen allocations fail. Without
//! [`Options::SPECIAL_POOL`] blocks come from the host's allocator, and without
//! [`Options::POOL_TRACKING`] as well nothing is known of them.
//!
//! Violations of a driver are reported at the call ([`free`]) or, when memory
//! is touched, by the fault handler, which asks [`diagnose`].

#![expect(
    unsafe_code,
    reason = "memory of drivers is handed out and taken back by pointer"
)]

pub mod active;
mod arena;
mod calls;
pub mod failure;
mod ledger;
mod plain;
#[cfg(test)]
mod tests;

use crate::host::PAGE;
use crate::host::memory::Protection;
use crate::host::pageable;
use crate::pe_image::{self, Image};
use crate::verifier::options::{self, Options};
use crate::verifier::{self, Rule, Violation, rules};
use arena::Arena;
use calls::Calls;
use ledger::{Block, Ledger, Owner, Purpose};
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, OnceLock};

/// Which pool a block belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Always resident; not executable (`NonPagedPoolNx`).
    NonPaged,
    /// Always resident and executable (`NonPagedPool` before Windows 8).
    NonPagedExecute,
    /// Only to be touched below `DISPATCH_LEVEL`.
    Paged,
}

/// A block that is still allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Where it lies.
    pub address: usize,
    /// Bytes asked for.
    pub bytes: usize,
    /// Its tag.
    pub tag: u32,
    /// The drivers' calls that allocated it, innermost first, as a report names them.
    pub sites: Vec<(&'static str, usize)>,
}

impl Leak {
    /// Who has allocated it: the innermost of the calls that is not in a routine of the language or the system's
    /// headers.
    pub fn by(&self) -> String {
        let calls = || self.sites.iter().map(|(_, call)| *call);
        let own = calls().find(|call| !pe_image::is_library_code(*call));
        own.or(calls().next())
            .map_or(String::new(), pe_image::describe_code)
    }
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    arena: Arena::new(),
    ledger: Ledger::new(),
});

struct Pool {
    arena: Arena,
    ledger: Ledger,
}

fn pool() -> MutexGuard<'static, Pool> {
    // No code that can panic runs while the pool is half changed.
    POOL.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn guarded() -> bool {
    options::on(Options::SPECIAL_POOL)
}

/// True if drivers' blocks are in the ledger.
fn tracked() -> bool {
    guarded() || options::on(Options::POOL_TRACKING)
}

/// Allocates for a driver. `caller` is the return address of its call. The
/// content is not zero. Null when the failure of this allocation was asked for
/// or no memory is left.
pub fn allocate(kind: Kind, bytes: usize, tag: u32, caller: usize) -> *mut c_void {
    if bytes > MOST || failure::should_fail(caller) {
        return std::ptr::null_mut();
    }
    allocate_block(kind, bytes, tag, caller)
}

/// No block of a driver has more bytes: a machine of today's size refuses it at once, and so does the box, where the
/// host may lend the addresses and stand still later.
const MOST: usize = 1 << 30;

fn allocate_block(kind: Kind, bytes: usize, tag: u32, caller: usize) -> *mut c_void {
    if !tracked() {
        return plain::allocate(bytes);
    }
    let mut block = Block::new(bytes, tag, Calls::here(caller), Owner::Driver(kind));
    if guarded() {
        return allocate_guarded(block);
    }
    let address = plain::allocate(bytes);
    if !address.is_null() {
        block.address = address as usize;
        pool().ledger.add(block);
    }
    address
}

/// Frees what [`allocate`] gave out; with `tag`, it must be the block's.
/// `caller` is the return address of the call.
///
/// # Safety
/// Nothing refers to the block any more. A pointer that is no such block is
/// reported as a violation and not touched (while blocks are tracked).
pub unsafe fn free(block: *mut c_void, tag: Option<u32>, caller: usize) {
    if !tracked() {
        // SAFETY: contract of the function.
        unsafe { plain::free(block) };
        return;
    }
    let found = pool().ledger.live_at(block as usize).copied();
    let Some(found) = found else {
        return report_bad_free(block as usize, caller);
    };
    if matches!(found.owner, Owner::Box(_)) {
        return report(
            &rules::BAD_FREE,
            format!(
                "{} is freed as pool, but it belongs to the system",
                found.describe()
            ),
            vec![("freed", caller)],
        );
    }
    // Bit 31 once marked protected pool; the free routines ignore it.
    if let Some(tag) = tag
        && tag & !PROTECTED_POOL != found.tag & !PROTECTED_POOL
    {
        report(
            &rules::BAD_FREE,
            format!(
                "{} is freed with tag '{}'",
                found.describe(),
                ledger::tag_text(tag)
            ),
            found.sites(&[("freed", caller)]),
        );
    }
    retire(found, caller);
}

/// `PROTECTED_POOL` of the DDI.
const PROTECTED_POOL: u32 = 0x8000_0000;

/// Allocates what the system owns until a driver frees it as pool: nonpaged, its content is not zero, and never
/// failed on purpose.
pub fn allocate_for_anybody(bytes: usize, tag: u32) -> *mut c_void {
    let block = allocate_block(Kind::NonPaged, bytes, tag, 0);
    assert!(!block.is_null(), "the host has no memory left");
    block
}

/// Allocates for the box itself: requests, objects. Zeroed, guarded like a
/// driver's block, and never failed on purpose.
pub fn allocate_for_box(bytes: usize) -> *mut c_void {
    allocate_for_box_as(bytes, "memory of the system")
}

/// As [`allocate_for_box`]; `what` it is, for reports: `"a request (IRP)"`.
pub fn allocate_for_box_as(bytes: usize, what: &'static str) -> *mut c_void {
    allocate_object(0, bytes, what)
}

/// As [`allocate_for_box_as`], for a thing that drivers know without the
/// `header` bytes in front of it: reports count from behind them.
pub fn allocate_object(header: usize, body: usize, what: &'static str) -> *mut c_void {
    let bytes = header + body;
    let purpose = Purpose {
        what,
        header,
        closed: None,
    };
    let block = if guarded() {
        allocate_guarded(Block::new(bytes, 0, Calls::default(), Owner::Box(purpose)))
    } else {
        plain::allocate_zeroed(bytes)
    };
    assert!(!block.is_null(), "the host has no memory left");
    block
}

/// Where `what` would lie, of `bytes`, which nobody may touch: a touch breaks `rule`. It is freed as what
/// [`allocate_for_box`] gives out. Null where blocks are not guarded or the rule is not reported.
pub fn allocate_closed(bytes: usize, what: &'static str, rule: &'static Rule) -> *mut c_void {
    if !guarded() || !options::reports(rule) {
        return std::ptr::null_mut();
    }
    let purpose = Purpose {
        what,
        header: 0,
        closed: Some(rule),
    };
    let mut block = Block::new(bytes, 0, Calls::default(), Owner::Box(purpose));
    let mut pool = pool();
    let Some(place) = pool.arena.place(bytes) else {
        return std::ptr::null_mut();
    };
    block.address = place.address;
    pool.ledger.add(block);
    place.address as *mut c_void
}

/// The block of the box at `address`, of `bytes`, is a driver's from now on, which has got it by its call that returns
/// to `caller` and is to free it.
pub fn give_to_driver(address: *mut c_void, bytes: usize, tag: u32, caller: usize) {
    if tracked() {
        let owner = Owner::Driver(Kind::NonPaged);
        let mut block = Block::new(bytes, tag, Calls::here(caller), owner);
        block.address = address as usize;
        pool().ledger.add(block);
    }
}

/// Frees what [`allocate_for_box`] gave out.
///
/// # Safety
/// `block` came from it, is freed once, and nothing refers to it any more.
pub unsafe fn free_for_box(block: *mut c_void) {
    // SAFETY: as `free_for_box_at`.
    unsafe { free_for_box_at(block, 0) }
}

/// Frees what may be the box's or a driver's: a buffer of a request, a name of a file. What a driver has put there that
/// is no block is reported and not touched, while blocks are guarded. On behalf of the call that returns to `site`,
/// which has completed the request, or of the one that this thread is in.
///
/// # Safety
/// `buffer` is a block that nobody else uses.
pub unsafe fn free_either(buffer: *mut c_void, site: usize) {
    let found = pool().ledger.live_at(buffer as usize).copied();
    let is_boxs = match found {
        Some(found) => matches!(found.owner, Owner::Box(_)),
        // The ledger has none of the box's, then.
        None => !guarded(),
    };
    if is_boxs {
        // SAFETY: contract of the function.
        unsafe { free_for_box_at(buffer, site) };
    } else {
        // SAFETY: contract of the function; what is no block is reported.
        unsafe { free(buffer, None, site) };
    }
}

/// False if it is known that no block begins at `address`.
pub fn may_be_block(address: usize) -> bool {
    !guarded() || pool().ledger.live_at(address).is_some()
}

/// As [`free_for_box`], on behalf of a driver's call that returns to `site`
/// (the completion of a request): a later use is reported with it. Without one it
/// is on behalf of the call that this thread is in.
///
/// # Safety
/// As for [`free_for_box`].
pub unsafe fn free_for_box_at(block: *mut c_void, site: usize) {
    if !contains(block as usize) {
        // SAFETY: contract of the function.
        unsafe { plain::free(block) };
        return;
    }
    let found = pool().ledger.live_at(block as usize).copied();
    match found {
        Some(found) => retire(found, site),
        None => unreachable!("the box frees {block:p}, which it does not own"),
    }
}

fn allocate_guarded(mut block: Block) -> *mut c_void {
    let executable = matches!(block.owner, Owner::Driver(Kind::NonPagedExecute));
    let mut pool = pool();
    let Some(place) = pool.arena.place(block.bytes) else {
        return std::ptr::null_mut();
    };
    let open = pool.arena.opener();
    let address = place.address;
    block.address = address;
    pool.ledger.add(block);
    drop(pool);
    if !open(place, executable) {
        let mut pool = self::pool();
        pool.ledger.retire(address, Calls::default(), 0);
        let closing = pool.arena.free(address, block.bytes);
        drop(pool);
        closing.close();
        return std::ptr::null_mut();
    }
    // SAFETY: the block is new and known to this thread only.
    unsafe {
        arena::fill(
            address,
            block.bytes,
            matches!(block.owner, Owner::Driver(_)),
        )
    };
    if matches!(block.owner, Owner::Driver(Kind::Paged)) && options::pages_out() {
        pageable::add(place.start(), place.bytes(), Protection::ReadWrite);
    }
    address as *mut c_void
}

/// What is told of a block that goes: its address and bytes, and the driver's call that frees it, or 0.
type WhenFreed = fn(usize, usize, usize);
static WHEN_FREED: OnceLock<WhenFreed> = OnceLock::new();

/// From now on `freed` is called for each block that is freed, while it is there still: what lies in it is gone.
pub fn when_freed(freed: WhenFreed) {
    let _ = WHEN_FREED.set(freed);
}

/// Takes a block out of use after a look at the bytes around it.
fn retire(block: Block, caller: usize) {
    let guarded = contains(block.address);
    if matches!(block.owner, Owner::Driver(Kind::Paged)) {
        pageable::remove(block.address / PAGE * PAGE, block.bytes.max(1));
    }
    let damaged = (guarded && block.closed().is_none())
        // SAFETY: the block is live in the ledger and so are its pages.
        .then(|| unsafe { arena::find_damage(block.address, block.bytes) })
        .flatten();
    if let Some(offset) = damaged {
        let wrote = ledger::relation(&block, block.address.wrapping_add_signed(offset));
        report(
            &rules::POOL_OVERRUN_FOUND,
            format!("{wrote} was overwritten, found when it was freed"),
            block.sites(&[("freed", caller)]),
        );
    }
    // Asked for before the lock is taken: the first question of a thread allocates.
    let thread = verifier::current_thread();
    let calls = Calls::here(caller);
    if let Some(freed) = WHEN_FREED.get() {
        freed(block.address, block.bytes, caller);
    }
    active::block_is_freed(&block, caller);
    let mut pool = pool();
    if pool.ledger.retire(block.address, calls, thread) {
        if guarded {
            let closing = pool.arena.free(block.address, block.bytes);
            drop(pool);
            closing.close();
        } else {
            drop(pool);
            // SAFETY: it was in the ledger until now, and so came from there.
            unsafe { plain::free(block.address as *mut c_void) };
        }
    } else {
        // Another thread freed it since it was looked up.
        drop(pool);
        report_bad_free(block.address, caller);
    }
}

fn report_bad_free(address: usize, caller: usize) {
    let pool = pool();
    let freed = pool.ledger.freed_near(address).copied();
    let live = pool.ledger.live_near(address).copied();
    drop(pool);
    match (freed, live) {
        (Some(block), _) if block.address == address => report(
            &rules::BAD_FREE,
            format!("{} is freed a second time", block.describe()),
            block.sites(&[("freed again", caller)]),
        ),
        (_, Some(block)) | (Some(block), None) => report(
            &rules::BAD_FREE,
            format!(
                "{}, not the start of a block, is freed",
                ledger::relation(&block, address)
            ),
            block.sites(&[("freed", caller)]),
        ),
        (None, None) => report(
            &rules::BAD_FREE,
            format!("0x{address:x}, which is no pool block, is freed"),
            vec![("freed", caller)],
        ),
    }
}

fn report(rule: &'static Rule, message: String, sites: Vec<(&'static str, usize)>) {
    verifier::report(Violation {
        rule,
        message,
        irp: None,
        sites,
    });
}

/// Blocks that code of `image` allocated and that are still there, oldest first.
pub fn leaks_of(image: &Image) -> Vec<Leak> {
    let mut leaks: Vec<Leak> = pool()
        .ledger
        .live()
        .filter(|block| {
            matches!(block.owner, Owner::Driver(_)) && image.contains(block.allocated.site)
        })
        .map(|block| Leak {
            address: block.address,
            bytes: block.bytes,
            tag: block.tag,
            sites: block.allocated.sites("allocated by").collect(),
        })
        .collect();
    // Addresses are given out in rising order.
    leaks.sort_by_key(|leak| leak.address);
    leaks
}

/// Pool and size of the driver's block that starts at `address`.
pub fn block_at(address: usize) -> Option<(Kind, usize)> {
    if !tracked() {
        // Nothing is known of it: not worth the lock.
        return None;
    }
    pool()
        .ledger
        .live_at(address)
        .and_then(|block| match block.owner {
            Owner::Driver(kind) => Some((kind, block.bytes)),
            Owner::Box(_) => None,
        })
}

/// What is known of a block of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxBlock {
    /// It is there.
    Live,
    /// It was there, and nothing has been since.
    Freed,
    /// None has begun there.
    None,
    /// The address is not one of guarded pool.
    Unknown,
}

/// The block of the box that begins at `address`.
pub fn box_block_at(address: usize) -> BoxBlock {
    if !contains(address) {
        return BoxBlock::Unknown;
    }
    let pool = pool();
    let of_box = |block: &Block| matches!(block.owner, Owner::Box(_));
    match pool.ledger.live_at(address) {
        Some(block) if of_box(block) => BoxBlock::Live,
        _ => match pool.ledger.freed_near(address) {
            Some(block) if of_box(block) && block.address == address => BoxBlock::Freed,
            _ => BoxBlock::None,
        },
    }
}

/// What lies at `address`, in words: `8 bytes behind a 48-byte block 'FsGl'
/// allocated at fsglass!volumes::attach (src/volumes.rs:80)`. None if it has
/// nothing to do with pool.
pub fn describe(address: usize) -> Option<String> {
    diagnose(address).map(|finding| finding.text)
}

/// True if `address` lies where guarded blocks come from. Takes no lock.
pub fn contains(address: usize) -> bool {
    arena::contains(address)
}

/// What a fault at an address means.
pub struct Finding {
    /// The address in relation to its block.
    pub text: String,
    /// True if the block was freed.
    pub freed: bool,
    /// What the touch breaks, if the block is there for nobody to touch.
    pub closed: Option<&'static Rule>,
    /// Who allocated and freed the block.
    pub sites: Vec<(&'static str, usize)>,
}

/// Explains `address` if it lies in the pool's reservation. Waits for no lock:
/// the fault handler calls this while any lock may be held.
pub fn diagnose(address: usize) -> Option<Finding> {
    let mut pool = None;
    for _ in 0..1000 {
        match POOL.try_lock() {
            Ok(guard) => pool = Some(guard),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => pool = Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => std::thread::yield_now(),
        }
        if pool.is_some() {
            break;
        }
    }
    let Some(pool) = pool else {
        let text = "pool (which is busy and cannot be asked)".to_owned();
        return arena::contains(address).then_some(Finding {
            text,
            freed: false,
            closed: None,
            sites: vec![],
        });
    };
    if !arena::contains(address) {
        return None;
    }
    let (live, freed) = (
        pool.ledger.live_near(address).copied(),
        pool.ledger.freed_near(address).copied(),
    );
    drop(pool);
    // A freed block is meant where its own pages are touched, else the nearest live one.
    let inside =
        |block: &Block| (block.address..block.address + block.bytes.max(1)).contains(&address);
    let distance = |block: &Block| ledger::distance(block, address);
    let (block, freed) = match (live, freed) {
        (_, Some(block)) if inside(&block) => (block, true),
        (Some(live), Some(freed)) if distance(&freed) < distance(&live) => (freed, true),
        (Some(block), _) => (block, false),
        (None, Some(block)) => (block, true),
        (None, None) => {
            let text = format!("0x{address:x} in pool that was freed long ago or never allocated");
            return Some(Finding {
                text,
                freed: true,
                closed: None,
                sites: vec![],
            });
        }
    };
    Some(Finding {
        text: ledger::relation(&block, address),
        freed,
        closed: block.closed().filter(|_| inside(&block)),
        sites: block.sites(&[]),
    })
}

/// For messages: the code at a site.
fn at(site: usize) -> String {
    if site == 0 {
        "by the system".into()
    } else {
        format!("at {}", pe_image::describe_code(site))
    }
}
