//! Programs of the host that use a driver of the box: `ntbox run --client ADDRESS`.
//!
//! The protocol is that of the crate `ntbox-client`. For each connection there is a thread of the host,
//! which reads frames, and a thread of the box, which is the program: it makes the calls, because
//! requests belong to the thread that sent them.

use super::failure::Failure;
use ntbox::nt::{STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use ntbox::processor::thread;
use ntbox::user::{CreateParameters, File, Outcome, Pending, access, create_file};
use ntbox_client::{Frame, MAXIMUM_BYTES, Machine, greet, kind};
use std::io::Result;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often requests that wait are looked at.
const LOOK: Duration = Duration::from_millis(1);

/// Serves programs until it is dropped, which closes their handles.
pub struct Clients {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<Program>>>,
    listener: Option<JoinHandle<()>>,
}

/// A connection and the thread that is its program.
struct Program {
    stream: TcpStream,
    questions: Sender<Question>,
    thread: JoinHandle<()>,
}

/// What a program is asked; `None` when it is to end.
type Question = Option<Frame>;

impl Clients {
    /// Listens at a loopback address.
    pub fn serve(address: &str, machine: Machine) -> std::result::Result<Self, Failure> {
        let usage = |error| Failure::Usage(format!("--client {address}: {error}"));
        let loopback = ntbox_client::loopback(address).map_err(usage)?;
        let listener = TcpListener::bind(loopback).map_err(usage)?;
        let mut clients = Self {
            address: listener.local_addr().map_err(usage)?,
            stop: Arc::default(),
            open: Arc::default(),
            listener: None,
        };
        let (stop, open) = (Arc::clone(&clients.stop), Arc::clone(&clients.open));
        let machine = Arc::new(machine);
        clients.listener = Some(std::thread::spawn(move || {
            for (number, stream) in (1..).zip(listener.incoming()) {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                // One that fails at once has gone away by itself.
                if let Ok(program) = stream.and_then(|stream| begin(number, stream, &machine)) {
                    open.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(program);
                }
            }
        }));
        Ok(clients)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // The listener looks at the flag when somebody connects.
        let _woken = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ended = listener.join();
        }
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        for program in &open {
            // It has been shut down by the other side, or is now. That need not wake the thread that
            // reads frames (on Windows it does not have to), so its program is told as well.
            let _shut = program.stream.shutdown(Shutdown::Both);
            let _told = program.questions.send(None);
        }
        for program in open {
            let _ended = program.thread.join();
        }
    }
}

/// Starts the two threads of a connection.
fn begin(number: u32, stream: TcpStream, machine: &Arc<Machine>) -> Result<Program> {
    stream.set_nodelay(true)?;
    let (mut reader, writer) = (stream.try_clone()?, stream.try_clone()?);
    let (sender, asked) = channel();
    let questions = sender.clone();
    let machine = Arc::clone(machine);
    std::thread::spawn(move || {
        if greet(&mut reader).is_ok() {
            while let Ok(question) = Frame::read(&mut reader) {
                if sender.send(Some(question)).is_err() {
                    return;
                }
            }
        }
        // The connection has ended, and so does its program.
        let _told = sender.send(None);
    });
    let program = move || {
        // It ends when the connection does: there is nobody to tell.
        let _ended = serve(&asked, &writer, &machine);
        let _shut = writer.shutdown(Shutdown::Both);
    };
    Ok(Program {
        stream,
        questions,
        thread: thread::spawn(&format!("client {number}"), program),
    })
}

/// The life of a program: until a device is open, and while one is.
fn serve(questions: &Receiver<Question>, stream: &TcpStream, machine: &Machine) -> Result<()> {
    while let Ok(Some(question)) = questions.recv() {
        if question.kind == kind::OPEN {
            let opened = open(&question.bytes);
            reply(stream, &question, &opened.0)?;
            if let Some(file) = opened.1 {
                return serve_open(&file, questions, stream, machine);
            }
        } else {
            let refused = Outcome::early(STATUS_INVALID_HANDLE);
            reply_without_file(stream, &question, machine, &refused)?;
        }
    }
    Ok(())
}

fn open(name: &[u8]) -> (Outcome, Option<File>) {
    let Ok(name) = std::str::from_utf8(name) else {
        return (Outcome::early(STATUS_INVALID_PARAMETER), None);
    };
    let wanted = CreateParameters::new(name).access(access::READ | access::WRITE);
    // Asynchronous, so that a control that waits does not keep the others waiting.
    let opened = create_file(&wanted.options(0));
    (opened.outcome, opened.file)
}

/// Answers what needs no open device, and refuses what does.
fn reply_without_file(
    stream: &TcpStream,
    question: &Frame,
    machine: &Machine,
    refused: &Outcome,
) -> Result<()> {
    match question.kind {
        kind::MACHINE => {
            let known = Outcome {
                data: machine.to_string().into_bytes(),
                ..Outcome::early(STATUS_SUCCESS)
            };
            reply(stream, question, &known)
        }
        kind::CANCEL => Ok(()),
        _ => reply(stream, question, refused),
    }
}

/// While a device is open. What still waits at the end is cancelled when it is dropped.
fn serve_open(
    file: &File,
    questions: &Receiver<Question>,
    stream: &TcpStream,
    machine: &Machine,
) -> Result<()> {
    let mut waiting: Vec<(Frame, Pending<'_>)> = Vec::new();
    loop {
        let question = if waiting.is_empty() {
            questions.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            questions.recv_timeout(LOOK)
        };
        match question {
            Ok(Some(question)) if question.kind == kind::CONTROL => {
                let control = start(file, &question);
                waiting.push((question, control));
            }
            Ok(Some(question)) if question.kind == kind::CANCEL => {
                let asked = waiting
                    .iter_mut()
                    .find(|(asked, _)| asked.number == question.number);
                if let Some((_, control)) = asked {
                    // One that has completed meanwhile is answered as it completed.
                    let _found = control.cancel();
                }
            }
            Ok(Some(question)) => {
                let refused = Outcome::early(STATUS_INVALID_PARAMETER);
                reply_without_file(stream, &question, machine, &refused)?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        // The second stage of a completion is an APC of this thread.
        thread::deliver_apcs();
        let (outstanding, finished) = waiting
            .into_iter()
            .partition(|(_, control)| control.is_outstanding());
        waiting = outstanding;
        for (question, control) in finished {
            reply(stream, &question, &control.wait())?;
        }
    }
}

fn start<'f>(file: &'f File, question: &Frame) -> Pending<'f> {
    let wanted = question.second.min(MAXIMUM_BYTES as u32);
    file.start_device_control(question.first, &question.bytes, wanted)
}

fn reply(mut stream: &TcpStream, question: &Frame, outcome: &Outcome) -> Result<()> {
    let answer = Frame {
        kind: kind::ANSWER,
        number: question.number,
        first: outcome.status.cast_unsigned(),
        second: u32::try_from(outcome.information).unwrap_or(u32::MAX),
        bytes: outcome.data.clone(),
    };
    answer.write(&mut stream)
}
