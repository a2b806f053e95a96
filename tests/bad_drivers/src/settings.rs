//! The registry values in `Parameters`:
//!
//! - `Mistake`: REG_SZ, the name of a mistake, or REG_DWORD, its number;
//! - `PassThrough`: REG_SZ, `skip` or `completion`: what is least work for a filter, to compare
//!   the cost of others with; `deep`: with much of the stack. Such a driver cannot be unloaded, as it does not count its requests;
//! - `Opaque`: REG_SZ, `information`, `synchronous`, `create` or `reads`: what no rule forbids, and a program
//!   notices;
//! - `Right`: REG_SZ, `stack-event`, `named-device`, `create-waits`, `own-read`, `mount-needs-memory`,
//!   `active-objects`, `lists`, `handles`, `manners`, `addresses`, `file-objects`, `cancel-safe-queue`,
//!   `notify-routines`, `remove-locks`, `own-requests`, `cancelling`, `writes`, `plug-and-play`,
//!   `associated` or `open-target-directory`: what looks like a mistake and is none;
//! - `Spoil`: REG_SZ, `longer`, `unwritten` or `length`: what is wrong with the answers of fsglass, and
//!   nothing else is filtered;
//! - `Stuck`: REG_SZ, `entry-runs`, `entry-waits`, `entry-stalls`, `entry-locked-out`, `unload-runs`, `read-waits`,
//!   `read-kept` or `close-scribbles`: what never comes to its end, or ends who runs it.

use crate::filter::{self, DispatchRoutine};
use crate::kernel::unicode_literal;
use crate::mistakes::Mistake;
use crate::opaque::Opaque;
use crate::right::Right;
use crate::spoil::Spoil;
use crate::stuck::Stuck;
use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS, HANDLE, KEY_READ, NTSTATUS, OBJ_CASE_INSENSITIVE,
    OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, PUNICODE_STRING, REG_DWORD, REG_SZ,
    STATUS_INVALID_PARAMETER, STATUS_SUCCESS, UNICODE_STRING, ntddk,
};

/// KEY_VALUE_PARTIAL_INFORMATION with room for the longest name.
#[repr(C)]
struct Value {
    title_index: u32,
    kind: u32,
    bytes: u32,
    data: [u16; 64],
}

/// The mistake to make; [`Mistake::None`] without the value. A value that names no mistake
/// refuses the start: a misspelt one must not look like a driver that was found correct.
pub unsafe fn mistake(registry_path: PUNICODE_STRING) -> Result<Mistake, NTSTATUS> {
    match read(registry_path, unicode_literal!("Mistake")) {
        None => Ok(Mistake::None),
        Some(value) => understand(&value).ok_or(STATUS_INVALID_PARAMETER),
    }
}

/// The plain dispatch routine to use; `None` without the value. Another value refuses the start.
pub unsafe fn pass_through(
    registry_path: PUNICODE_STRING,
) -> Result<Option<DispatchRoutine>, NTSTATUS> {
    let Some(value) = read(registry_path, unicode_literal!("PassThrough")) else {
        return Ok(None);
    };
    let is = |name: &str| value.is(name);
    if is("skip") {
        Ok(Some(filter::skip))
    } else if is("completion") {
        Ok(Some(filter::copy_and_complete))
    } else if is("deep") {
        Ok(Some(filter::skip_deep))
    } else {
        Err(STATUS_INVALID_PARAMETER)
    }
}

/// What programs are to notice; `None` without the value. Another value refuses the start.
pub unsafe fn opaque(registry_path: PUNICODE_STRING) -> Result<Option<Opaque>, NTSTATUS> {
    let Some(value) = read(registry_path, unicode_literal!("Opaque")) else {
        return Ok(None);
    };
    let opaque = Opaque::by_name(|name| value.is(name));
    opaque.map(Some).ok_or(STATUS_INVALID_PARAMETER)
}

/// What is wrong with the answers of fsglass; `None` without the value. Another value refuses the start.
pub unsafe fn spoil(registry_path: PUNICODE_STRING) -> Result<Option<Spoil>, NTSTATUS> {
    let Some(value) = read(registry_path, unicode_literal!("Spoil")) else {
        return Ok(None);
    };
    let spoil = Spoil::by_name(|name| value.is(name));
    spoil.map(Some).ok_or(STATUS_INVALID_PARAMETER)
}

/// What never comes to its end; `None` without the value. Another value refuses the start.
pub unsafe fn stuck(registry_path: PUNICODE_STRING) -> Result<Option<Stuck>, NTSTATUS> {
    let Some(value) = read(registry_path, unicode_literal!("Stuck")) else {
        return Ok(None);
    };
    let stuck = Stuck::by_name(|name| value.is(name));
    stuck.map(Some).ok_or(STATUS_INVALID_PARAMETER)
}

/// What is done right; `None` without the value. Another value refuses the start.
pub unsafe fn right(registry_path: PUNICODE_STRING) -> Result<Option<Right>, NTSTATUS> {
    let Some(value) = read(registry_path, unicode_literal!("Right")) else {
        return Ok(None);
    };
    let right = Right::by_name(|name| value.is(name));
    right.map(Some).ok_or(STATUS_INVALID_PARAMETER)
}

impl Value {
    /// Whether it is the string `name`.
    fn is(&self, name: &str) -> bool {
        self.text()
            .is_some_and(|text| text.iter().copied().eq(name.encode_utf16()))
    }

    /// The string of a REG_SZ value.
    fn text(&self) -> Option<&[u16]> {
        let text = self.data.get(..self.bytes as usize / 2)?;
        (self.kind == REG_SZ).then(|| text.strip_suffix(&[0]).unwrap_or(text))
    }
}

/// A value of the driver's `Parameters` key.
unsafe fn read(registry_path: PUNICODE_STRING, mut name: UNICODE_STRING) -> Option<Value> {
    let mut service: HANDLE = core::ptr::null_mut();
    let mut parameters: HANDLE = core::ptr::null_mut();
    if open(core::ptr::null_mut(), registry_path, &raw mut service) != STATUS_SUCCESS {
        return None;
    }
    let mut key = unicode_literal!("Parameters");
    let status = open(service, &raw mut key, &raw mut parameters);
    let _ = ntddk::ZwClose(service);
    if status != STATUS_SUCCESS {
        return None;
    }
    let mut value = Value {
        title_index: 0,
        kind: 0,
        bytes: 0,
        data: [0; 64],
    };
    let mut length = 0;
    let status = ntddk::ZwQueryValueKey(
        parameters,
        &raw mut name,
        _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
        (&raw mut value).cast(),
        size_of::<Value>() as u32,
        &raw mut length,
    );
    let _ = ntddk::ZwClose(parameters);
    (status == STATUS_SUCCESS).then_some(value)
}

fn understand(value: &Value) -> Option<Mistake> {
    match value.kind {
        REG_DWORD if value.bytes == 4 => {
            let [low, high, ..] = value.data;
            Mistake::by_number(u32::from(low) | u32::from(high) << 16)
        }
        _ => Mistake::by_name(value.text()?),
    }
}

unsafe fn open(parent: HANDLE, name: *mut UNICODE_STRING, key: *mut HANDLE) -> NTSTATUS {
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: parent,
        ObjectName: name,
        Attributes: OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE,
        SecurityDescriptor: core::ptr::null_mut(),
        SecurityQualityOfService: core::ptr::null_mut(),
    };
    ntddk::ZwOpenKey(key, KEY_READ, &raw mut attributes)
}
