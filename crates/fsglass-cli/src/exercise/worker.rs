//! One thread of the workload: its files, and what must be in them.

use super::{Options, Tally};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Result, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// The kinds of operation.
#[cfg(test)]
pub(super) const OPERATIONS: [&str; 8] = [
    "create", "write", "read", "append", "truncate", "rename", "delete", "list",
];

/// How many of each kind of trouble are told.
const MOST_TOLD: usize = 20;

/// A thread of the workload.
pub(super) struct Worker {
    directory: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
    random: fastrand::Rng,
    named: u64,
    most_files: usize,
    most_bytes: usize,
    tally: Tally,
}

/// What an operation has found wrong: the data, or that it could not be done.
enum Trouble {
    Difference(String),
    Failure(std::io::Error),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Failure(error)
    }
}

type Outcome = std::result::Result<(), Trouble>;

impl Worker {
    /// A thread that works in `directory`, which it makes.
    pub(super) fn new(directory: PathBuf, options: &Options, thread: u32) -> Self {
        let mut tally = Tally::default();
        if let Err(error) = std::fs::create_dir(&directory) {
            let what = format!("cannot create {}: {error}", directory.display());
            tally.failures.push(what);
        }
        Self {
            directory,
            files: BTreeMap::new(),
            random: fastrand::Rng::with_seed(options.seed ^ u64::from(thread) << 32),
            named: 0,
            most_files: options.files.max(1),
            most_bytes: options.size.max(1),
            tally,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn new_name(&mut self) -> String {
        self.named += 1;
        format!("file {:06}.bin", self.named)
    }

    /// Any of the files there are.
    fn some_file(&mut self) -> Option<String> {
        let count = self.files.len();
        let which = self.random.usize(..count.max(1));
        self.files.keys().nth(which).cloned()
    }

    fn some_bytes(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.random.usize(..=most)];
        self.random.fill(&mut bytes);
        bytes
    }

    /// One operation; whether to go on.
    pub(super) fn step(&mut self) -> bool {
        let room = self.files.len() < self.most_files;
        let operation = match (self.some_file(), self.random.u32(..100)) {
            (None, _) => "create",
            (_, 0..15) if room => "create",
            (_, 0..35) => "write",
            (_, 35..65) => "read",
            (_, 65..75) => "append",
            (_, 75..81) => "truncate",
            (_, 81..87) => "rename",
            (_, 87..94) => "delete",
            _ => "list",
        };
        let name = self.some_file().unwrap_or_default();
        let outcome = match operation {
            "create" => self.create(),
            "write" => self.write(&name),
            "read" => self.read(&name),
            "append" => self.append(&name),
            "truncate" => self.truncate(&name),
            "rename" => self.rename(&name),
            "delete" => self.delete(&name),
            _ => self.list(),
        };
        self.note(operation, &name, outcome);
        self.tally.differences.len() < MOST_TOLD && self.tally.failures.len() < MOST_TOLD
    }

    fn note(&mut self, operation: &'static str, name: &str, outcome: Outcome) {
        *self.tally.operations.entry(operation).or_default() += 1;
        let path = self.path(name);
        match outcome {
            Ok(()) => {}
            Err(Trouble::Difference(what)) => {
                let what = format!("{operation} {}: {what}", path.display());
                self.tally.differences.push(what);
            }
            Err(Trouble::Failure(error)) => {
                let what = format!("{operation} {}: {error}", path.display());
                self.tally.failures.push(what);
            }
        }
    }

    fn create(&mut self) -> Outcome {
        let name = self.new_name();
        let contents = self.some_bytes(self.most_bytes);
        let mut file = File::create_new(self.path(&name))?;
        file.write_all(&contents)?;
        self.tally.bytes_written += contents.len() as u64;
        self.files.insert(name, contents);
        Ok(())
    }

    fn contents(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], Vec::as_slice)
    }

    fn write(&mut self, name: &str) -> Outcome {
        let length = self.contents(name).len();
        let at = self.random.usize(..=length);
        let data = self.some_bytes(length - at);
        let mut file = OpenOptions::new().write(true).open(self.path(name))?;
        file.seek(SeekFrom::Start(at as u64))?;
        file.write_all(&data)?;
        if self.random.bool() {
            file.sync_data()?;
        }
        self.tally.bytes_written += data.len() as u64;
        let contents = self.files.entry(name.to_owned()).or_default();
        contents.splice(at..at + data.len(), data);
        Ok(())
    }

    fn append(&mut self, name: &str) -> Outcome {
        let data = self.some_bytes(self.most_bytes - self.contents(name).len());
        let mut file = OpenOptions::new().append(true).open(self.path(name))?;
        file.write_all(&data)?;
        self.tally.bytes_written += data.len() as u64;
        let contents = self.files.entry(name.to_owned()).or_default();
        contents.extend(data);
        Ok(())
    }

    /// Shorter, or longer: what is new then is zero.
    fn truncate(&mut self, name: &str) -> Outcome {
        let length = self.random.usize(..=self.most_bytes);
        let file = OpenOptions::new().write(true).open(self.path(name))?;
        file.set_len(length as u64)?;
        let contents = self.files.entry(name.to_owned()).or_default();
        contents.resize(length, 0);
        Ok(())
    }

    /// A part of a file, and its size.
    fn read(&mut self, name: &str) -> Outcome {
        let length = self.contents(name).len();
        let from = self.random.usize(..=length);
        let to = self.random.usize(from..=length);
        self.compare(name, from, to)
    }

    fn compare(&mut self, name: &str, from: usize, to: usize) -> Outcome {
        let mut file = File::open(self.path(name))?;
        let (size, expected_size) = (file.metadata()?.len(), self.contents(name).len() as u64);
        if size != expected_size {
            let what = format!("{size} bytes long, and {expected_size} were written");
            return Err(Trouble::Difference(what));
        }
        file.seek(SeekFrom::Start(from as u64))?;
        let mut found = vec![0; to - from];
        read_up_to(&mut file, &mut found)?;
        self.tally.bytes_read += found.len() as u64;
        let expected = self.contents(name).get(from..to).unwrap_or_default();
        match found
            .iter()
            .zip(expected)
            .position(|(one, other)| one != other)
        {
            None => Ok(()),
            Some(place) => {
                let wrong = found
                    .iter()
                    .zip(expected)
                    .filter(|(one, other)| one != other);
                let (count, length) = (wrong.count(), found.len());
                let value = |bytes: &[u8]| bytes.get(place).copied().unwrap_or_default();
                Err(Trouble::Difference(format!(
                    "byte {} is 0x{:02X}, and 0x{:02X} was written ({count} of {length} bytes differ)",
                    from + place,
                    value(&found),
                    value(expected),
                )))
            }
        }
    }

    fn rename(&mut self, name: &str) -> Outcome {
        let new = self.new_name();
        std::fs::rename(self.path(name), self.path(&new))?;
        let contents = self.files.remove(name).unwrap_or_default();
        self.files.insert(new, contents);
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Outcome {
        std::fs::remove_file(self.path(name))?;
        self.files.remove(name);
        if self.path(name).exists() {
            return Err(Trouble::Difference(
                "still there after it was deleted".to_owned(),
            ));
        }
        Ok(())
    }

    /// The names and sizes in the directory.
    fn list(&mut self) -> Outcome {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            found.insert(name, std::fs::metadata(entry.path())?.len());
        }
        let sizes = self.files.iter();
        let expected: BTreeMap<_, _> = sizes
            .map(|(name, contents)| (name.clone(), contents.len() as u64))
            .collect();
        if found == expected {
            return Ok(());
        }
        let only = |one: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>| -> Vec<String> {
            let apart = one
                .iter()
                .filter(|(name, size)| other.get(*name) != Some(*size));
            apart
                .map(|(name, size)| format!("{name} ({size} bytes)"))
                .collect()
        };
        Err(Trouble::Difference(format!(
            "the directory has {:?} and should have {:?}",
            only(&found, &expected),
            only(&expected, &found)
        )))
    }

    /// Looks at every file from its first byte to its last, deletes all, and gives the account.
    pub(super) fn finish(mut self) -> Tally {
        let outcome = self.list();
        self.note("list", "", outcome);
        for name in self.files.keys().cloned().collect::<Vec<_>>() {
            let outcome = self.compare(&name, 0, self.contents(&name).len());
            self.note("read", &name, outcome);
        }
        // What is wrong stays, to be looked at.
        if self.tally.differences.is_empty() && self.tally.failures.is_empty() {
            for name in self.files.keys().cloned().collect::<Vec<_>>() {
                let outcome = self.delete(&name);
                self.note("delete", &name, outcome);
            }
            let removed = std::fs::remove_dir(&self.directory).map_err(Trouble::from);
            if removed.is_err() {
                self.note("delete", "", removed);
            }
        }
        self.tally
    }
}

/// As `read_exact`, but an early end leaves zeros: it is for the comparison to tell.
fn read_up_to(file: &mut File, buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(directory: &std::path::Path) -> Worker {
        let options = Options {
            threads: 1,
            operations: 0,
            files: 4,
            size: 4096,
            seed: 1,
        };
        let mut worker = Worker::new(directory.join("files"), &options, 0);
        assert!(worker.create().is_ok());
        let name = worker.some_file().unwrap();
        // Long enough to be damaged.
        worker.files.insert(name.clone(), vec![7; 1000]);
        std::fs::write(worker.path(&name), [7; 1000]).unwrap();
        worker
    }

    /// What is told after `damage` was done to the one file behind the worker's back.
    fn told_after(damage: impl Fn(&std::path::Path)) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let mut worker = worker(directory.path());
        let name = worker.some_file().unwrap();
        damage(&worker.path(&name));
        let tally = worker.finish();
        assert!(tally.failures.is_empty(), "{:?}", tally.failures);
        tally.differences
    }

    #[test]
    fn an_untouched_file_passes() {
        assert_eq!(told_after(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn a_byte_that_changed_is_found_by_its_place() {
        let told = told_after(|path| {
            let mut contents = vec![7; 1000];
            contents[500] = 8;
            std::fs::write(path, contents).unwrap();
        });
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("byte 500 is 0x08, and 0x07 was written (1 of 1000 bytes differ)"),
            "{told:?}"
        );
    }

    #[test]
    fn a_file_of_another_length_is_found() {
        let told = told_after(|path| std::fs::write(path, [7; 999]).unwrap());
        // By the listing and by the look at the file.
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[1].contains("999 bytes long, and 1000 were written"),
            "{told:?}"
        );
    }

    #[test]
    fn a_file_that_nobody_made_is_found() {
        let told = told_after(|path| std::fs::write(path.with_file_name("stray"), "x").unwrap());
        assert!(told[0].contains("stray (1 bytes)"), "{told:?}");
    }
}
