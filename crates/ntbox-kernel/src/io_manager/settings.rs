//! The registry, as far as services have keys in it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// A value of a service's `Parameters` key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingValue {
    /// `REG_DWORD`
    Dword(u32),
    /// `REG_SZ`
    Text(String),
}

impl fmt::Display for SettingValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dword(number) => number.fmt(out),
            Self::Text(text) => text.fmt(out),
        }
    }
}

#[derive(Default)]
struct Key {
    name: String,
    values: Vec<(String, SettingValue)>,
}

static KEYS: LazyLock<Mutex<BTreeMap<String, Key>>> = LazyLock::new(Mutex::default);

fn keys() -> MutexGuard<'static, BTreeMap<String, Key>> {
    KEYS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn normal(path: &str) -> String {
    path.trim_end_matches('\\').to_uppercase()
}

/// `\Registry\Machine\System\CurrentControlSet\Services\<service>`.
pub fn service_path(service: &str) -> String {
    format!(r"\Registry\Machine\System\CurrentControlSet\Services\{service}")
}

/// The key and the name of a setting of the service with this key: in its `Parameters`, or in itself
/// where a `\` is in front of the name.
pub fn place<'a>(service: &str, name: &'a str) -> (String, &'a str) {
    match name.strip_prefix('\\') {
        Some(name) => (service.to_owned(), name),
        None => (format!(r"{service}\Parameters"), name),
    }
}

/// Creates the key and those above it.
pub fn create_key(path: &str) {
    let mut keys = keys();
    let path = path.trim_end_matches('\\');
    let ends = path
        .match_indices('\\')
        .map(|(at, _)| at)
        .filter(|at| *at > 0);
    for end in ends.chain(std::iter::once(path.len())) {
        let part = &path[..end];
        keys.entry(normal(part)).or_insert_with(|| Key {
            name: part.rsplit('\\').next().unwrap_or_default().to_owned(),
            values: Vec::new(),
        });
    }
}

/// True if the key exists. Paths compare without case.
pub fn key_exists(path: &str) -> bool {
    keys().contains_key(&normal(path))
}

/// Sets a value; creates the key.
pub fn set(path: &str, name: &str, value: SettingValue) {
    create_key(path);
    if let Some(key) = keys().get_mut(&normal(path)) {
        match key
            .values
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            Some((_, old)) => *old = value,
            None => key.values.push((name.to_owned(), value)),
        }
    }
}

/// A value. Names compare without case.
pub fn get(path: &str, name: &str) -> Option<SettingValue> {
    let keys = keys();
    let values = &keys.get(&normal(path))?.values;
    values
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.clone())
}

/// Values of the key in order of creation.
pub fn values(path: &str) -> Vec<(String, SettingValue)> {
    keys()
        .get(&normal(path))
        .map(|key| key.values.clone())
        .unwrap_or_default()
}

/// Deletes a value; false if there is none of that name.
pub fn delete_value(path: &str, name: &str) -> bool {
    let mut keys = keys();
    let Some(key) = keys.get_mut(&normal(path)) else {
        return false;
    };
    let before = key.values.len();
    key.values
        .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    key.values.len() != before
}

/// Names of the keys directly below.
pub fn subkeys(path: &str) -> Vec<String> {
    let prefix = format!("{}\\", normal(path));
    let keys = keys();
    let below = keys.iter().filter(|(path, _)| {
        path.strip_prefix(&prefix)
            .is_some_and(|rest| !rest.contains('\\'))
    });
    below.map(|(_, key)| key.name.clone()).collect()
}

/// Deletes the key and everything below it; false if there is none.
pub fn delete_key(path: &str) -> bool {
    let path = normal(path);
    let below = format!("{path}\\");
    let mut keys = keys();
    let existed = keys.contains_key(&path);
    keys.retain(|known, _| *known != path && !known.starts_with(&below));
    existed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_one_of_the_parameters_or_of_the_service() {
        assert_eq!(place("S", "Debug"), (r"S\Parameters".to_owned(), "Debug"));
        assert_eq!(place("S", r"\Debug"), ("S".to_owned(), "Debug"));
    }

    #[test]
    fn keys_and_values_compare_without_case() {
        let service = service_path("SettingsTest");
        let parameters = format!(r"{service}\Parameters");
        assert!(!key_exists(&parameters));
        set(&parameters, "AllowUnload", SettingValue::Dword(1));
        set(&parameters, "allowunload", SettingValue::Dword(2));
        set(&parameters, "Text", SettingValue::Text("t".into()));
        assert!(key_exists(&service.to_lowercase()));
        assert_eq!(
            get(&parameters.to_uppercase(), "ALLOWUNLOAD"),
            Some(SettingValue::Dword(2))
        );
        assert_eq!(get(&parameters, "Missing"), None);
        assert_eq!(values(&parameters).len(), 2);
        assert_eq!(subkeys(&service), ["Parameters"]);
        assert!(delete_key(&service));
        assert!(!key_exists(&parameters));
        assert!(!delete_key(&service));
    }
}
