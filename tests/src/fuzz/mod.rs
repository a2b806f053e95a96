//! Requests to the control device, drawn from a seed: right ones, nearly right ones and any at all, by
//! several threads on handles that they share, while files are used, volumes are attached and detached,
//! memory is short and requests that wait are cancelled.
//!
//! | module | |
//! |---|---|
//! | [`draw`] | draws requests |
//! | [`judge`] | says what an answer must be |
//!
//! What one thread does is a function of the seed and its number; how threads meet is not. A violation ends the
//! process with its own report.

mod draw;
mod judge;

use crate::client::Client;
use crate::machine::Volume;
use draw::Drawn;
use ntbox::nt::STATUS_SUCCESS;
use ntbox::pool::failure;
use ntbox::user::{Pending, access};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Handles that threads share.
const HANDLES: usize = 5;

/// Requests of a thread that wait.
const WAITING: usize = 1;

/// How long a request may go on before it is cancelled, in units of 100 ns.
const SHORT: i64 = 50_000;

/// What is drawn, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Fuzz {
    /// Of all choices.
    pub seed: u64,
    /// Steps: requests, and opens and closes of handles.
    pub cases: u64,
    /// Threads that draw.
    pub threads: u32,
    /// Whether the driver's allocations fail at times.
    pub short_of_memory: bool,
}

/// What is not as it must be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The seed.
    pub seed: u64,
    /// The thread.
    pub thread: u32,
    /// The number of the step in its thread.
    pub step: u64,
    /// What was asked and what is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}, thread {}, step {}: {}",
            self.seed, self.thread, self.step, self.what
        )
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Steps.
    pub steps: u64,
    /// Requests that did what they ask for.
    pub succeeded: u64,
    /// Requests that waited.
    pub waited: u64,
    /// Bytes of answers that were looked at.
    pub bytes: u64,
}

/// An open handle, and whether it may read and write.
struct Handle {
    client: Client,
    rights: [bool; 2],
}

/// A request that waits.
struct Waiting {
    pending: Pending<'static>,
    drawn: Drawn,
    rights: [bool; 2],
    /// Without it the handle may be closed meanwhile.
    _handle: Option<Arc<Handle>>,
}

struct Shared<'f> {
    fuzz: &'f Fuzz,
    handles: [Mutex<Option<Arc<Handle>>>; HANDLES],
    found: Mutex<Option<Finding>>,
    over: AtomicBool,
    done: [AtomicU64; 4],
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws requests until there are enough, or one of them is not answered as it must be.
///
/// # Errors
/// The first that was found.
///
/// # Panics
/// If a thread does.
pub fn run(fuzz: &Fuzz, volumes: &[Volume]) -> Result<Done, Finding> {
    let shared = Shared {
        fuzz,
        handles: Default::default(),
        found: Mutex::new(None),
        over: AtomicBool::new(false),
        done: Default::default(),
    };
    std::thread::scope(|scope| {
        let users: Vec<_> = volumes
            .iter()
            .map(|volume| scope.spawn(|| use_files(volume, &shared.over)))
            .collect();
        let drawing: Vec<_> = (0..fuzz.threads)
            .map(|number| {
                let shared = &shared;
                scope.spawn(move || Thread::new(shared, number).run())
            })
            .collect();
        let ended: Vec<_> = drawing.into_iter().map(|thread| thread.join()).collect();
        failure::fail_share(0, 0);
        shared.over.store(true, Ordering::SeqCst);
        let users = users.into_iter().map(|thread| thread.join());
        let all_well = ended.into_iter().chain(users).all(|ended| ended.is_ok());
        assert!(all_well, "a thread of the fuzz ended by a panic");
    });
    let found = locked(&shared.found).take();
    let [steps, succeeded, waited, bytes] = shared.done.map(AtomicU64::into_inner);
    found.map_or(
        Ok(Done {
            steps,
            succeeded,
            waited,
            bytes,
        }),
        Err,
    )
}

/// Uses a volume, with whatever result: it comes and goes, and memory is short.
fn use_files(volume: &Volume, over: &AtomicBool) {
    let mut number = 0_u32;
    while !over.load(Ordering::Relaxed) {
        number = number.wrapping_add(1);
        let path = format!("\\file{}", number % 5);
        let opened = volume.open(&path, |open| {
            open.access(access::READ | access::WRITE | access::DELETE)
                .disposition(ntbox::nt::FILE_OPEN_IF)
                .options(ntbox::nt::FILE_SYNCHRONOUS_IO_NONALERT)
        });
        if let Some(file) = opened.file {
            let _any = file.write(Some(0), b"data");
            let _any = file.read(Some(0), 4);
            let _any = file.query_information(ntbox::nt::FileStandardInformation, 24);
        }
    }
}

/// A thread that draws.
struct Thread<'f> {
    shared: &'f Shared<'f>,
    number: u32,
    step: u64,
    random: fastrand::Rng,
    waiting: Vec<Waiting>,
}

impl<'f> Thread<'f> {
    fn new(shared: &'f Shared<'f>, number: u32) -> Self {
        let seed = shared.fuzz.seed ^ u64::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self {
            shared,
            number,
            step: 0,
            random: fastrand::Rng::with_seed(seed),
            waiting: Vec::new(),
        }
    }

    fn run(mut self) {
        let steps = self.shared.fuzz.cases / u64::from(self.shared.fuzz.threads);
        while self.step < steps && !self.shared.over.load(Ordering::Relaxed) {
            self.step += 1;
            if let Err(what) = self.one() {
                self.shared.over.store(true, Ordering::SeqCst);
                locked(&self.shared.found).get_or_insert(Finding {
                    seed: self.shared.fuzz.seed,
                    thread: self.number,
                    step: self.step,
                    what,
                });
            }
        }
        self.count(0, self.step);
    }

    fn count(&self, what: usize, amount: u64) {
        self.shared.done[what].fetch_add(amount, Ordering::Relaxed);
    }

    fn one(&mut self) -> Result<(), String> {
        let slot = &self.shared.handles[self.random.usize(..HANDLES)];
        match self.random.u8(..100) {
            0..8 if locked(slot).is_none() => self.open(slot),
            8..10 => drop(locked(slot).take()),
            10..25 => return self.end_waiting(),
            25 if self.shared.fuzz.short_of_memory => {
                let share = [0, 0, 5, 30, 200][self.random.usize(..5)];
                failure::fail_share(share, self.random.u64(..));
            }
            _ => {
                let handle = locked(slot).clone();
                if let Some(handle) = handle {
                    return self.send(handle);
                }
            }
        }
        Ok(())
    }

    /// Opens a handle; without memory there is none.
    fn open(&mut self, slot: &Mutex<Option<Arc<Handle>>>) {
        let rights = [
            [true; 2],
            [true; 2],
            [true; 2],
            [true, false],
            [false, true],
        ];
        let rights = rights[self.random.usize(..rights.len())];
        let access = match rights {
            [true, true] => access::READ | access::WRITE,
            [true, false] => access::READ,
            _ => access::WRITE,
        };
        if let Ok(client) = Client::try_open(access) {
            *locked(slot) = Some(Arc::new(Handle { client, rights }));
        }
    }

    fn send(&mut self, handle: Arc<Handle>) -> Result<(), String> {
        let drawn = Drawn::draw(&mut self.random);
        let pending = handle
            .client
            .start(drawn.code, &drawn.input, drawn.output)
            .outlives_handle();
        let rights = handle.rights;
        if !pending.is_outstanding() {
            return self.judge(&drawn, rights, pending);
        }
        self.count(2, 1);
        self.waiting.push(Waiting {
            pending,
            drawn,
            rights,
            _handle: self.random.bool().then_some(handle),
        });
        if self.waiting.len() > WAITING {
            return self.end_waiting();
        }
        Ok(())
    }

    /// Cancels a request that waits, unless it has come back.
    fn end_waiting(&mut self) -> Result<(), String> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let place = self.random.usize(..self.waiting.len());
        let mut waiting = self.waiting.swap_remove(place);
        if self.random.u8(..4) == 0 || !waiting.pending.finishes_within(SHORT) {
            waiting.pending.cancel();
        }
        self.judge(&waiting.drawn, waiting.rights, waiting.pending)
    }

    fn judge(&self, drawn: &Drawn, rights: [bool; 2], pending: Pending<'_>) -> Result<(), String> {
        let outcome = pending.wait();
        self.count(1, (outcome.status == STATUS_SUCCESS).into());
        self.count(3, outcome.data.len() as u64);
        judge::judge(drawn, rights, &outcome, self.shared.fuzz.short_of_memory).map_err(|wrong| {
            let [read, write] = rights;
            format!(
                "{wrong}\n  {drawn:?}, the handle reads: {read}, writes: {write}\n  {outcome:?}"
            )
        })
    }
}

impl Drop for Thread<'_> {
    fn drop(&mut self) {
        for waiting in &mut self.waiting {
            waiting.pending.cancel();
        }
    }
}
