//! Query tables as drivers build them.

use super::super::registry_key::REG_DWORD;
use super::*;
use crate::io_manager::driver::SettingValue;
use crate::nt::unicode::to_string;
use crate::nt::{RTL_REGISTRY_ABSOLUTE, RTL_REGISTRY_SERVICES};

/// A table whose entries keep their names alive.
#[derive(Default)]
struct Table {
    entries: Vec<RTL_QUERY_REGISTRY_TABLE>,
    names: Vec<Vec<u16>>,
}

impl Table {
    fn add(
        &mut self,
        flags: u32,
        name: &str,
        context: *mut c_void,
    ) -> &mut RTL_QUERY_REGISTRY_TABLE {
        let mut entry = RTL_QUERY_REGISTRY_TABLE {
            Flags: flags,
            EntryContext: context,
            ..Default::default()
        };
        if !name.is_empty() {
            self.names.push(wide(name));
            entry.Name = self.names[self.names.len() - 1].as_ptr().cast_mut();
        }
        self.entries.push(entry);
        let last = self.entries.len() - 1;
        &mut self.entries[last]
    }
    fn query(&mut self, path: &str) -> NTSTATUS {
        self.add(0, "", std::ptr::null_mut());
        let path = wide(path);
        let null = std::ptr::null_mut();
        // SAFETY: a terminated path and table.
        unsafe {
            query_values(
                RTL_REGISTRY_ABSOLUTE,
                path.as_ptr(),
                self.entries.as_mut_ptr(),
                null,
                null,
                0,
            )
        }
    }
}

fn service(name: &str) -> String {
    let path = settings::service_path(name);
    settings::set(&path, "Start", SettingValue::Dword(2));
    settings::set(
        &format!(r"{path}\Parameters"),
        "AllowUnload",
        SettingValue::Dword(1),
    );
    settings::set(
        &format!(r"{path}\Parameters"),
        "Label",
        SettingValue::Text("grün".into()),
    );
    path
}

#[test]
fn direct_values_and_defaults() {
    let path = service("RegistryDirect");
    let (mut start, mut missing, default) = (0_u32, 0_u32, 77_u32);
    let mut label = UNICODE_STRING::default();
    let mut table = Table::default();
    table.add(RTL_QUERY_REGISTRY_DIRECT, "Start", (&raw mut start).cast());
    let entry = table.add(
        RTL_QUERY_REGISTRY_DIRECT,
        "Missing",
        (&raw mut missing).cast(),
    );
    (entry.DefaultType, entry.DefaultData, entry.DefaultLength) =
        (REG_DWORD, (&raw const default).cast_mut().cast(), 4);
    table.add(
        RTL_QUERY_REGISTRY_SUBKEY,
        "Parameters",
        std::ptr::null_mut(),
    );
    table.add(RTL_QUERY_REGISTRY_DIRECT, "label", (&raw mut label).cast());
    assert_eq!(table.query(&path), STATUS_SUCCESS);
    assert_eq!((start, missing), (2, 77));
    // SAFETY: filled by the query.
    assert_eq!(unsafe { to_string(&raw const label) }, "grün");
    assert_eq!((label.Length, label.MaximumLength), (8, 10));
    // SAFETY: allocated by the query.
    unsafe { super::super::translate::free_unicode(&raw mut label, 0) };
}

#[test]
fn what_is_required_or_of_another_type_fails() {
    let path = service("RegistryRequired");
    let mut value = 0_u32;
    let mut table = Table::default();
    table.add(
        RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_REQUIRED,
        "Missing",
        (&raw mut value).cast(),
    );
    assert_eq!(table.query(&path), STATUS_OBJECT_NAME_NOT_FOUND);
    let mut table = Table::default();
    let entry = table.add(
        RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_TYPECHECK,
        "Start",
        (&raw mut value).cast(),
    );
    entry.DefaultType = REG_SZ << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT;
    assert_eq!(table.query(&path), STATUS_OBJECT_TYPE_MISMATCH);
    let mut table = Table::default();
    table.add(RTL_QUERY_REGISTRY_DIRECT, "", (&raw mut value).cast());
    assert_eq!(table.query(&path), STATUS_INVALID_PARAMETER);
    assert_eq!(
        Table::default().query(r"\Registry\Machine\Nowhere"),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
}

#[test]
fn a_routine_sees_every_value_of_a_subkey() {
    unsafe extern "win64" fn collect(
        name: *const u16,
        kind: u32,
        _data: *const c_void,
        length: u32,
        _context: *mut c_void,
        entry_context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: the table passes a vector.
        let seen = unsafe { &mut *entry_context.cast::<Vec<(String, u32, u32)>>() };
        // SAFETY: a terminated name.
        seen.push((unsafe { text(name) }.unwrap_or_default(), kind, length));
        STATUS_SUCCESS
    }
    let path = service("RegistryRoutine");
    let mut seen: Vec<(String, u32, u32)> = Vec::new();
    let mut table = Table::default();
    let entry = table.add(
        RTL_QUERY_REGISTRY_SUBKEY,
        "Parameters",
        (&raw mut seen).cast(),
    );
    // SAFETY: the slot takes a routine.
    unsafe {
        (&raw mut entry.QueryRoutine)
            .cast::<Routine>()
            .write(collect)
    };
    assert_eq!(table.query(&path), STATUS_SUCCESS);
    assert_eq!(
        seen,
        [
            ("AllowUnload".to_owned(), REG_DWORD, 4),
            ("Label".to_owned(), REG_SZ, 10)
        ]
    );
}

#[test]
fn values_are_written_and_keys_checked() {
    let path = service("RegistryWrite");
    let (key, name) = (wide(&path), wide("Level"));
    let value = 9_u32;
    // SAFETY: terminated strings and four bytes, here and below.
    let status = unsafe {
        write_value(
            RTL_REGISTRY_ABSOLUTE,
            key.as_ptr(),
            name.as_ptr(),
            REG_DWORD,
            (&raw const value).cast(),
            4,
            0,
        )
    };
    assert_eq!(status, STATUS_SUCCESS);
    assert_eq!(settings::get(&path, "level"), Some(SettingValue::Dword(9)));
    let relative = wide("RegistryWrite");
    assert_eq!(
        // SAFETY: as above.
        unsafe { check_key(RTL_REGISTRY_SERVICES, relative.as_ptr(), 0) },
        STATUS_SUCCESS
    );
}
