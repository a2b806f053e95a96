//! Values that come and go while others look in.
//!
//! Who looks in goes through a door, of which there is one for each processor and some more, so that
//! looking in writes no cache line that is shared, waits for nobody and calls nothing. Who takes a value out
//! waits for nobody either: it is freed when all have left who may look at it, be one of them suspended in
//! there.
//!
//! The kernel's rundown protection would do with less code here. It costs two interlocked operations for
//! each look instead of one, and has to be waited for: a looker that a debugger has suspended would keep
//! waiting whoever closes the trace, unless each look enters and leaves a critical region as well. And a
//! door has one thread inside at a time, so that what is counted there needs no interlocked operations.

#![expect(unsafe_code, reason = "a value is a pointer while nobody owns it")]

use super::door::{Door, Search, Turn};
use super::event::delay;
use super::spin_lock::SpinLock;
use crate::irql::Passive;
use crate::pool::{NonPagedBox, NonPagedSlice};
use crate::processors::{self, PerProcessor};
use crate::status::Status;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Doors beyond one for each processor: threads that were interrupted inside keep theirs.
const MORE: usize = 16;

/// How often [`Guests::settle`] looks whether all have left, each time a millisecond after the one before.
const LOOKS: u32 = 20;

/// Places for values that are there at times.
///
/// # Invariants
/// A place is null or from [`NonPagedBox::into_raw`], and in no list. A room that was in a place is freed when
/// a `Search` that began after it was taken out is over; until then it is in the list of those that leave.
pub struct Guests<T> {
    places: NonPagedSlice<AtomicPtr<Room<T>>>,
    doors: PerProcessor<Door>,
    /// Taken out, and perhaps still looked at.
    leaving: SpinLock<Leaving<T>>,
    missed: AtomicU64,
    owned: PhantomData<NonPagedBox<T>>,
}

/// A value, and what is needed to free it. The others look at the value alone, so that who leads it out may
/// write what is beside it.
struct Room<T> {
    value: T,
    search: Search,
    next: Leaving<T>,
}

/// A list of rooms, each with the next.
struct Leaving<T>(*mut Room<T>);

// SAFETY: with it go the values.
unsafe impl<T: Send> Send for Leaving<T> {}

impl<T> Leaving<T> {
    const NONE: Self = Self(core::ptr::null_mut());

    /// Adds a room in front.
    ///
    /// # Safety
    /// It is in no place and in no list.
    unsafe fn add(&mut self, room: NonNull<Room<T>>) {
        // SAFETY: contract of the function: who has the room writes what is beside the value.
        let next = unsafe { &raw mut (*room.as_ptr()).next };
        // SAFETY: as above.
        unsafe { next.write(Self(self.0)) };
        self.0 = room.as_ptr();
    }

    /// Takes the first room out.
    fn next(&mut self) -> Option<NonNull<Room<T>>> {
        let room = NonNull::new(self.0)?;
        // SAFETY: in this list, so that nobody else has it.
        let next = unsafe { &raw const (*room.as_ptr()).next };
        // SAFETY: written when it was added.
        self.0 = unsafe { (*next).0 };
        Some(room)
    }
}

impl<T: Send + Sync> Guests<T> {
    /// So many places without a value.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES.
    pub fn try_new(places: usize) -> Result<Self, Status> {
        let empty = |_| Ok(AtomicPtr::new(core::ptr::null_mut()));
        Ok(Self {
            places: NonPagedSlice::try_from_fn(places, empty)?,
            doors: PerProcessor::try_new(processors::maximum().saturating_add(MORE), || {
                Ok(Door::new())
            })?,
            leaving: SpinLock::new(Leaving::NONE),
            missed: AtomicU64::new(0),
            owned: PhantomData,
        })
    }

    /// Looks in: what is there stays as long as it is looked at. `None` if somebody is inside each door;
    /// that is counted. IRQL: any.
    pub fn look(&self) -> Option<Look<'_, T>> {
        let look = self.look_uncounted();
        if look.is_none() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        look
    }

    /// As [`Guests::look`], for who misses nothing, because he comes again. IRQL: any.
    pub fn look_uncounted(&self) -> Option<Look<'_, T>> {
        let first = processors::current();
        if let Some(door) = self.doors.get(first)
            && let Some(turn) = door.enter()
        {
            return Some(Look {
                guests: self,
                number: first,
                door,
                turn,
            });
        }
        self.look_elsewhere(first)
    }

    /// The door of this processor is taken: by who was interrupted here.
    #[cold]
    fn look_elsewhere(&self, first: usize) -> Option<Look<'_, T>> {
        let doors = self.doors.iter().enumerate();
        let (before, behind) = (doors.clone().take(first), doors.skip(first));
        for (number, door) in behind.chain(before) {
            if let Some(turn) = door.enter() {
                return Some(Look {
                    guests: self,
                    number,
                    door,
                    turn,
                });
            }
        }
        None
    }

    /// How many doors there are. IRQL: any.
    #[must_use]
    pub fn doors(&self) -> usize {
        self.doors.count()
    }

    /// How often nobody could look in. IRQL: any.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Puts a value in, in place of the one that is there.
    ///
    /// Errors: STATUS_INSUFFICIENT_RESOURCES; STATUS_INVALID_PARAMETER if there is no such place. The value is
    /// dropped then, and nothing else has happened.
    pub fn enter(&self, place: usize, value: T, level: &mut Passive) -> Result<(), Status> {
        let place = self.places.get(place).ok_or(Status::INVALID_PARAMETER)?;
        let room = NonPagedBox::try_new(Room {
            value,
            search: Search::new(),
            next: Leaving::NONE,
        })?;
        self.replace(place, room.into_raw().as_ptr(), level);
        Ok(())
    }

    /// Takes a value out; it is dropped when nobody looks at it any more.
    pub fn leave(&self, place: usize, level: &mut Passive) {
        if let Some(place) = self.places.get(place) {
            self.replace(place, core::ptr::null_mut(), level);
        }
    }

    fn replace(&self, place: &AtomicPtr<Room<T>>, with: *mut Room<T>, level: &mut Passive) {
        if let Some(before) = NonNull::new(place.swap(with, Ordering::SeqCst)) {
            self.lead_out(before, level);
        }
        self.sweep(level);
    }

    /// Waits a moment for those who still look at what was taken out. What somebody looks at longer is
    /// dropped when the next value comes or goes.
    pub fn settle(&self, level: &mut Passive) {
        for _ in 0..LOOKS {
            if self.sweep(level) {
                return;
            }
            delay(1, level);
        }
    }

    /// Adds a room that is in no place and in no list to those that leave.
    fn lead_out(&self, room: NonNull<Room<T>>, level: &mut Passive) {
        let level = level.at_most_apc().at_most_dispatch();
        self.leaving.with(level, |leaving| {
            // SAFETY: said above of each caller.
            unsafe { leaving.add(room) }
        });
    }

    /// Frees what nobody looks at any more: whether nothing else is left.
    fn sweep(&self, level: &mut Passive) -> bool {
        let mut rest = self
            .leaving
            .with(level.at_most_apc().at_most_dispatch(), |leaving| {
                core::mem::replace(leaving, Leaving::NONE)
            });
        let mut all = true;
        while let Some(room) = rest.next() {
            // SAFETY: out of the list, so that nobody else has it; others look at the value alone.
            let search = unsafe { &mut (*room.as_ptr()).search };
            if search.is_over(self.doors.iter()) {
                // SAFETY: from `into_raw`, taken back once; nobody looks at it any more (invariant).
                drop(unsafe { NonPagedBox::from_raw(room) });
            } else {
                self.lead_out(room, level);
                all = false;
            }
        }
        all
    }
}

/// A look at what is there.
pub struct Look<'g, T> {
    guests: &'g Guests<T>,
    number: usize,
    door: &'g Door,
    turn: Turn,
}

impl<T> Look<'_, T> {
    /// The value in that place, if there is one. IRQL: any.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&T> {
        let place = self.guests.places.get(place)?;
        let room = NonNull::new(place.load(Ordering::SeqCst))?;
        // SAFETY: invariant of [`Guests`]. This is inside a door: whoever takes the room out of its place after this
        // load finds that somebody is inside, and this load finds what was put in its place before. The borrow
        // ends before the door is left, and who leads the room out does not touch the value.
        Some(unsafe { &(*room.as_ptr()).value })
    }

    /// The number of the door that nobody else is inside of meanwhile. IRQL: any.
    #[must_use]
    pub const fn door(&self) -> usize {
        self.number
    }
}

impl<T> Drop for Look<'_, T> {
    fn drop(&mut self) {
        self.door.leave(self.turn);
    }
}

impl<T> Drop for Guests<T> {
    /// Nobody looks in any more.
    fn drop(&mut self) {
        for place in self.places.iter() {
            if let Some(room) = NonNull::new(place.load(Ordering::Relaxed)) {
                // SAFETY: invariant of the type; taken back once.
                drop(unsafe { NonPagedBox::from_raw(room) });
            }
        }
        let leaving = self.leaving.get_mut();
        while let Some(room) = leaving.next() {
            // SAFETY: as above.
            drop(unsafe { NonPagedBox::from_raw(room) });
        }
    }
}
