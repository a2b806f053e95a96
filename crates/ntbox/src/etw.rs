//! Event Tracing for Windows: who provides events, and one session that listens.
//!
//! Modelled: registration, the enable callback (also from within EtwRegister, for a session that listens
//! already), levels and keywords, and events with the bytes of all their descriptors. Not modelled: buffers
//! that fill up, activity ids, filters.
//!
//! Source: ddi/wdm/nf-wdm-etwregister, nf-wdm-etwwritetransfer, nc-wdm-etwenablecallback.

#![expect(unsafe_code, reason = "the callback is the driver's")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use windows_sys::core::GUID;

/// ETWENABLECALLBACK.
pub type EnableCallback =
    unsafe extern "win64" fn(*const GUID, u32, u8, u64, u64, *mut c_void, *mut c_void);

/// An event that the session got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The channel: 11 for TraceLogging.
    pub channel: u8,
    /// Its level.
    pub level: u8,
    /// Its keywords.
    pub keyword: u64,
    /// What stood in its descriptors, each with the type of the descriptor.
    pub data: Vec<(u32, Vec<u8>)>,
}

/// What the session wants of a provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Enabled {
    /// Events up to this level; 0 for all of them.
    pub level: u8,
    /// Events with one of these keywords; 0 for all.
    pub keywords: u64,
}

#[derive(Clone, Copy)]
struct Provider {
    id: [u8; 16],
    callback: Option<EnableCallback>,
    context: usize,
}

#[derive(Default)]
struct State {
    next: u64,
    providers: BTreeMap<u64, Provider>,
    enabled: BTreeMap<[u8; 16], Enabled>,
    events: Vec<Event>,
}

fn state() -> MutexGuard<'static, State> {
    static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes of an id, as they lie in memory.
pub fn id_of(guid: &GUID) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&guid.data1.to_le_bytes());
    bytes[4..6].copy_from_slice(&guid.data2.to_le_bytes());
    bytes[6..8].copy_from_slice(&guid.data3.to_le_bytes());
    bytes[8..].copy_from_slice(&guid.data4);
    bytes
}

/// Tells a provider what the session wants.
fn tell(provider: &Provider, enabled: Option<Enabled>) {
    let Some(callback) = provider.callback else {
        return;
    };
    let context = std::ptr::with_exposed_provenance_mut(provider.context);
    let (level, keywords) = enabled.map_or((0, 0), |enabled| (enabled.level, enabled.keywords));
    let none = GUID::from_u128(0);
    let filter = std::ptr::null_mut();
    let control = u32::from(enabled.is_some());
    // SAFETY: a registered provider's callback may be called until it is unregistered.
    unsafe {
        callback(
            &raw const none,
            control,
            level,
            keywords,
            0,
            filter,
            context,
        )
    }
}

/// The session wants this of a provider from now on, or nothing. Whoever is registered is told.
pub fn enable(id: [u8; 16], enabled: Option<Enabled>) {
    let providers: Vec<Provider> = {
        let mut state = state();
        match enabled {
            Some(enabled) => state.enabled.insert(id, enabled),
            None => state.enabled.remove(&id),
        };
        let of_id = state
            .providers
            .values()
            .filter(|provider| provider.id == id);
        of_id.copied().collect()
    };
    for provider in &providers {
        tell(provider, enabled);
    }
}

/// Takes the events that the session got.
pub fn take_events() -> Vec<Event> {
    std::mem::take(&mut state().events)
}

/// How many providers are registered.
pub fn registered() -> usize {
    state().providers.len()
}

/// Registers a provider: its handle.
pub(crate) fn register(id: [u8; 16], callback: Option<EnableCallback>, context: usize) -> u64 {
    let provider = Provider {
        id,
        callback,
        context,
    };
    let (handle, enabled) = {
        let mut state = state();
        state.next += 1;
        let handle = state.next;
        state.providers.insert(handle, provider);
        (handle, state.enabled.get(&id).copied())
    };
    if enabled.is_some() {
        tell(&provider, enabled);
    }
    handle
}

/// Unregisters a provider: whether there was one.
pub(crate) fn unregister(handle: u64) -> bool {
    state().providers.remove(&handle).is_some()
}

/// Gives the session an event, if it wants it; `data` is asked for then only. Whether the provider exists.
pub(crate) fn write(
    handle: u64,
    (channel, level, keyword): (u8, u8, u64),
    data: impl FnOnce() -> Vec<(u32, Vec<u8>)>,
) -> bool {
    let mut state = state();
    let Some(provider) = state.providers.get(&handle) else {
        return false;
    };
    let wanted = state.enabled.get(&provider.id).is_some_and(|enabled| {
        (enabled.level == 0 || level <= enabled.level)
            && (enabled.keywords == 0 || keyword & enabled.keywords != 0)
    });
    if wanted {
        state.events.push(Event {
            channel,
            level,
            keyword,
            data: data(),
        });
    }
    true
}
