//! What judges take: seconds of each in a directory of the host, on the bare volume, under fsglass, and under fsglass
//! that is observed, side by side. `./dev judges --cost` runs it.

#[cfg(target_os = "linux")]
fn main() {
    cost::run(&std::env::args().skip(1).collect::<Vec<_>>());
}

/// There is no FUSE.
#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("volumes are mounted by FUSE, on Linux");
    std::process::exit(2);
}

#[cfg(target_os = "linux")]
mod cost {
    use fsglass_tests::command::fsglass_command;
    use fsglass_tests::drivers::{self, Profile};
    use fsglass_tests::judges::{ALL, Judge, KNOWN, Length, Place};
    use fsglass_tests::mounted::Mounted;
    use std::fs;
    use std::path::Path;
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    /// Rounds, each of all four, of which the median counts.
    const ROUNDS: usize = 3;

    fn median(mut times: Vec<f64>) -> f64 {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(0.0)
    }

    /// Measures the judges that are named, or all.
    pub fn run(names: &[String]) {
        println!(
            "{:<10} {:>10} {:>10} {:>10} {:>10}",
            "seconds", "directory", "bare", "filtered", "observed"
        );
        let wanted =
            |judge: &&Judge| names.is_empty() || names.iter().any(|name| name == judge.name);
        for judge in ALL.iter().filter(wanted) {
            let mut rounds: [Vec<f64>; 4] = Default::default();
            for _ in 0..ROUNDS {
                let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
                let times = [
                    seconds(judge, directory.path()),
                    on(judge, &["--bare"], false),
                    on(judge, &driver(), false),
                    on(judge, &driver(), true),
                ];
                for (round, time) in rounds.iter_mut().zip(times) {
                    round.push(time.as_secs_f64());
                }
            }
            let [plain, bare, filtered, observed] = rounds.map(median);
            println!(
                "{:<10} {plain:>10.2} {bare:>10.2} {filtered:>10.2} {observed:>10.2}",
                judge.name
            );
        }
    }

    fn driver() -> Vec<String> {
        let driver = drivers::fsglass(Profile::Release).display().to_string();
        ["--driver", &driver, "--setting", "AllowUnload=1"]
            .map(str::to_owned)
            .into()
    }

    fn on<S: AsRef<str>>(judge: &Judge, options: &[S], observed: bool) -> Duration {
        let mut options: Vec<&str> = options.iter().map(AsRef::as_ref).collect();
        if observed {
            options.extend(["--client", "127.0.0.1:0"]);
        }
        // No checks: what is measured is not the verifier.
        options.extend(["--verify", "none"]);
        let mut mounted = Mounted::start(&options);
        let observer = observed.then(|| observe(&mut mounted));
        let directory = mounted.place().join("judged");
        fs::create_dir(&directory).unwrap_or_else(|error| panic!("{error}"));
        let time = seconds(judge, &directory);
        if let Some(mut observer) = observer {
            let _killed = observer.kill();
            let _status = observer.wait();
        }
        mounted.unmount().expect_code(0);
        time
    }

    /// Counts all, and traces all with names.
    fn observe(mounted: &mut Mounted) -> Child {
        let served = mounted.await_message("clients are served at ");
        let address = served.rsplit(' ').next().unwrap_or_default();
        let mut command = fsglass_command(["--connect", address, "trace"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    fn seconds(judge: &Judge, directory: &Path) -> Duration {
        let begun = Instant::now();
        let verdicts = judge.judge(&Place {
            directory,
            length: Length::Bounded,
        });
        let elapsed = begun.elapsed();
        let known = |case: &str| {
            KNOWN
                .iter()
                .any(|(of, known, _)| *of == judge.name && *known == case)
        };
        for (case, how) in verdicts {
            let good = ["ok", "skipped"].contains(&how.as_str()) || known(&case);
            assert!(good, "{}: {case}: {how}", judge.name);
        }
        elapsed
    }
}
