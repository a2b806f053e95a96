//! Event Tracing for Windows: who provides events, and one session that listens.
//!
//! Modelled: registration, the enable callback (also from within EtwRegister, for a session that listens
//! already), levels and keywords, a provider's traits, and events with the bytes of all their descriptors.
//! The types of descriptors are 0 in every event of a provider that has neither set traits nor asked for
//! them: then metadata are data like any other, and nothing describes the event. Not modelled: buffers that
//! fill up, activity ids, filters.
//!
//! Source: ddi/wdm/nf-wdm-etwregister, nf-wdm-etwwritetransfer, nc-wdm-etwenablecallback,
//! nf-wdm-etwsetinformation; win32 evntprov/ne-evntprov-event_info_class and etw/provider-traits.

#![expect(unsafe_code, reason = "the callback is the driver's")]

use crate::nt::{
    NTSTATUS, STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, STATUS_UNSUCCESSFUL,
};
use crate::pe_image::Image;
use crate::processor::driver_code::entering;
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
    /// What stood in its descriptors, each with the type that ETW saw.
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
    /// Who called EtwRegister.
    site: usize,
    /// Whether the types of its descriptors are looked at.
    typed: bool,
    /// Whether it has traits.
    traits: bool,
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
        entering(callback)(
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

/// Registers a provider for a caller at `site`: its handle.
pub(crate) fn register(
    id: [u8; 16],
    callback: Option<EnableCallback>,
    context: usize,
    site: usize,
) -> u64 {
    let provider = Provider {
        id,
        callback,
        context,
        site,
        typed: false,
        traits: false,
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

/// Takes the providers that an image has left: who registered each.
pub(crate) fn take_left_by(image: &Image) -> Vec<usize> {
    let mut state = state();
    let left = state
        .providers
        .extract_if(.., |_, provider| image.contains(provider.site));
    left.map(|(_, provider)| provider.site).collect()
}

/// Unregisters a provider: whether there was one.
pub(crate) fn unregister(handle: u64) -> bool {
    state().providers.remove(&handle).is_some()
}

/// What EtwSetInformation can be asked for.
pub(crate) enum Information<'i> {
    /// EventProviderBinaryTrackInfo: the path of the image is written to the trace.
    BinaryTrackInfo,
    /// EventProviderSetTraits.
    Traits(&'i [u8]),
    /// EventProviderUseDescriptorType.
    UseDescriptorType(bool),
}

/// Changes a registration.
///
/// Errors: STATUS_INVALID_HANDLE; STATUS_INVALID_PARAMETER for traits that do not add up; for traits that are
/// set a second time STATUS_UNSUCCESSFUL, as the documentation does not say how that fails.
pub(crate) fn set_information(handle: u64, information: &Information<'_>) -> NTSTATUS {
    let mut state = state();
    let Some(provider) = state.providers.get_mut(&handle) else {
        return STATUS_INVALID_HANDLE;
    };
    match *information {
        Information::BinaryTrackInfo => {}
        Information::UseDescriptorType(typed) => provider.typed = typed,
        Information::Traits(_) if provider.traits => return STATUS_UNSUCCESSFUL,
        Information::Traits(traits) if !are_traits(traits) => return STATUS_INVALID_PARAMETER,
        Information::Traits(_) => (provider.traits, provider.typed) = (true, true),
    }
    STATUS_SUCCESS
}

/// Whether these are traits: the length of the whole, the name in UTF-8 with a zero behind it, then each
/// trait with its own length and its type, of which the only one, 1, is the id of a group.
fn are_traits(bytes: &[u8]) -> bool {
    let length = |bytes: &[u8]| {
        bytes
            .first_chunk()
            .map(|length| u16::from_le_bytes(*length))
    };
    let all = bytes.len();
    if all < 3 || length(bytes).map(usize::from) != Some(all) {
        return false;
    }
    let Some(end) = bytes[2..].iter().position(|byte| *byte == 0) else {
        return false;
    };
    let (name, mut rest) = (&bytes[2..2 + end], &bytes[2 + end + 1..]);
    while let Some(size) = length(rest) {
        if size != 3 + 16 || rest.get(2) != Some(&1) || rest.len() < 3 + 16 {
            return false;
        }
        rest = &rest[3 + 16..];
    }
    rest.is_empty() && std::str::from_utf8(name).is_ok()
}

/// Gives the session an event, if it wants it; `data` is asked for then only, and whether with the types of
/// its descriptors. Whether the provider exists.
pub(crate) fn write(
    handle: u64,
    (channel, level, keyword): (u8, u8, u64),
    data: impl FnOnce(bool) -> Vec<(u32, Vec<u8>)>,
) -> bool {
    let mut state = state();
    let Some(provider) = state.providers.get(&handle) else {
        return false;
    };
    let wanted = state.enabled.get(&provider.id).is_some_and(|enabled| {
        (enabled.level == 0 || level <= enabled.level)
            && (enabled.keywords == 0 || keyword & enabled.keywords != 0)
    });
    let typed = provider.typed;
    if wanted {
        state.events.push(Event {
            channel,
            level,
            keyword,
            data: data(typed),
        });
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(handle: u64) -> Option<(u32, Vec<u8>)> {
        let data = |typed| vec![(if typed { 2 } else { 0 }, b"\x05\0ab\0".to_vec())];
        assert!(write(handle, (11, 4, 1), data));
        take_events().pop().and_then(|mut event| event.data.pop())
    }

    /// In one test, because there is one session.
    #[test]
    fn types_are_seen_of_providers_that_ask_for_it() {
        use Information::{BinaryTrackInfo, Traits, UseDescriptorType};
        let id = [7; 16];
        let all = Enabled {
            level: 0,
            keywords: 0,
        };
        enable(id, Some(all));
        let types = |handle| event(handle).map(|(kind, _)| kind);

        let handle = register(id, None, 0, 0);
        assert_eq!(types(handle), Some(0));
        assert_eq!(set_information(handle, &BinaryTrackInfo), STATUS_SUCCESS);
        assert_eq!(types(handle), Some(0));
        for (typed, kind) in [(true, 2), (false, 0)] {
            let asked = set_information(handle, &UseDescriptorType(typed));
            assert_eq!((asked, types(handle)), (STATUS_SUCCESS, Some(kind)));
        }

        let group = [&b"\x13\0\x01"[..], &[9; 16]].concat();
        let with_group = [&b"\x18\0ab\0"[..], &group].concat();
        let wrong: [&[u8]; 10] = [
            b"",
            b"\x02\0",
            b"\x04\0ab\0",
            b"\x06\0ab\0",
            b"\x04\0ab",
            b"\x05\0\xffb\0",
            b"\x06\0ab\0\0",
            b"\x08\0ab\0\x03\0\x01",
            &[&b"\x18\0ab\0\x13\0\x02"[..], &[9; 16]].concat(),
            &with_group[..with_group.len() - 1],
        ];
        for wrong in wrong {
            let refused = set_information(handle, &Traits(wrong));
            assert_eq!(refused, STATUS_INVALID_PARAMETER, "{wrong:x?}");
            assert_eq!(types(handle), Some(0));
        }
        assert_eq!(
            set_information(handle, &Traits(&with_group)),
            STATUS_SUCCESS
        );
        assert_eq!(types(handle), Some(2));
        let again = set_information(handle, &Traits(b"\x05\0ab\0"));
        assert_eq!(again, STATUS_UNSUCCESSFUL);
        assert!(unregister(handle));
        assert_eq!(
            set_information(handle, &BinaryTrackInfo),
            STATUS_INVALID_HANDLE
        );
        enable(id, None);
    }
}
