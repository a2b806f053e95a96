//! The command line.

use crate::trace::groups::Key;
use clap::{Args, Parser, Subcommand, ValueEnum};
use fsglass_protocol::Operation;
use fsglass_protocol::trace::ring::{GREATEST, LEAST};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Installs, starts, shows and exercises the fsglass file-system filter.
#[derive(Debug, Parser)]
#[command(name = "fsglass", version, after_long_help = AFTER)]
pub struct CommandLine {
    /// What concerns every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "\
Exit codes:
  0  done, and nothing is wrong
  1  it failed; the message has the Windows code, its text, and what to do
  2  called wrongly
  3  administrator rights are missing
  4  the driver is not installed, or does not run
  5  doctor found an obstacle, exercise found wrong data, or a trace in a file is cut off
  6  done; takes effect after a restart of Windows

Examples:
  fsglass status
  fsglass list --json
  fsglass stats --watch
  fsglass trace --names --volume C:
  fsglass detach D:
";

/// What concerns every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The service of the driver: one image can run as several
    #[arg(long, global = true, value_name = "NAME", default_value = "fsglass")]
    pub service: String,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Use the driver that runs in ntbox (`ntbox run --client ADDRESS`) instead of Windows
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = loopback)]
    pub connect: Option<SocketAddr>,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    ntbox_client::loopback(text).map_err(|error| error.to_string())
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install the driver from its package (administrator)
    #[command(after_long_help = INSTALL_EXAMPLES)]
    Install {
        /// The package's INF; default: the one beside this program
        #[arg(long, value_name = "FILE")]
        inf: Option<PathBuf>,
        /// Start the driver with Windows, before other filters; needs a restart
        #[arg(long)]
        boot: bool,
    },

    /// Stop the driver, if it can be stopped, and remove it (administrator)
    Uninstall,

    /// Make Windows believe the test signature of the package, or no longer (administrator)
    #[command(after_long_help = CERTIFICATE_EXAMPLES)]
    Certificate {
        /// What to do
        #[command(subcommand)]
        what: Certificate,
    },

    /// Look for what keeps the driver from being installed, started or attached
    ///
    /// Test signing, Secure Boot, memory integrity, IoBlockLegacyFsFilters, DAX volumes, other
    /// legacy filters, the version of Windows. Each finding says what to do.
    Doctor,

    /// Have Driver Verifier check the driver (administrator)
    ///
    /// Sets the options of verifier.exe; they take effect when Windows is started anew. They replace
    /// the options that were set for any other driver.
    #[command(after_long_help = VERIFY_EXAMPLES)]
    Verify {
        /// What to do
        #[command(subcommand)]
        what: Verify,
    },

    /// Start the driver (administrator)
    Start,

    /// Stop the driver, where AllowUnload lets it be stopped (administrator)
    Stop,

    /// Show whether the driver runs, its version and its settings (administrator)
    Status,

    /// List file systems and volumes: what is filtered since when, and why something is not
    /// (administrator)
    List,

    /// Show how many requests passed, how long they took and how they ended (administrator)
    ///
    /// Per volume and operation, what the memory manager and the cache manager page apart from what
    /// programs ask for. The driver counts for as long as this or another program asks for it, or always
    /// where the setting Statistics is 1; without --watch and --interval, what it has counted since it
    /// began is shown. P50 and P99 are never below the true percentile, and at most 12.5 % above it; MAX
    /// is exact, and always that of all time.
    #[command(after_long_help = STATS_EXAMPLES)]
    Stats(Stats),

    /// Show requests as they complete (administrator)
    ///
    /// A line each, in the order of their completion, until Ctrl-C. FL: P pended, N fast I/O was declined and
    /// a request follows, D completed at DISPATCH_LEVEL. A name is shown as ? where it is not known, with …
    /// in front where it is cut off, and with ~ where something was renamed since it was found out. What the
    /// driver had no room for is lost, never waited for; the number is told at the end, on standard error.
    ///
    /// The driver picks what --volume, --process, --operation, --exclude-operation, --name, --slower-than and
    /// --failures ask for; a single --path it takes as the beginning of names. The rest is picked by this program, out
    /// of what the driver has recorded, and so not in what --save keeps: give it to `replay`.
    #[command(after_long_help = TRACE_EXAMPLES)]
    Trace(Trace),

    /// Show a trace that was saved, as `trace` does
    #[command(after_long_help = REPLAY_EXAMPLES)]
    Replay(Replay),

    /// Compare two traces that were saved: what the same requests cost in the one and in the other
    ///
    /// Ratios are those of the second to the first: 1.20 is a fifth more. Medians and percentiles are never below the
    /// true ones, and at most 12.5 % above them; ratios near 1 say nothing.
    #[command(after_long_help = COMPARE_EXAMPLES)]
    Compare(Compare),

    /// Make a page of a trace that was saved, for a browser
    ///
    /// What was asked, how long it took, the busiest files, the slowest requests, failures. One file, which
    /// loads nothing and runs no script. Medians and percentiles are never below the true ones, and at
    /// most 12.5 % above them.
    #[command(after_long_help = REPORT_EXAMPLES)]
    Report(Report),

    /// Filter a volume (administrator)
    ///
    /// Whatever the policy in the registry says: it was asked for by name.
    #[command(after_long_help = VOLUME_EXAMPLES)]
    Attach(Volume),

    /// Filter a volume no longer, until `attach` or a restart of the driver (administrator)
    ///
    /// It also stays unfiltered when it is dismounted and mounted again.
    #[command(after_long_help = VOLUME_EXAMPLES)]
    Detach(Volume),

    /// Do file I/O in several threads, and verify all data, names and sizes
    ///
    /// Works on any volume, filtered or not, and needs no administrator rights.
    #[command(after_long_help = EXERCISE_EXAMPLES)]
    Exercise(Exercise),
}

const INSTALL_EXAMPLES: &str = r"Examples:
  fsglass install
  fsglass install --boot
  fsglass install --inf E:\package\fsglass.inf
";

const CERTIFICATE_EXAMPLES: &str = r"Examples:
  fsglass certificate install
  fsglass certificate remove fsglass.cer
";

const VERIFY_EXAMPLES: &str = r"Examples:
  fsglass verify on
  fsglass verify on --class irp-life --class pending
  fsglass verify query
  fsglass verify off
";

/// What to do with the test certificate.
#[derive(Debug, Subcommand)]
pub enum Certificate {
    /// Add it to the machine's stores Root and TrustedPublisher
    Install {
        /// The certificate; default: the one beside this program
        file: Option<PathBuf>,
    },
    /// Remove it from both
    Remove {
        /// The certificate; default: the one beside this program
        file: Option<PathBuf>,
    },
}

/// What to do with Driver Verifier.
#[derive(Debug, Subcommand)]
pub enum Verify {
    /// Check the driver from the next start of Windows on
    On {
        /// What to check; may be repeated
        #[arg(long, value_enum, default_value = "standard")]
        class: Vec<RuleClass>,
    },
    /// Check no driver any more
    Off,
    /// Show what is checked now, and from the next start on
    Query,
}

/// A class of rules: the chapters of docs/rules.md, as far as Driver Verifier has options for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuleClass {
    /// What Microsoft's standard settings check
    Standard,
    /// Requests: completed once, passed on or completed, stack locations
    IrpLife,
    /// STATUS_PENDING, with every request made to pend
    Pending,
    /// What may be called at which level
    Irql,
    /// Device objects, attaching and detaching
    Devices,
    /// Memory: overruns, use after free, leaks at unload
    Pool,
    /// Spin locks and their order
    Locks,
    /// Allocations that fail at random
    LowResources,
    /// Each place that allocates fails once
    SystematicLowResources,
}

/// The workload.
#[derive(Debug, Args)]
pub struct Exercise {
    /// Where to work: a directory on the volume to be exercised
    pub directory: PathBuf,
    /// Threads that work at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// Operations of each thread
    #[arg(long, default_value_t = 2000, value_name = "NUMBER")]
    pub operations: u64,
    /// Files that each thread has at one time
    #[arg(long, default_value_t = 32, value_name = "NUMBER")]
    pub files: usize,
    /// The greatest size of a file, in KiB
    #[arg(long, default_value_t = 256, value_name = "KIB")]
    pub size: usize,
    /// The same operations as in a run that printed this seed
    #[arg(long)]
    pub seed: Option<u64>,
}

const EXERCISE_EXAMPLES: &str = r"Examples:
  fsglass exercise D:\\
  fsglass exercise D:\\ --threads 16 --operations 100000
  fsglass exercise D:\\ --seed 8123 --json

What is wrong stays in the directory fsglass-exercise-NUMBER, to be looked at.
";

/// What `stats` shows.
#[derive(Debug, Args)]
pub struct Stats {
    /// Show again and again what happened in the last interval, until Ctrl-C; on a terminal in one place
    #[arg(long)]
    pub watch: bool,
    /// Show what happens in so many seconds; with --watch 1 by default
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub interval: Option<f64>,
    /// Show this volume alone: a drive letter, or the name of a device as `fsglass list` shows it
    #[arg(long)]
    pub volume: Option<String>,
    /// Print CSV instead of text; durations are in microseconds
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

const STATS_EXAMPLES: &str = r"Examples:
  fsglass stats
  fsglass stats --watch --volume C:
  fsglass stats --interval 10 --csv > stats.csv
  fsglass stats --watch --interval 5 --json

With --watch and --json each interval is a line of its own.
";

/// Which requests are shown: all that is said must hold.
#[derive(Debug, Default, Args)]
pub struct Wanted {
    /// Of this volume: a drive letter, or the name of a device as `fsglass list` shows it
    #[arg(long)]
    pub volume: Option<String>,
    /// Sent in the context of the process with this id
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u32).range(1..))]
    pub process: Option<u32>,
    /// Of this kind, such as read, paging-read, fast-read, acquire-for-section; may be repeated
    #[arg(long, value_name = "OPERATION", value_parser = operation)]
    pub operation: Vec<Operation>,
    /// Of files whose name matches: * stands for any text, ? for one character; case does not count
    #[arg(long, value_name = "PATTERN")]
    pub name: Option<String>,
    /// Of files whose name does not match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub exclude_name: Vec<String>,
    /// Of this directory and all below it, or of this file; may be repeated
    #[arg(long, value_name = "PATH")]
    pub path: Vec<String>,
    /// Not of this kind; may be repeated
    #[arg(long, value_name = "OPERATION", value_parser = operation)]
    pub exclude_operation: Vec<Operation>,
    /// Not sent in the context of the process with this id; may be repeated
    #[arg(long, value_name = "ID")]
    pub exclude_process: Vec<u32>,
    /// That completed with this status, such as SHARING_VIOLATION or 0xC0000043; may be repeated
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub status: Vec<u32>,
    /// That completed with another status than this; may be repeated
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub exclude_status: Vec<u32>,
    /// With this minor function, as a number; may be repeated
    #[arg(long, value_name = "NUMBER")]
    pub minor: Vec<u8>,
    /// That took at least so long, such as 5ms
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub slower_than: Option<Duration>,
    /// That completed with an error or a warning
    #[arg(long)]
    pub failures: bool,
}

/// What `trace` shows.
#[derive(Debug, Args)]
pub struct Trace {
    /// Which requests
    #[command(flatten)]
    pub wanted: Wanted,
    /// Find out the names of files, which costs more; --name, --path and --exclude-name do that by themselves
    #[arg(long)]
    pub names: bool,
    /// Show what this program itself does as well
    #[arg(long)]
    pub with_self: bool,
    /// Room that the driver has for what was not read yet, a power of two such as 16M
    #[arg(long, value_name = "BYTES", value_parser = ring)]
    pub ring: Option<u32>,
    /// Stop after so many requests
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
    /// Print CSV instead of text; durations are in microseconds
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Save them to this file instead of showing them; `replay` and `report` read it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "csv"])]
    pub save: Option<PathBuf>,
}

/// What `replay` shows.
#[derive(Debug, Args)]
pub struct Replay {
    /// What `trace --save` has written
    pub file: PathBuf,
    /// Which requests
    #[command(flatten)]
    pub wanted: Wanted,
    /// Stop after so many requests
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
    /// Count together what has this in common, instead of showing each; what took most time comes first
    #[arg(long, value_enum, value_name = "WHAT")]
    pub group_by: Option<Key>,
    /// Print CSV instead of text; durations are in microseconds
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Print Chrome's trace events, which Perfetto and chrome://tracing draw over time
    #[arg(long, conflicts_with_all = ["json", "csv", "group_by"])]
    pub trace_events: bool,
}

/// What `compare` shows.
#[derive(Debug, Args)]
pub struct Compare {
    /// What `trace --save` has written
    pub first: PathBuf,
    /// What it has written at another time, such as with another filter above or below
    pub second: PathBuf,
    /// Which requests
    #[command(flatten)]
    pub wanted: Wanted,
    /// Count together what has this in common
    #[arg(long, value_enum, value_name = "WHAT", default_value = "operation")]
    pub group_by: Key,
    /// Print CSV instead of text; durations are in microseconds
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

const COMPARE_EXAMPLES: &str = r"Examples:
  fsglass compare without.fsgtrace with.fsgtrace
  fsglass compare monday.fsgtrace friday.fsgtrace --group-by extension --operation create
";

/// What `report` makes.
#[derive(Debug, Args)]
pub struct Report {
    /// What `trace --save` has written
    pub file: PathBuf,
    /// The page
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub output: PathBuf,
    /// Which requests
    #[command(flatten)]
    pub wanted: Wanted,
}

const REPORT_EXAMPLES: &str = r"Examples:
  fsglass report slow.fsgtrace
  fsglass report slow.fsgtrace --volume C: --failures -o failures.html
";

const TRACE_EXAMPLES: &str = r"Examples:
  fsglass trace --names --volume C:
  fsglass trace --operation create --failures --names --count 100
  fsglass trace --slower-than 10ms --json
  fsglass trace --path \\Users --exclude-operation query-information --exclude-status END_OF_FILE
  fsglass trace --name *.log --ring 16M --save slow.fsgtrace

--json prints an object in each line.
";

const REPLAY_EXAMPLES: &str = r"Examples:
  fsglass replay slow.fsgtrace
  fsglass replay slow.fsgtrace --operation read --operation fast-read --slower-than 1ms
  fsglass replay slow.fsgtrace --csv > slow.csv
  fsglass replay slow.fsgtrace --group-by path --failures
  fsglass replay slow.fsgtrace --trace-events > slow.json
";

fn operation(text: &str) -> Result<Operation, String> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['_', ' '], "-");
    let wanted = plain(text);
    let wanted = wanted.strip_prefix("irp-mj-").unwrap_or(&wanted);
    let mut all = Operation::all();
    let known = all.find(|operation| plain(operation.name()) == wanted);
    known.ok_or_else(|| {
        let names = Operation::all().map(|operation| plain(operation.name()));
        format!(
            "the operations are {}",
            names.collect::<Vec<_>>().join(", ")
        )
    })
}

fn status(text: &str) -> Result<u32, String> {
    crate::status::number(text).ok_or_else(|| {
        "a status is a name, such as SHARING_VIOLATION, or a number, such as 0xC0000043".to_owned()
    })
}

fn ring(text: &str) -> Result<u32, String> {
    let upper = text.to_ascii_uppercase();
    let (digits, unit) = match upper.strip_suffix('M') {
        Some(digits) => (digits, 1 << 20),
        None => match upper.strip_suffix('K') {
            Some(digits) => (digits, 1 << 10),
            None => (upper.as_str(), 1),
        },
    };
    let bytes = digits
        .parse()
        .ok()
        .and_then(|number: u32| number.checked_mul(unit));
    let fits = |bytes: &u32| bytes.is_power_of_two() && (LEAST..=GREATEST).contains(bytes);
    bytes.filter(fits).ok_or_else(|| {
        format!(
            "it is a power of two from {}K to {}M",
            LEAST >> 10,
            GREATEST >> 20
        )
    })
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if (0.01..=86_400.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("it is not between 0.01 and 86400".to_owned())
    }
}

const VOLUME_EXAMPLES: &str = r"Examples:
  fsglass attach D:
  fsglass attach \Device\HarddiskVolume3
";

/// A volume or file system.
#[derive(Debug, Args)]
pub struct Volume {
    /// A drive letter such as D:, or the name of a device as `fsglass list` shows it
    pub volume: String,
}
