//! The control device of `fskit.sys`.

#![expect(unsafe_code, reason = "the report arrives as bytes")]

use crate::Outcome;
use crate::device::Device;
use fskit_protocol::{Answer, CONTROL_PATH, NOT_MOUNTED, Report, control};

/// The open control device.
pub struct Kit(Device);

impl Kit {
    /// Opens it.
    pub fn open() -> Outcome<Self> {
        let device = Device::open(CONTROL_PATH);
        device
            .map(Self)
            .map_err(|error| format!("{CONTROL_PATH} cannot be opened: {error}"))
    }

    fn request(&self, code: u32, number: Option<u32>, room: usize) -> Outcome<Vec<u8>> {
        let input = number.map(u32::to_le_bytes);
        let input = input.as_ref().map_or(&[][..], |bytes| bytes);
        let output = self.0.control(code, input, room);
        output.map_err(|error| format!("control request {code:#x} of fskit.sys: {error}"))
    }

    /// What the driver has seen.
    pub fn report(&self) -> Outcome<Report> {
        let bytes = self.request(control::REPORT, None, size_of::<Report>())?;
        if bytes.len() != size_of::<Report>() {
            return Err(format!("a report of {} bytes", bytes.len()));
        }
        // SAFETY: bytes of a structure that is made of integers only.
        Ok(unsafe { bytes.as_ptr().cast::<Report>().read_unaligned() })
    }

    /// Volumes answer like this from now on.
    pub fn answer(&self, answer: Answer) -> Outcome {
        self.request(control::ANSWER, Some(answer as u32), 0)
            .map(drop)
    }

    /// Begins to mount a volume; the file system holds the request until it is released.
    pub fn begin_mount(&self, volume: u32) -> Outcome {
        self.answer(Answer::Held)?;
        let held = self.report()?.held;
        self.request(control::BEGIN_MOUNT, Some(volume), 0)?;
        while self.report()?.held == held {
            std::thread::yield_now();
        }
        self.answer(Answer::AtOnce)
    }

    /// Everything that is held is completed.
    pub fn release(&self) -> Outcome {
        self.request(control::RELEASE, None, 0).map(drop)
    }
}

/// Mounts a volume, once with each way to answer that a mount request has.
pub fn mount(volume: u32) -> Outcome {
    let kit = Kit::open()?;
    for answer in [Answer::Later, Answer::BeforeReturn, Answer::AtOnce] {
        kit.answer(answer)?;
        kit.request(control::MOUNT, Some(volume), 0)?;
        if answer != Answer::AtOnce {
            kit.request(control::DISMOUNT, Some(volume), 0)?;
        }
    }
    Ok(())
}

/// Dismounts a volume.
pub fn dismount(volume: u32) -> Outcome {
    Kit::open()?
        .request(control::DISMOUNT, Some(volume), 0)
        .map(drop)
}

/// Prints what the driver has seen.
pub fn print_report() -> Outcome {
    let report = Kit::open()?.report()?;
    println!("received={}", report.all_received());
    println!("through_filter={}", report.through_filter);
    println!("completed={}", report.completed);
    println!("cancelled={}", report.cancelled);
    println!("held={}", report.held);
    println!("above_file_system={}", report.above_file_system);
    for (number, above) in report.above_volume.into_iter().enumerate() {
        if above == NOT_MOUNTED {
            println!("above_volume{number}=not mounted");
        } else {
            println!("above_volume{number}={above}");
        }
    }
    println!("registrations={}", report.registrations);
    println!("providers={}", report.providers);
    println!("pool_blocks={}", report.pool_blocks);
    println!("log_entries={}", report.log_entries);
    println!("last_log_code={:#010x}", report.last_log_code);
    Ok(())
}
