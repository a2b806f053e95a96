//! A mount from its beginning to its end.

use crate::fuse::Fuse;
use crate::last_words;
use crate::mount_point::{self, Refused};
use crate::server::Server;
use crate::tally::Counts;
use crate::watcher::{self, Watcher};
use crate::work::Shared;
use fuser::{Config, MountOption, Session, SessionACL};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long what is being worked on is waited for when the mount is to end at once.
const PATIENCE: Duration = Duration::from_millis(10);

/// What happens to a mount.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It is there no more.
    Unmounted,
    /// The connection to the host's kernel has failed.
    Failed(String),
    /// Somebody wants it to end.
    Asked,
}

/// A volume that is mounted.
pub struct Mounted {
    shared: Arc<Shared>,
    mount_point: PathBuf,
    device: Option<u64>,
    events: Receiver<End>,
    tell: Sender<End>,
    _watcher: Option<Watcher>,
}

/// Mounts the volume with that name of the box at a place that [`mount_point::check`] has found good, served by so
/// many threads. This program, started with `watch`, is to call [`watcher::watch`].
///
/// # Errors
/// Why not.
pub fn mount(
    volume: &str,
    mount_point: &Path,
    threads: usize,
    watch: &[&OsStr],
) -> Result<Mounted, Refused> {
    let failed = |error: &std::io::Error| mount_point::refused(error);
    let place = std::fs::metadata(mount_point).map_err(|error| failed(&error))?;
    let server = Server::new(volume, mount_point, (place.uid(), place.gid()));
    let shared = Arc::new(Shared::new(server));
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("ntbox".to_owned()),
        MountOption::Subtype("ntbox".to_owned()),
        // The host's kernel knows who may do what, by the modes that it is told.
        MountOption::DefaultPermissions,
    ];
    config.acl = SessionACL::All;
    config.n_threads = Some(threads);
    let session = Session::new(Fuse(Arc::clone(&shared)), mount_point, &config)
        .map_err(|error| failed(&error))?;
    let device = session.as_fd().try_clone_to_owned();
    last_words::prepare(device.map_err(|error| failed(&error))?, mount_point);
    // Without it a process that is killed leaves a dead mount, and nothing else is wrong.
    let device = watcher::device_of(mount_point);
    let watcher =
        device.and_then(|device| Watcher::start(watch, mount_point, device, &session).ok());
    let (tell, events) = channel();
    let ended = tell.clone();
    std::thread::spawn(move || {
        let end = match session.run() {
            Ok(()) => End::Unmounted,
            Err(error) => End::Failed(error.to_string()),
        };
        // Nobody listens when the process ends without waiting for it.
        let _heard = ended.send(end);
    });
    Ok(Mounted {
        shared,
        mount_point: mount_point.to_owned(),
        device,
        events,
        tell,
        _watcher: watcher,
    })
}

impl Mounted {
    /// Has [`next`](Self::next) give [`End::Asked`] each time it is called, in any thread.
    pub fn asker(&self) -> impl Fn() + Send + Sync + 'static {
        let tell = std::sync::Mutex::new(self.tell.clone());
        move || {
            let tell = tell
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let _heard = tell.send(End::Asked);
        }
    }

    /// Requests that are being worked on, for who looks whether they move.
    pub fn busy(&self) -> impl Fn() -> u64 + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.busy()
    }

    /// Waits for what happens next.
    pub fn next(&self) -> End {
        self.events.recv().unwrap_or(End::Unmounted)
    }

    /// Takes it away if nobody uses it, and from its place if somebody does: true if it ends now.
    pub fn unmount(&self) -> bool {
        let gone = watcher::unmount_if_idle(&self.mount_point);
        if !gone {
            watcher::detach(&self.mount_point);
        }
        gone
    }

    /// How the calls ended so far.
    pub fn counts(&self) -> Counts {
        self.shared.server.tally().counts()
    }

    /// Ends it, whoever uses it: what programs ask for fails from now on, and what they have open is closed.
    pub fn end(self) -> Counts {
        self.shared.stop();
        self.shared.server.locks.end();
        while self.shared.busy() != 0 {
            std::thread::sleep(PATIENCE);
        }
        self.shared.server.end();
        self.counts()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Another one may be there by now.
        if self.device.is_some() && watcher::device_of(&self.mount_point) == self.device {
            watcher::detach(&self.mount_point);
        }
        last_words::forget();
    }
}
