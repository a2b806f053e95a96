//! `install` and `uninstall`: by Plug and Play's own programs, which keep the driver store in order.

use super::context::{Context, administrator, beside_program};
use super::service::stop_driver;
use crate::error::{Error, Exit, Result};
use crate::system::{Ran, System};
use std::path::{Path, PathBuf};

/// Where services are described.
const SERVICES: &str = r"SYSTEM\CurrentControlSet\Services";

/// ERROR_SUCCESS_REBOOT_REQUIRED, with which pnputil ends.
const RESTART_REQUIRED: i32 = 3010;

/// ERROR_NO_MORE_ITEMS, with which pnputil ends where the package is installed already.
const NO_MORE_ITEMS: i32 = 259;

/// What pnputil did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    All,
    /// All, but it takes effect with the next start of Windows.
    Restart,
    /// Nothing, as there was nothing to do.
    Nothing,
}

/// Installs the package whose INF is `inf`, or lies beside this program; `boot` sets the driver to
/// start with Windows.
pub fn install(context: &mut Context<'_>, inf: Option<&Path>, boot: bool) -> Result<Exit> {
    administrator(context.system, "to install a driver")?;
    let wine = context.system.wine().is_some();
    // Wine copies files, and has no driver store to run them from.
    let default = if wine {
        "wine/fsglass.inf"
    } else {
        "fsglass.inf"
    };
    let inf = match inf {
        Some(inf) => inf.to_path_buf(),
        None => beside_program(&[default])?,
    };
    let inf = std::path::absolute(&inf)?;
    if !inf.is_file() {
        return Err(Error::new(format!("there is no {}", inf.display())));
    }
    let path = inf.display().to_string();
    let done = if wine {
        let section = format!("setupapi,InstallHinfSection DefaultInstall 132 {path}");
        let arguments: Vec<_> = section.split(' ').collect();
        context.system.run_unheard("rundll32.exe", &arguments)?;
        Done::All
    } else {
        pnputil(context.system, &["/add-driver", &path, "/install"])?
    };
    // rundll32 tells nothing of what it met, and to pnputil there is nothing to do either for a package
    // that does not fit.
    if context.system.service(context.service)?.is_none() {
        let what = format!(
            "{path} was installed, but there is no service {}",
            context.service
        );
        return Err(Error::new(what)
            .remedy(r"look for the reason in C:\Windows\INF\setupapi.dev.log, at its end"));
    }
    if boot {
        let name = context.service.to_owned();
        let ran = context
            .system
            .run("sc.exe", &["config", &name, "start=", "boot"])?;
        succeeded("sc.exe config", &ran)?;
    }
    let already = if done == Done::Nothing {
        "already "
    } else {
        ""
    };
    writeln!(
        context.out,
        "{} is {already}installed from {path}",
        context.service
    )?;
    if done == Done::Restart || boot {
        writeln!(context.out, "it starts after a restart of Windows")?;
        return Ok(Exit::Restart);
    }
    writeln!(context.out, "start it with `fsglass start`")?;
    Ok(Exit::Done)
}

/// Stops the driver, if it can be stopped, and removes it.
pub fn uninstall(context: &mut Context<'_>) -> Result<Exit> {
    administrator(context.system, "to remove a driver")?;
    let name = context.service;
    let Some(service) = context.system.service(name)? else {
        writeln!(context.out, "{name} is not installed")?;
        return Ok(Exit::Done);
    };
    let mut restart = false;
    if service.running && stop_driver(context).is_err() {
        // It cannot be unloaded; what is removed goes away when Windows starts anew.
        restart = true;
    }
    let published = published_inf(&windows_directory().join("INF"), name);
    if let Some(inf) = published {
        match pnputil(context.system, &["/delete-driver", &inf, "/uninstall"])? {
            Done::All => {}
            Done::Restart => restart = true,
            Done::Nothing => return Err(Error::new(format!("pnputil.exe did not remove {inf}"))),
        }
        writeln!(context.out, "{inf} is removed from the driver store")?;
    }
    // Where it was not installed from the driver store, the service and its file are left.
    if context.system.service(name)?.is_some() {
        context.system.delete_service(name)?;
        let image = windows_directory()
            .join("System32")
            .join("drivers")
            .join(format!("{name}.sys"));
        writeln!(context.out, "the service {name} is removed")?;
        // Windows keeps the file of a driver that runs.
        if restart && image.is_file() {
            let image = image.display();
            writeln!(context.out, "{image} is left: delete it after the restart")?;
        } else if image.is_file() {
            std::fs::remove_file(&image)?;
        }
    }
    if restart {
        writeln!(
            context.out,
            "the driver runs until the next restart of Windows"
        )?;
        return Ok(Exit::Restart);
    }
    Ok(Exit::Done)
}

fn windows_directory() -> PathBuf {
    std::env::var_os("SystemRoot").map_or_else(|| r"C:\Windows".into(), PathBuf::from)
}

/// The name under which the package is in the driver store: the INF there names our catalog.
fn published_inf(directory: &Path, service: &str) -> Option<String> {
    let catalog = format!("{service}.cat");
    std::fs::read_dir(directory)
        .ok()?
        .flatten()
        .find_map(|entry| {
            let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
            let published = name.starts_with("oem") && name.ends_with(".inf");
            let bytes = std::fs::read(entry.path()).ok().filter(|_| published)?;
            // In UTF-16 or in one byte a character: the zeros between tell nothing.
            let text: Vec<u8> = bytes.into_iter().filter(|byte| *byte != 0).collect();
            let text = String::from_utf8_lossy(&text);
            let names_it = text.lines().any(|line| {
                let (key, value) = line.split_once('=').unwrap_or_default();
                key.trim().eq_ignore_ascii_case("CatalogFile")
                    && value.trim().eq_ignore_ascii_case(&catalog)
            });
            names_it.then_some(name)
        })
}

/// Runs pnputil.
fn pnputil(system: &dyn System, arguments: &[&str]) -> Result<Done> {
    let ran = system.run("pnputil.exe", arguments)?;
    match ran.code {
        RESTART_REQUIRED => Ok(Done::Restart),
        NO_MORE_ITEMS => Ok(Done::Nothing),
        _ => succeeded("pnputil.exe", &ran).map(|()| Done::All),
    }
}

fn succeeded(program: &str, ran: &Ran) -> Result<()> {
    if ran.code == 0 {
        return Ok(());
    }
    let what = format!("{program} ended with {}: {}", ran.code, ran.printed.trim());
    Err(Error::new(what).remedy(
        r"`fsglass doctor` looks for the usual reasons; C:\Windows\INF\setupapi.dev.log has all of them at its end",
    ))
}

/// A setting of the driver, as the registry has it.
pub fn setting(system: &dyn System, service: &str, value: &str) -> Option<u32> {
    system.registry_number(&format!(r"{SERVICES}\{service}\Parameters"), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::ran;
    use crate::system::Service;
    use crate::system::pretended::Pretended;

    fn installed() -> Pretended {
        let service = Service {
            running: true,
            state: "running".to_owned(),
            start: "on demand".to_owned(),
            image: "x".to_owned(),
        };
        Pretended {
            administrator: true,
            service: Some(service).into(),
            ..Pretended::default()
        }
    }

    #[test]
    fn a_package_is_installed_by_pnputil_and_under_wine_by_setupapi() {
        let directory = tempfile::tempdir().unwrap();
        let inf = directory.path().join("fsglass.inf");
        std::fs::write(&inf, "").unwrap();
        let inf = inf.to_str().unwrap();
        let system = installed();
        assert_eq!(ran(&system, &["install", "--inf", inf]).0, Ok(Exit::Done));
        assert_eq!(
            *system.done.borrow(),
            [format!("pnputil.exe /add-driver {inf} /install")]
        );

        let system = Pretended {
            wine: Some("8.0".to_owned()),
            ..installed()
        };
        assert_eq!(ran(&system, &["install", "--inf", inf]).0, Ok(Exit::Done));
        let line = format!("rundll32.exe setupapi,InstallHinfSection DefaultInstall 132 {inf}");
        assert_eq!(*system.done.borrow(), [line]);

        let system = Pretended {
            code: 3010,
            ..installed()
        };
        assert_eq!(
            ran(&system, &["install", "--inf", inf]).0,
            Ok(Exit::Restart)
        );
        let system = Pretended {
            code: 2,
            ..installed()
        };
        assert_eq!(
            ran(&system, &["install", "--inf", inf]).0,
            Err(Exit::Failed)
        );
        // Nothing was installed although no program said so.
        let system = Pretended {
            administrator: true,
            ..Pretended::default()
        };
        assert_eq!(
            ran(&system, &["install", "--inf", inf]).0,
            Err(Exit::Failed)
        );
    }

    #[test]
    fn a_package_that_is_there_already_is_no_failure() {
        let directory = tempfile::tempdir().unwrap();
        let inf = directory.path().join("fsglass.inf");
        std::fs::write(&inf, "").unwrap();
        let install = ["install", "--inf", inf.to_str().unwrap()];
        let system = Pretended {
            code: NO_MORE_ITEMS,
            ..installed()
        };
        let (exit, text) = ran(&system, &install);
        assert_eq!(exit, Ok(Exit::Done));
        assert!(text.contains("fsglass is already installed"), "{text}");
        // There was nothing to do, and there is no service: the package was not for this Windows.
        *system.service.borrow_mut() = None;
        assert_eq!(ran(&system, &install).0, Err(Exit::Failed));
    }

    #[test]
    fn uninstalling_stops_and_deletes() {
        let system = installed();
        assert_eq!(ran(&system, &["uninstall"]).0, Ok(Exit::Done));
        assert_eq!(*system.done.borrow(), ["stop fsglass", "delete fsglass"]);
        assert_eq!(ran(&system, &["uninstall"]).0, Ok(Exit::Done));
    }

    #[test]
    fn a_driver_that_cannot_be_stopped_goes_with_the_next_restart() {
        let system = Pretended {
            unstoppable: true,
            ..installed()
        };
        let (exit, text) = ran(&system, &["uninstall"]);
        assert_eq!(exit, Ok(Exit::Restart));
        assert_eq!(*system.done.borrow(), ["stop fsglass", "delete fsglass"]);
        assert!(text.contains("until the next restart"), "{text}");
    }

    #[test]
    fn the_inf_in_the_driver_store_is_found_by_its_catalog() {
        let directory = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes).unwrap();
        write("oem1.inf", b"CatalogFile = other.cat");
        write("keyboard.inf", b"CatalogFile = fsglass.cat");
        assert_eq!(published_inf(directory.path(), "fsglass"), None);
        let text = "[Version]\r\nCatalogFile = fsglass.cat\r\n";
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        write("OEM7.INF", &wide);
        assert_eq!(
            published_inf(directory.path(), "fsglass").as_deref(),
            Some("oem7.inf")
        );
    }
}
