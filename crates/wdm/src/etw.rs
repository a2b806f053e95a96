//! A TraceLogging provider: events that describe themselves, for WPR, tracelog and PerfView.
//!
//! The crate `tracelogging` has a kernel mode, but its registration panics where it is used wrongly,
//! which no code of this image may (P3).
//!
//! Source: EVENT_DATA_DESCRIPTOR, EVENT_DESCRIPTOR and EVENT_INFO_CLASS in the reference of evntprov.h;
//! "Provider traits" in that of ETW; the layout of an event's metadata in TraceLoggingProvider.h.

#![expect(unsafe_code, reason = "the routines of ETW take raw pointers")]

use crate::status::Status;
use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use wdk_sys::{_EVENT_INFO_CLASS, GUID, REGHANDLE, ntddk};
use zerocopy::{Immutable, IntoBytes};

/// Who provides events. Constant.
pub struct Provider {
    id: GUID,
    traits: &'static [u8],
}

impl Provider {
    /// The provider of that id.
    #[must_use]
    pub const fn new<const N: usize>(id: GUID, traits: &'static ProviderTraits<N>) -> Self {
        let traits = &traits.0;
        Self { id, traits }
    }
}

/// An event. Constant.
pub struct Event {
    descriptor: EventDescriptor,
    metadata: &'static [u8],
}

impl Event {
    /// `level` is 1 critical to 5 verbose; `keyword` has the bits by which sessions choose.
    #[must_use]
    pub const fn new<const N: usize>(
        level: u8,
        keyword: u64,
        metadata: &'static EventMetadata<N>,
    ) -> Self {
        let descriptor = EventDescriptor {
            id: 0,
            version: 0,
            channel: TRACE_LOGGING,
            level,
            opcode: 0,
            task: 0,
            keyword,
        };
        let metadata = &metadata.0;
        Self {
            descriptor,
            metadata,
        }
    }
}

/// The type of a field, as decoders show it (TlgIn).
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum FieldType {
    /// UINT8.
    U8 = 4,
    /// UINT32.
    U32 = 8,
    /// UINT64.
    U64 = 10,
    /// A UINT32 in hexadecimal.
    Hex32 = 20,
    /// A UINT64 in hexadecimal.
    Hex64 = 21,
    /// UTF-16 with its length in bytes in front.
    Text = 22,
    /// ASCII with its length in bytes in front.
    Ascii = 23,
}

/// The traits of a provider, of `N` bytes: a length, the name and a zero.
///
/// Rests on EtwSetInformation: "The EtwSetInformation provides special-purpose information to modify a
/// kernel-mode ETW provider registration."
pub struct ProviderTraits<const N: usize>([u8; N]);

/// The bytes that [`ProviderTraits`] have.
#[must_use]
pub const fn provider_traits_length(name: &str) -> usize {
    2 + name.len() + 1
}

impl<const N: usize> ProviderTraits<N> {
    /// Those of a provider called `name`.
    #[must_use]
    pub const fn new(name: &str) -> Self {
        let mut bytes = with_length();
        let end = copy(&mut bytes, 2, name);
        assert!(end == N, "N is provider_traits_length");
        Self(bytes)
    }
}

/// The metadata of an event, of `N` bytes: its name, and the names and types of its fields.
pub struct EventMetadata<const N: usize>([u8; N]);

/// The bytes that [`EventMetadata`] have.
#[must_use]
pub const fn event_metadata_length(name: &str, fields: &[(&str, FieldType)]) -> usize {
    let mut length = 3 + name.len() + 1;
    let mut field = 0;
    while field < fields.len() {
        length += fields[field].0.len() + 2;
        field += 1;
    }
    length
}

impl<const N: usize> EventMetadata<N> {
    /// Those of an event called `name`.
    #[must_use]
    pub const fn new(name: &str, fields: &[(&str, FieldType)]) -> Self {
        let mut bytes = with_length();
        // Behind the length a byte of tags, of which there are none.
        let mut end = copy(&mut bytes, 3, name);
        let mut field = 0;
        while field < fields.len() {
            end = copy(&mut bytes, end, fields[field].0);
            bytes[end] = fields[field].1 as u8;
            end += 1;
            field += 1;
        }
        assert!(end == N, "N is event_metadata_length");
        Self(bytes)
    }
}

/// Zeros behind their number.
const fn with_length<const N: usize>() -> [u8; N] {
    assert!(N <= u16::MAX as usize, "a length has two bytes");
    let mut bytes = [0; N];
    bytes[0] = N as u8;
    bytes[1] = (N >> 8) as u8;
    bytes
}

/// Copies `text`; a zero is behind it already. Where that ends.
const fn copy(to: &mut [u8], start: usize, text: &str) -> usize {
    let text = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        assert!(text[at] != 0, "a zero ends a name");
        to[start + at] = text[at];
        at += 1;
    }
    start + at + 1
}

/// A part of the values: one, several that lie one behind the other, or a part of one. It is the
/// EVENT_DATA_DESCRIPTOR that ETW is given, so that none is copied on the way: the stack is short.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Value<'v> {
    pointer: u64,
    size: u32,
    kind: u32,
    borrow: core::marker::PhantomData<&'v ()>,
}

impl<'v> Value<'v> {
    /// EVENT_DATA_DESCRIPTOR_TYPE_NONE, _EVENT_METADATA and _PROVIDER_METADATA.
    const PLAIN: u32 = 0;
    const EVENT: u32 = 1;
    const PROVIDER: u32 = 2;

    /// What `value` is in memory. A text has its length in bytes in front.
    #[must_use]
    pub const fn of<T: IntoBytes + Immutable + ?Sized>(value: &'v T) -> Self {
        let first = core::ptr::from_ref(value).cast();
        Self::new(first, size_of_val(value), Self::PLAIN)
    }

    const fn metadata(bytes: &'static [u8], kind: u32) -> Self {
        Self::new(bytes.as_ptr().cast(), bytes.len(), kind)
    }

    const fn new(first: *const c_void, size: usize, kind: u32) -> Self {
        // An address stands in 64 bits; `transmute` would be the other way to have that in a constant.
        let pointer = Pointer { first }.into_bits();
        Self {
            pointer,
            size: size as u32,
            kind,
            borrow: core::marker::PhantomData,
        }
    }
}

/// What ETW is given, one behind the other: the descriptions of the provider and of the event, and the values.
#[repr(C)]
struct Data<'v, const N: usize> {
    metadata: [Value<'v>; 2],
    values: [Value<'v>; N],
}

/// An address, and its bits.
union Pointer {
    first: *const c_void,
    bits: u64,
}

impl Pointer {
    const fn into_bits(self) -> u64 {
        // SAFETY: kernels with this layout are of 64 bits.
        unsafe { self.bits }
    }
}

/// EVENT_DESCRIPTOR.
#[repr(C)]
struct EventDescriptor {
    id: u16,
    version: u8,
    channel: u8,
    level: u8,
    opcode: u8,
    task: u16,
    keyword: u64,
}

/// The channel of TraceLogging.
const TRACE_LOGGING: u8 = 11;

/// The provider that this image is registered as. It lies in the image, and is of the layer alone: whoever
/// could forget it, or drop it late, would leave ETW a callback into memory that is gone.
static REGISTERED: Registered = Registered {
    provider: AtomicPtr::new(core::ptr::null_mut()),
    handle: AtomicU64::new(0),
};

/// # Invariants
/// Where there is a provider, the handle is that of EtwRegister, and the provider's traits are set.
struct Registered {
    /// Null, or a `&'static Provider`.
    provider: AtomicPtr<Provider>,
    handle: AtomicU64,
}

impl Registered {
    fn get(&self) -> Option<(&'static Provider, REGHANDLE)> {
        // SAFETY: null, or a provider that stays.
        let provider = unsafe { self.provider.load(Ordering::Acquire).as_ref() }?;
        Some((provider, self.handle.load(Ordering::Relaxed)))
    }
}

/// What ETW calls when other sessions listen to the provider, or want other things: an ETWENABLECALLBACK.
pub(crate) type Callback = unsafe extern "C" fn(
    *const GUID,
    u32,
    u8,
    u64,
    u64,
    *mut wdk_sys::EVENT_FILTER_DESCRIPTOR,
    *mut c_void,
);

/// Registers the driver as a provider (L2). ETW takes the metadata of an event for data without a description
/// unless the provider's traits are set, which also keep its name with the registration. `in_vain` is called where
/// that fails, after `callback` may have been.
///
/// # Safety
/// `callback` may be called without a context, at PASSIVE_LEVEL, from now on until [`unregister`] has returned.
pub(crate) unsafe fn register(
    provider: &'static Provider,
    callback: Callback,
    in_vain: impl FnOnce(),
) -> Result<(), Status> {
    if REGISTERED.get().is_some() {
        return Err(Status::INVALID_DEVICE_STATE);
    }
    let mut handle = 0;
    // SAFETY: the id is constant; contract of the function.
    Status(unsafe {
        ntddk::EtwRegister(
            &raw const provider.id,
            Some(callback),
            core::ptr::null_mut(),
            &raw mut handle,
        )
    })
    .into_result()?;
    // SAFETY: the provider is registered; the traits are constant, and only read.
    let set = Status(unsafe {
        ntddk::EtwSetInformation(
            handle,
            _EVENT_INFO_CLASS::EventProviderSetTraits,
            provider.traits.as_ptr().cast_mut().cast(),
            provider.traits.len() as u32,
        )
    });
    if let Err(status) = set.into_result() {
        // SAFETY: registered above.
        let _always_success = unsafe { ntddk::EtwUnregister(handle) };
        // A session may have been told of meanwhile.
        in_vain();
        return Err(status);
    }
    // INVARIANT: the handle before the provider, which says that there is one.
    REGISTERED.handle.store(handle, Ordering::Relaxed);
    let provider = core::ptr::from_ref(provider).cast_mut();
    REGISTERED.provider.store(provider, Ordering::Release);
    Ok(())
}

/// Ends the registration, if there is one: no callback runs when this returns (L2). IRQL: PASSIVE_LEVEL, as in
/// DriverUnload.
pub(crate) fn unregister() {
    if let Some((_, handle)) = REGISTERED.get() {
        let none = core::ptr::null_mut();
        REGISTERED.provider.store(none, Ordering::Release);
        // SAFETY: invariant of the type; registered once.
        let _always_success = unsafe { ntddk::EtwUnregister(handle) };
    }
}

/// Writes an event whose fields have these values, one behind the other; none if the driver is no provider.
/// Without memory for it, it is lost, and the session counts that. IRQL: ≤ DISPATCH_LEVEL.
///
/// Rests on EtwWriteTransfer: "The EtwWriteTransfer function marks an event that links two activities together;
/// this type of event is referred to as a transfer event."
#[inline(always)]
pub fn write<const N: usize>(event: &'static Event, values: [Value<'_>; N]) {
    let Some((provider, handle)) = REGISTERED.get() else {
        return;
    };
    let mut data = Data {
        metadata: [
            Value::metadata(provider.traits, Value::PROVIDER),
            Value::metadata(event.metadata, Value::EVENT),
        ],
        values,
    };
    // SAFETY: invariant of the type; the descriptors, which have ETW's layout and lie without a gap, and what
    // they point to outlive the call, and it only reads them.
    let _lost = unsafe {
        ntddk::EtwWriteTransfer(
            handle,
            (&raw const event.descriptor).cast(),
            core::ptr::null(),
            core::ptr::null(),
            (data.metadata.len() + N) as u32,
            (&raw mut data).cast(),
        )
    };
}

/// What the sessions that listen to a provider want, all together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Whether there is one.
    pub enabled: bool,
    /// The highest level; 0 for all of them.
    pub level: u8,
    /// The keywords; none means all.
    pub keywords: u64,
}

impl Wanted {
    /// Without a session.
    pub(crate) const NOTHING: Self = Self {
        enabled: false,
        level: 0,
        keywords: 0,
    };
}
