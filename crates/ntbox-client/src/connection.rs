//! The side of the program.

use crate::frame::{Frame, greet, kind};
use crate::machine::Machine;
use std::io::{Error, ErrorKind, Read, Result};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How often somebody who waits is asked whether to go on.
const LOOK: Duration = Duration::from_millis(20);

/// How long the box may take to close what was open.
const CLOSING: Duration = Duration::from_secs(10);

/// The address that `text` names, if all that it names are of this machine's loopback.
///
/// # Errors
/// If it names none or another one.
pub fn loopback(text: &str) -> Result<SocketAddr> {
    let addresses: Vec<SocketAddr> = text.to_socket_addrs()?.collect();
    if addresses.iter().any(|address| !address.ip().is_loopback()) {
        let what = format!("{text} is not a loopback address");
        return Err(Error::new(ErrorKind::InvalidInput, what));
    }
    let none = || Error::new(ErrorKind::InvalidInput, format!("{text} is no address"));
    addresses.first().copied().ok_or_else(none)
}

/// A program of the box.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    number: u32,
}

impl Connection {
    /// Connects to the box that listens there.
    ///
    /// # Errors
    /// Those of the network; if it is not a loopback address, or not ntbox that answers.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        if !address.ip().is_loopback() {
            let what = format!("{address} is not a loopback address");
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        greet(&mut stream)?;
        Ok(Self { stream, number: 0 })
    }

    /// What the machine has.
    ///
    /// # Errors
    /// Those of the network; an answer that makes no sense.
    pub fn machine(&mut self) -> Result<Machine> {
        let answer = self.ask(kind::MACHINE, 0, 0, Vec::new(), &|| false)?;
        let text = String::from_utf8(answer.bytes).ok();
        text.and_then(|text| Machine::parse(&text))
            .ok_or_else(senseless)
    }

    /// Opens a device for reading and writing: the status.
    ///
    /// # Errors
    /// Those of the network.
    pub fn open(&mut self, name: &str) -> Result<u32> {
        let answer = self.ask(kind::OPEN, 0, 0, name.into(), &|| false)?;
        Ok(answer.first)
    }

    /// Sends a device control to the device that is open: status and information. While it waits,
    /// `give_up` is asked again and again; when that says so, the control is cancelled.
    ///
    /// # Errors
    /// Those of the network; an answer that makes no sense.
    pub fn control(
        &mut self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        give_up: &dyn Fn() -> bool,
    ) -> Result<(u32, usize)> {
        let wanted = u32::try_from(output.len()).map_err(|_| senseless())?;
        let answer = self.ask(kind::CONTROL, code, wanted, input.to_vec(), give_up)?;
        let place = output.get_mut(..answer.bytes.len());
        place.ok_or_else(senseless)?.copy_from_slice(&answer.bytes);
        Ok((answer.first, answer.second as usize))
    }

    fn ask(
        &mut self,
        kind: u8,
        first: u32,
        second: u32,
        bytes: Vec<u8>,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Frame> {
        self.number = self.number.wrapping_add(1);
        let question = Frame {
            kind,
            number: self.number,
            first,
            second,
            bytes,
        };
        question.write(&mut self.stream)?;
        self.wait(give_up)?;
        let answer = Frame::read(&mut self.stream)?;
        if answer.kind != kind::ANSWER || answer.number != self.number {
            return Err(senseless());
        }
        Ok(answer)
    }

    /// Until the answer begins.
    fn wait(&mut self, give_up: &dyn Fn() -> bool) -> Result<()> {
        let mut cancelled = false;
        self.stream.set_read_timeout(Some(LOOK))?;
        loop {
            match self.stream.peek(&mut [0]) {
                Ok(_) => break,
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
            if !cancelled && give_up() {
                cancelled = true;
                let cancel = Frame {
                    kind: kind::CANCEL,
                    number: self.number,
                    first: 0,
                    second: 0,
                    bytes: Vec::new(),
                };
                cancel.write(&mut self.stream)?;
            }
        }
        self.stream.set_read_timeout(None)
    }
}

/// As on Windows, the device is closed when the program has gone on, and not at some time later.
impl Drop for Connection {
    fn drop(&mut self) {
        let told = self.stream.shutdown(Shutdown::Write);
        let limited = self.stream.set_read_timeout(Some(CLOSING));
        if told.is_ok() && limited.is_ok() {
            // An answer that nobody waits for, then the end, or the box is gone.
            while matches!(self.stream.read(&mut [0; 4096]), Ok(1..)) {}
        }
    }
}

/// What a read that has waited long enough gives, by system.
fn is_timeout(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn senseless() -> Error {
    let what = "the answer of ntbox makes no sense";
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A box that answers each question with what `answer` makes of it, or not at all.
    fn pretended(answer: impl Fn(&Frame) -> Option<Frame> + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            greet(&mut stream).unwrap();
            while let Ok(question) = Frame::read(&mut stream) {
                if let Some(answer) = answer(&question) {
                    answer.write(&mut stream).unwrap();
                }
            }
        });
        address
    }

    fn answer(question: &Frame, status: u32, bytes: &[u8]) -> Frame {
        Frame {
            kind: kind::ANSWER,
            number: question.number,
            first: status,
            second: bytes.len() as u32,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn controls_are_answered() {
        let address = pretended(|question| match question.kind {
            kind::OPEN => Some(answer(question, u32::from(question.bytes != b"x"), &[])),
            _ => Some(answer(question, 5, &question.bytes)),
        });
        let mut connection = Connection::connect(address).unwrap();
        assert_eq!(connection.open("x").unwrap(), 0);
        let mut output = [0; 4];
        let answered = connection.control(1, b"abc", &mut output, &|| false);
        assert_eq!(answered.unwrap(), (5, 3));
        assert_eq!(&output, b"abc\0");
        let too_much = connection.control(1, b"abcde", &mut output, &|| false);
        assert_eq!(too_much.unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn one_that_waits_is_cancelled() {
        const CANCELLED: u32 = 0xC000_0120;
        let address = pretended(|question| {
            (question.kind == kind::CANCEL).then(|| answer(question, CANCELLED, &[]))
        });
        let mut connection = Connection::connect(address).unwrap();
        let asked = std::cell::Cell::new(0);
        let give_up = || {
            asked.set(asked.get() + 1);
            asked.get() == 3
        };
        let answered = connection.control(1, &[], &mut [], &give_up);
        assert_eq!(answered.unwrap(), (CANCELLED, 0));
    }

    #[test]
    fn an_answer_to_another_question_is_refused() {
        let address = pretended(|question| {
            Some(Frame {
                number: question.number + 1,
                ..answer(question, 0, &[])
            })
        });
        let mut connection = Connection::connect(address).unwrap();
        assert_eq!(
            connection.open("x").unwrap_err().kind(),
            ErrorKind::InvalidData
        );
    }

    #[test]
    fn the_box_has_closed_everything_when_it_is_dropped() {
        let closed = Arc::new(AtomicBool::new(false));
        let sees = Arc::clone(&closed);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            greet(&mut stream).unwrap();
            assert!(Frame::read(&mut stream).is_err(), "it asks nothing");
            std::thread::sleep(Duration::from_millis(50));
            sees.store(true, Ordering::SeqCst);
        });
        drop(Connection::connect(address).unwrap());
        assert!(closed.load(Ordering::SeqCst));
        serving.join().unwrap();
    }

    #[test]
    fn only_loopback_is_spoken_to() {
        for (text, accepted) in [
            ("127.0.0.1:80", true),
            ("[::1]:80", true),
            ("192.0.2.1:80", false),
            ("0.0.0.0:80", false),
            ("nonsense", false),
        ] {
            assert_eq!(loopback(text).is_ok(), accepted, "{text}");
        }
        let elsewhere = "192.0.2.1:80".parse().unwrap();
        let refused = Connection::connect(elsewhere).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}
