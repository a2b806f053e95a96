//! What the tests of the built drivers share.
//!
//! The tests look at the shipped files: `fsglass.sys` and, for the checks
//! themselves, `bad_drivers.sys`. [`drivers`] says where they are.
//!
//! | module | for |
//! |---|---|
//! | [`image_audit`] | what must be true of the image before it is ever run |
//! | [`layouts`] | the driver's structures against independent definitions |
//! | [`own_process`] | a scenario in a process of its own |
//! | [`machine`] | the machine it runs on: volumes, drivers, device stacks |
//! | [`event_log`] | what the driver has written to the event log |
//! | [`client`] | a program that has the control device open |
//! | [`command`] | the `ntbox` command as its users run it |
//! | [`browser`] | a page in a real browser |
//! | [`mounted`] | a volume of ntbox as a directory, for programs of the host |
//! | [`file_work`] | what any program does with files |
//! | [`judges`] | test suites that others wrote, run in it |
//! | [`served`] | a machine of ntbox that `fsglass` is connected to |
//! | [`mistakes`] | what `bad_drivers.sys` does wrong, and where |
//! | [`probe`] | a file system that notes what arrives, and the originator of requests |
//! | [`copy`] | a copy of the workspace |
//! | [`mutants`] | changes of one line that break a rule |
//! | [`stack`] | how much of the stack the driver takes |
//! | [`sources`] | the items of the sources by their paths |
//! | [`rules_table`] | the rules, with the code and the tests of each |
//! | [`c_filters`] | filters in C, compiled here |
//! | [`fuzz`] | requests to the control device, drawn from a seed |
//! | [`truth`] | what the driver tells, compared with what arrived below it |
//! | [`package`] | the package, as programs that did not make it see it |
//! | [`verifier_table`] | the rules of the verifier, with the mistake that breaks each |
//! | [`windows_tasks`] | the tasks for Windows, with programs that record how they are called |
//! | [`ui`] | what the compiler says to misuses of `wdm` |

pub mod book;
pub mod browser;
pub mod c_filters;
pub mod client;
pub mod command;
pub mod copy;
pub mod drivers;
pub mod event_log;
#[cfg(unix)]
pub mod file_work;
pub mod floors;
pub mod fuzz;
pub mod image_audit;
#[cfg(unix)]
pub mod judges;
pub mod layouts;
pub mod machine;
pub mod made;
pub mod mistakes;
#[cfg(unix)]
pub mod mounted;
pub mod mutants;
pub mod own_process;
pub mod package;
pub mod probe;
pub mod rules_table;
pub mod served;
pub mod sources;
pub mod stack;
pub mod trace_logging;
pub mod truth;
pub mod ui;
pub mod verifier_table;
pub mod windows_tasks;
