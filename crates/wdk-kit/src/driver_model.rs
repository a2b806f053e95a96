//! The driver model of a driver: `package.metadata.wdk.driver-model`, as the `wdk*` crates define
//! it, in the package's manifest or, for all packages, in the workspace's.

use std::fmt;

use anyhow::{Result, bail};
use serde_json::Value;

/// A driver model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// Windows Driver Model: on nothing but the kernel.
    Wdm,
    /// Kernel Mode Driver Framework, of this version, such as 1.33.
    Kmdf(String),
    /// User Mode Driver Framework, of this version, such as 2.33.
    Umdf(String),
    /// Something else.
    Unknown(String),
}

impl Model {
    /// The model that a `driver-model` table describes.
    #[must_use]
    pub fn of(table: &Value) -> Self {
        let version = |framework: &str| {
            let number = |key: String| table.get(key).map_or("?".to_owned(), Value::to_string);
            let major = number(format!("{framework}-version-major"));
            let minor = number(format!("target-{framework}-version-minor"));
            format!("{major}.{minor}")
        };
        let name = table.get("driver-type").and_then(Value::as_str);
        match name.unwrap_or_default() {
            "WDM" => Self::Wdm,
            "KMDF" => Self::Kmdf(version("kmdf")),
            "UMDF" => Self::Umdf(version("umdf")),
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// Refuses a model for which there are no headers and libraries but those of the Windows
    /// Driver Kit.
    ///
    /// # Errors
    /// For every model but WDM, with what is missing.
    pub fn require_wdm(&self, package: &str) -> Result<()> {
        let (framework, missing) = match self {
            Self::Wdm => return Ok(()),
            Self::Kmdf(version) => (
                "the Kernel Mode Driver Framework",
                format!(
                    "wdf.h and the headers that it includes (Include/wdf/kmdf/{version}), \
                     WdfDriverEntry.lib and WdfLdr.lib (Lib/wdf/kmdf/x64/{version})"
                ),
            ),
            Self::Umdf(version) => (
                "the User Mode Driver Framework",
                format!(
                    "wdf.h and the headers that it includes (Include/wdf/umdf/{version}), \
                     WdfDriverStubUm.lib (Lib/wdf/umdf/x64/{version}), and the SDK's windows.h \
                     and OneCoreUAP.lib"
                ),
            ),
            Self::Unknown(name) => bail!(
                "{package} has the driver-type {name:?} in its metadata; the wdk crates know \
                 \"WDM\", \"KMDF\" and \"UMDF\""
            ),
        };
        bail!(
            "{package} is a driver of {framework} ({self}), and the kit builds WDM drivers only. \
             What is missing is not in mingw-w64, which takes the place of the Windows Driver Kit \
             here: {missing}. Build this driver on Windows"
        )
    }
}

impl fmt::Display for Model {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wdm => write!(formatter, "WDM"),
            Self::Kmdf(version) => write!(formatter, "KMDF {version}"),
            Self::Umdf(version) => write!(formatter, "UMDF {version}"),
            Self::Unknown(name) => write!(formatter, "{name:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(table: &str) -> String {
        let model = Model::of(&serde_json::from_str(table).unwrap());
        model.require_wdm("echo").unwrap_err().to_string()
    }

    #[test]
    fn wdm_is_built() {
        let model = Model::of(&serde_json::json!({"driver-type": "WDM"}));
        assert!(model.require_wdm("echo").is_ok());
    }

    #[test]
    fn what_a_framework_needs_is_named_with_its_version() {
        let text = refusal(
            r#"{"driver-type": "KMDF", "kmdf-version-major": 1, "target-kmdf-version-minor": 33}"#,
        );
        for part in ["echo", "KMDF 1.33", "wdf/kmdf/1.33", "WdfDriverEntry.lib"] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
        let text = refusal(
            r#"{"driver-type": "UMDF", "umdf-version-major": 2, "target-umdf-version-minor": 31}"#,
        );
        for part in ["echo", "UMDF 2.31", "wdf/umdf/2.31", "WdfDriverStubUm.lib"] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }

    #[test]
    fn an_unknown_model_is_named_with_those_there_are() {
        for table in [r#"{"driver-type": "wdm"}"#, "{}"] {
            let text = refusal(table);
            assert!(text.contains("\"WDM\", \"KMDF\" and \"UMDF\""), "{text}");
        }
    }
}
