//! A driver's place in its image: its state, and who is inside.
//!
//! A driver that can be unloaded must know who is inside it: dispatch routines, calls of fast I/O, work
//! items, and requests that are below and will come back. They are counted here, in memory that is there for
//! as long as the image is. It cannot be with a device: FastIoDetachDevice deletes one under the request
//! with which the volume goes (A9), and who leaves would give back what is gone.
//!
//! A driver that stays counts nothing on the way of a program's request, and never comes here for one (P4).
//!
//! There is one place, private to this crate: were it the filter's to keep, it could give another one each
//! time, and who entered the one would leave the other.
//!
//! Source: "Run-Down Protection".

#![expect(unsafe_code, reason = "the state is found through a pointer")]

use crate::driver::keeps::Keeps;
use crate::driver::state::Driver;
use crate::irp::lasting::Lasting;
use crate::irql::Passive;
use crate::sync::Rundown;
use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The place of the driver in this image.
pub(crate) static DRIVER: Slot = Slot::new();

/// A place for the driver's state that a callback without context can look into, and the count of who is
/// inside the driver.
pub(crate) struct Slot {
    /// A `Driver` of the one filter that [`crate::driver::start`] was called for; null before and after.
    driver: AtomicPtr<c_void>,
    inside: Rundown,
    /// Completion routines that wake, or will wake, a thread that is inside: it may leave before they have
    /// returned. Not counted with `inside`, because a request must be waited for also after the rundown has
    /// begun, when nobody enters any more.
    waking: AtomicU32,
    /// Those that came when nobody entered any more, and pass through: how many have come,
    came: AtomicU32,
    /// and how many of them have left.
    went: AtomicU32,
    /// Requests below that may stay there for long, by [`Lasting`].
    lasting: [AtomicU32; Lasting::COUNT],
}

/// Somebody is inside the driver: it is not unloaded before this is dropped. IRQL: ≤ DISPATCH_LEVEL.
///
/// What is left of the caller's way out, its last instructions, is not covered (A12): nobody can tell when a
/// thread has done them but the thread itself, in its last instructions.
pub(crate) struct Inside(&'static Rundown);

impl Inside {
    /// Stays inside, until [`Slot::leave`].
    pub(crate) fn keep(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // SAFETY: acquired when this was made.
        unsafe { self.0.release() }
    }
}

/// Somebody passes through a driver that he could not enter any more: what he came for goes on below, and he comes
/// back from there. IRQL: any.
pub(crate) struct Passing(());

impl Passing {
    /// Is passing through, until [`Slot::has_passed`].
    pub(crate) fn keep(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        DRIVER.has_passed();
    }
}

impl Slot {
    const fn new() -> Self {
        Self {
            driver: AtomicPtr::new(core::ptr::null_mut()),
            inside: Rundown::uninitialized(),
            waking: AtomicU32::new(0),
            came: AtomicU32::new(0),
            went: AtomicU32::new(0),
            lasting: [const { AtomicU32::new(0) }; Lasting::COUNT],
        }
    }

    /// The driver begins to run.
    ///
    /// # Safety
    /// Called by DriverEntry, once, before anybody can be inside.
    pub(crate) unsafe fn fill<F: Keeps>(&'static self, driver: &Driver<F>) {
        // SAFETY: in its final place, and not used yet.
        unsafe { self.inside.initialize() };
        let driver = core::ptr::from_ref(driver).cast_mut();
        self.driver.store(driver.cast(), Ordering::Release);
    }

    /// The driver's state is about to go.
    pub(crate) fn empty(&self) {
        self.driver.store(core::ptr::null_mut(), Ordering::Release);
    }

    /// The driver's state.
    ///
    /// It stays while a callback or a completion routine that has looked here runs: the registration for file
    /// systems ends before the state does, the one with ETW is dropped with the state, before anything that its
    /// callback uses, and both wait for their callbacks; who is inside is waited for.
    ///
    /// # Safety
    /// `F` is the filter that [`crate::driver::start`] was called for: that of all its routines. The result is
    /// not used after the routine that asked has left.
    pub(crate) unsafe fn get<'r, F: Keeps>(&self) -> Option<&'r Driver<F>> {
        let driver: *const Driver<F> = self.driver.load(Ordering::Acquire).cast_const().cast();
        // SAFETY: null, or the state in the control device, which stays as long as contract of the function says.
        unsafe { driver.as_ref() }
    }

    /// Enters a driver that can be unloaded; `None` if that has begun (C15). IRQL: ≤ DISPATCH_LEVEL.
    pub(crate) fn enter(&'static self) -> Option<Inside> {
        // SAFETY: initialized by DriverEntry before there is a device to call.
        let entered = unsafe { self.inside.acquire() };
        // Not `then_some`, which would make one and drop it where nothing was acquired.
        entered.then(|| Inside(&self.inside))
    }

    /// Leaves for somebody who has stayed inside. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// # Safety
    /// Pairs with an [`Inside::keep`].
    pub(crate) unsafe fn leave(&'static self) {
        drop(Inside(&self.inside));
    }

    /// A request that has entered has come back: leaves for it. Of the kind `lasting`, which the caller has asked for
    /// while the request was this driver's. IRQL: ≤ DISPATCH_LEVEL.
    ///
    /// # Safety
    /// As [`Slot::leave`]; `lasting` is the kind with which [`Slot::lasts`] was called for it.
    pub(crate) unsafe fn leave_with(&'static self, lasting: Option<Lasting>) {
        if let Some(lasting) = lasting {
            self.lasts_no_longer(lasting);
        }
        // SAFETY: contract of the function.
        unsafe { self.leave() }
    }

    /// Lets nobody in any more, and waits until the last one has left.
    ///
    /// # Safety
    /// The caller is not inside itself.
    pub(crate) unsafe fn wait(&self, level: &mut Passive) {
        // SAFETY: initialized; contract of the function.
        unsafe { self.inside.wait(level) }
    }

    /// A request is passed on whose completion routine will wake this thread, which is inside. Ends with
    /// [`Slot::has_woken`]. IRQL: any.
    pub(crate) fn will_wake(&self) {
        self.waking.fetch_add(1, Ordering::Relaxed);
    }

    /// The completion routine has woken the thread. IRQL: any.
    pub(crate) fn has_woken(&self) {
        self.waking.fetch_sub(1, Ordering::Release);
    }

    /// Whether any completion routine has yet to return from waking a thread. After [`Slot::wait`] there come
    /// no others. IRQL: any.
    pub(crate) fn is_waking(&self) -> bool {
        self.waking.load(Ordering::Acquire) != 0
    }

    /// Passes through for somebody who could not [`Slot::enter`]: he has found a device of the driver before that left
    /// its stack. Nobody is refused here, and DriverUnload waits also for him. IRQL: any.
    pub(crate) fn pass(&'static self) -> Passing {
        self.came.fetch_add(1, Ordering::Relaxed);
        Passing(())
    }

    /// Ends what [`Passing::keep`] began. IRQL: any.
    pub(crate) fn has_passed(&self) {
        self.went.fetch_add(1, Ordering::Release);
    }

    /// How many have passed through; `None` while somebody does. IRQL: any.
    pub(crate) fn passages(&self) -> Option<u32> {
        let went = self.went.load(Ordering::Acquire);
        (self.came.load(Ordering::Relaxed) == went).then_some(went)
    }

    fn count(&self, lasting: Lasting) -> Option<&AtomicU32> {
        self.lasting.get(lasting as usize)
    }

    /// A request that may last is passed on. IRQL: any.
    pub(crate) fn lasts(&self, lasting: Lasting) {
        if let Some(count) = self.count(lasting) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It has come back. IRQL: any.
    fn lasts_no_longer(&self, lasting: Lasting) {
        if let Some(count) = self.count(lasting) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The requests below that may stay there for as long as a program likes: the kinds of which there are
    /// any at this moment, and how many of each. IRQL: any.
    pub(crate) fn lasting(&self) -> impl Iterator<Item = (Lasting, u32)> {
        Lasting::ALL
            .into_iter()
            .zip(&self.lasting)
            .map(|(lasting, count)| (lasting, count.load(Ordering::Relaxed)))
            .filter(|&(_, count)| count != 0)
    }
}

impl<F: Keeps> Driver<F> {
    /// The requests below that may stay there for as long as a program likes, and keep the driver from
    /// being unloaded: how many of each kind there are at this moment. None in a driver that stays.
    /// IRQL: any.
    pub fn lasting(&self) -> impl Iterator<Item = (Lasting, u32)> {
        DRIVER.lasting()
    }
}
