//! What a machine of the box has.

use std::fmt::{self, Display};

/// A driver that is loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DriverFile {
    /// Its service.
    pub service: String,
    /// Its image on the host.
    pub file: String,
}

/// A drive letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Such as `C:`.
    pub letter: String,
    /// The device that it stands for.
    pub device: String,
}

/// Drivers and drive letters. Its text is what the box answers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Machine {
    /// The drivers, in the order in which they were loaded.
    pub drivers: Vec<DriverFile>,
    /// The letters.
    pub letters: Vec<Letter>,
}

impl Machine {
    /// Reads the text; `None` if it is not of this form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut machine = Self::default();
        for line in text.lines() {
            let mut parts = line.splitn(3, '\t').map(str::to_owned);
            let (what, name, value) = (parts.next()?, parts.next()?, parts.next()?);
            match what.as_str() {
                "driver" => machine.drivers.push(DriverFile {
                    service: name,
                    file: value,
                }),
                "letter" => machine.letters.push(Letter {
                    letter: name,
                    device: value,
                }),
                _ => return None,
            }
        }
        Some(machine)
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for driver in &self.drivers {
            writeln!(f, "driver\t{}\t{}", driver.service, driver.file)?;
        }
        for letter in &self.letters {
            writeln!(f, "letter\t{}\t{}", letter.letter, letter.device)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_text_is_read_again() {
        let machine = Machine {
            drivers: vec![DriverFile {
                service: "fsglass".to_owned(),
                file: "/a directory/fsglass.sys".to_owned(),
            }],
            letters: vec![Letter {
                letter: "C:".to_owned(),
                device: r"\Device\HarddiskVolume1".to_owned(),
            }],
        };
        assert_eq!(Machine::parse(&machine.to_string()), Some(machine));
        assert_eq!(Machine::parse(""), Some(Machine::default()));
        assert_eq!(Machine::parse("driver\tfsglass"), None);
        assert_eq!(Machine::parse("disk\ta\tb"), None);
    }
}
