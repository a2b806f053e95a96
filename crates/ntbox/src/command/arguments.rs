//! The command line.

use super::diff::options::{DiffOptions, SideOptions};
use super::mount::options::MountOptions;
use super::parse::{parse_setting, parse_volume};
use super::shared::{SharedOptions, Stubs};
use super::watchdog::PATIENCE;
use clap::{Args, Parser, Subcommand};
use ntbox::io_manager::driver::SettingValue;
use ntbox::io_manager::storage::VolumeDescription;
use ntbox::verifier::Options;
use std::path::PathBuf;

/// The NT I/O manager in a box: runs a legacy file-system filter .sys in this
/// process, over a model of the kernel that checks what Driver Verifier checks.
///
/// The shipped PE image is loaded as it is. Programs of the box then do real
/// file work through it, while the file system below completes requests now,
/// later, on other threads, at DISPATCH_LEVEL, with errors, or when they are
/// cancelled, chosen per request from a seed.
///
/// Exit code: 0 clean, 1 a violation or a difference, 2 wrong usage, 3 ntbox itself has failed.
#[derive(Debug, Parser)]
#[command(
    name = "ntbox",
    version,
    max_term_width = 100,
    propagate_version = true
)]
#[command(after_help = "\
Examples:
  ntbox demo --driver target/driver/fsglass.sys
  ntbox run --driver fsglass.sys --workload copy:/usr/share/doc --threads 4 --seed 7
  ntbox run --driver a.sys --driver b.sys --volume C=/tmp/c --volume N=/tmp/n,kind=network
  ntbox diff --driver fsglass.sys --rounds 20
  ntbox bench --driver fsglass.sys
  ntbox exports --dll hal.dll")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load drivers and run a workload over them
    Run(RunOptions),
    /// Say whether ntbox has what a driver imports, and what it asks of the file systems in a run
    Check(RunOptions),
    /// Serve a directory through the drivers at a place of the host, for any program to work in
    Mount(MountOptions),
    /// Ends a mount whose server was killed; `mount` starts it
    #[command(hide = true)]
    MountWatch {
        /// Where it is.
        mount_point: PathBuf,
        /// Its device.
        device: u64,
    },
    /// Carry a real tree of files through a driver and compare everything with a bare run
    Demo(DemoOptions),
    /// List the kernel routines that drivers can import
    Exports(ExportsOptions),
    /// Measure what a request costs with and without the drivers
    Bench(BenchOptions),
    /// List the rules that are checked, with what shows that each is caught
    Rules(RulesOptions),
    /// Carry out the same random programs with and without drivers and shrink what differs
    Diff(DiffOptions),
    /// One side of `diff`, which starts it
    #[command(hide = true)]
    DiffSide(SideOptions),
}

/// Options of `ntbox run`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Without --volume there are two, on empty temporary directories: the disk C:, and the removable D:, which is
mounted when the drivers have been loaded.
The workload writes below \\t1, \\t2, … of each volume (one directory per thread) and
deletes what it wrote; volumes of kind cdrom are only read.
The line `observed` is the same for every run with the same workload, seed and threads,
with and without drivers: compare it with that of --bare.

Examples:
  ntbox run --driver fsglass.sys --setting AllowUnload=1
  ntbox run --driver fsglass.sys --workload random --ops 100000 --seed 42
  ntbox run --bare --workload random --ops 100000 --seed 42
  ntbox run --driver fsglass.sys --verify all --ops 100000
  ntbox run --driver fsglass.sys --verify standard,force-pending
  ntbox run --driver fsglass.sys --verify standard,-CopiedWithoutCompletionRoutine
  ntbox run --driver fsglass.sys --setting AllowUnload=1 --every-failure --ops 2000
  ntbox run --driver fsglass.sys --workload copy:/usr/share/doc \\
      --volume C=/tmp/c --volume D=/tmp/d,mount=after --volume E=/tmp/e,mount=async \\
      --volume N=/tmp/n,kind=network --json
  ntbox run --driver fsglass.sys --setting AllowUnload=1 --client 127.0.0.1:7777 --paced")]
pub struct RunOptions {
    /// The box and its drivers.
    #[command(flatten)]
    pub shared: SharedOptions,
    /// Volume over a host directory; options: kind=disk|cdrom|network|removable|shadow,
    /// mount=before|after|async (when, seen from the loading of the drivers, it is mounted;
    /// async also completes the mount later), recognized=yes (its file system is loaded on demand).
    /// A file system on a disk or a shadow copy asks for direct I/O, on others for neither buffered
    /// nor direct. Without this option: a disk C: that is mounted before, and a removable D: after
    #[arg(long = "volume", value_name = "LETTER=HOSTDIR[,OPTION…]", value_parser = parse_volume)]
    pub volumes: Vec<VolumeDescription>,
    /// What the programs do: copy:SRC copies a host tree, compares, renames, locks, watches and
    /// deletes; random does random operations
    #[arg(long, value_name = "copy:SRC|random", default_value = "random", value_parser = parse_workload)]
    pub workload: WorkloadChoice,
    /// Random operations, shared by all threads and volumes
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub ops: u64,
    /// Files copied at most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub files: usize,
    /// Threads
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// The drivers may wait for requests of their own accord: none is held below until the thread that has sent it
    /// cancels it, as copy:SRC does otherwise, since that thread would be the one that waits
    #[arg(long)]
    pub may_pend: bool,
    /// Write every recorded result as a line to this file: two runs can be compared with diff
    #[arg(long, value_name = "PATH")]
    pub log: Option<PathBuf>,
    /// Unload the drivers while a directory change notification is outstanding on each volume;
    /// it is cancelled when they have gone, or when a minute of the box's time, which passes faster
    /// then, has shown that they wait for it
    #[arg(long)]
    pub outstanding: bool,
    /// Make one run for each place of the drivers that allocates, in which its first allocation
    /// fails (with --failures also what else Windows may refuse), and report how each run ended. A place is a stack of calls within the drivers; those
    /// that show up only after a failure get runs of their own. Exit 1 if any run was not clean
    #[arg(long, conflicts_with_all = ["bare", "log", "fail_allocation", "client"])]
    pub every_failure: bool,
    /// Let the first allocation of the place with this key fail, as --every-failure names it
    #[arg(long, value_name = "KEY")]
    pub fail_at: Vec<String>,
    /// Write the places that allocate to this file
    #[arg(long, value_name = "PATH", hide = true)]
    pub call_sites: Option<PathBuf>,
    /// Start the workload when a line comes in on standard input, and unload the drivers when the
    /// input has ended, so that programs can look before and after
    #[arg(long, requires = "client")]
    pub paced: bool,
}

/// Options of `ntbox demo`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Five volumes on temporary directories: C: mounted before the driver loads, D: after it,
E: asynchronously, N: a network share, R: a CD-ROM that shows the source tree itself.
First the bare run, then the same under the drivers, on fresh volumes of the same process;
every request's result is compared.

Examples:
  ntbox demo --driver target/driver/fsglass.sys
  ntbox demo --driver fsglass.sys --source ~/src/linux/Documentation --threads 8 --seed 3")]
pub struct DemoOptions {
    /// Driver to load; repeat it to stack several, the first one lowest
    #[arg(long = "driver", value_name = "PATH", required = true)]
    pub drivers: Vec<PathBuf>,
    /// Tree of host files to carry through the driver
    #[arg(long, value_name = "DIR", default_value = "/usr/share/doc")]
    pub source: PathBuf,
    /// Tree to take instead when the source has fewer than --at-least files
    #[arg(long, value_name = "DIR")]
    pub fallback: Option<PathBuf>,
    /// Files that the tree must have
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub at_least: usize,
    /// Files copied at most
    #[arg(long, value_name = "N", default_value_t = 2500)]
    pub files: usize,
    /// Larger files are left out
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub largest: u64,
    /// Random operations after the tree
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub ops: u64,
    /// Threads
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Further values of every driver's Parameters key (AllowUnload=1 is set)
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub settings: Vec<(String, SettingValue)>,
    /// Imports that are missing
    #[command(flatten)]
    pub stubs: Stubs,
    /// What is checked and what is injected: standard, all, none, or a list with commas of
    /// special-pool (each block on pages of its own, freed memory and freed requests are never used
    /// again), force-irql (paged pool and pageable code are inaccessible at DISPATCH_LEVEL; pool
    /// needs special-pool), pool-tracking (leaks), io (requests, devices, completion), deadlock
    /// (the order of locks), ddi (IRQL and pairing of calls), irp-logging (each request's history
    /// for reports); and three that are not in standard: fence (a driver that touches a request
    /// after it has given it away, though the request is still there; slow), low-resources (a
    /// share of the drivers' allocations fails once they are loaded), force-pending (every request
    /// below returns STATUS_PENDING and is completed elsewhere).
    /// A rule of `ntbox rules` is switched off with - before its name, as an option is
    /// (standard,-MdlState), and one that is not reported by default is switched on by its name
    #[arg(
        long,
        value_name = "standard|all|LIST",
        default_value = "standard",
        allow_hyphen_values = true
    )]
    pub verify: Options,
    /// Seconds in which nothing need move; then the run is ended and says who waits for what. A debugger
    /// that stops the process does not count
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
    /// One JSON object on standard output instead of text
    #[arg(long)]
    pub json: bool,
}

/// Options of `ntbox exports`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  ntbox exports
  ntbox exports --prefix io
  ntbox exports --check fsglass.sys")]
pub struct ExportsOptions {
    /// Only routines of this DLL
    #[arg(long, value_name = "NAME")]
    pub dll: Option<String>,
    /// Only routines of this family: io, ke, ex, ob, rtl, fsrtl, mm, ps, se, zw, …
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Only the imports of this driver; exit 1 if one is not bound
    #[arg(long, value_name = "PATH")]
    pub check: Option<PathBuf>,
    /// One JSON array on standard output
    #[arg(long)]
    pub json: bool,
}

/// Options of `ntbox rules`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  ntbox rules
  ntbox rules --json")]
pub struct RulesOptions {
    /// One JSON array on standard output
    #[arg(long)]
    pub json: bool,
}

/// Options of `ntbox bench`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
All measurements are made in one process over the same bottom device, with the verifier off
unless --verify says otherwise. Rounds through each level of the stack take turns: the
volume device itself, the lowest driver, the next one, and the median counts. What a driver
does for one request is then counted instruction by instruction: kernel calls, interlocked
instructions, and writes to memory that requests share.

Examples:
  ntbox bench --driver fsglass.sys
  ntbox bench --driver other.sys --driver fsglass.sys --driver fsglass.sys
  ntbox bench --driver fsglass.sys --threads 1,2,4 --rounds 9 --requests 500000 --json
  ntbox bench --driver fsglass.sys --verify-cost --requests 200000
  ntbox bench --driver fsglass.sys --by-hand --verify standard --rounds 1 --requests 10000000")]
pub struct BenchOptions {
    /// Driver to load; repeat it to stack several, the first one lowest
    #[arg(long = "driver", value_name = "PATH", required = true)]
    pub drivers: Vec<PathBuf>,
    /// Value of every driver's Parameters key
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub settings: Vec<(String, SettingValue)>,
    /// Imports that are missing
    #[command(flatten)]
    pub stubs: Stubs,
    /// Rounds of each side
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Requests driven by hand in a round; a twentieth of it for whole calls
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub requests: u64,
    /// Measure instead what each option of the verifier costs: one row per option, each in a
    /// process of its own
    #[arg(long, conflicts_with = "verify")]
    pub verify_cost: bool,
    /// Measure instead what it costs to observe, in each way that fsglass can: it is the one driver
    #[arg(long, conflicts_with = "verify_cost")]
    pub observe: bool,
    /// What is verified while the requests are measured
    #[arg(
        long,
        value_name = "standard|all|LIST",
        default_value = "none",
        allow_hyphen_values = true
    )]
    pub verify: Options,
    /// Measure requests driven by hand only
    #[arg(long)]
    pub by_hand: bool,
    /// Threads that work at the same time, each with a request and files of its own
    #[arg(long, value_name = "N[,N…]", default_value = "1,2", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Vec<u16>,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// What `--workload` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadChoice {
    /// Copy this tree.
    Copy(PathBuf),
    /// Random operations.
    Random,
}

/// `copy:SRC` or `random`.
pub fn parse_workload(text: &str) -> Result<WorkloadChoice, String> {
    match text.split_once(':') {
        None if text == "random" => Ok(WorkloadChoice::Random),
        Some(("copy", "")) => Err("copy: needs a directory, as in copy:/usr/share/doc".to_owned()),
        Some(("copy", source)) => Ok(WorkloadChoice::Copy(source.into())),
        _ => Err("a workload is copy:SRC or random".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn workloads_are_copy_or_random() {
        assert_eq!(parse_workload("random"), Ok(WorkloadChoice::Random));
        assert_eq!(
            parse_workload("copy:/a:b"),
            Ok(WorkloadChoice::Copy("/a:b".into()))
        );
        assert!(parse_workload("copy:").is_err());
        assert!(parse_workload("copy").is_err());
        assert!(parse_workload("paste:/a").is_err());
    }

    #[test]
    fn a_whole_command_line_is_read() {
        let line =
            "ntbox run --driver a.sys --driver b.sys --volume C=/tmp --setting X=2 --seed 9 --json";
        let Command::Run(options) = Arguments::parse_from(line.split(' ')).command else {
            panic!("run")
        };
        let shared = &options.shared;
        assert_eq!(
            shared.drivers,
            [PathBuf::from("a.sys"), PathBuf::from("b.sys")]
        );
        assert_eq!(
            (shared.seed, shared.json, options.threads, shared.bare),
            (9, true, 4, false)
        );
        assert!(Arguments::try_parse_from(["ntbox", "demo"]).is_err());
        assert!(Arguments::try_parse_from(["ntbox", "run", "--threads", "0"]).is_err());
    }
}
