//! `report`: a saved trace as a page.

use super::context::Context;
use super::replay::{Ended, Read, events_of};
use crate::arguments::Report;
use crate::error::{Error, Exit, Result};
use crate::report::Summary;
use crate::report::page::{Origin, page};
use std::convert::Infallible;
use std::ops::ControlFlow;

/// Writes the page.
pub fn run(context: &mut Context<'_>, arguments: &Report) -> Result<Exit> {
    let mut summary = Summary::default();
    let mut add = |event| -> ControlFlow<Infallible> {
        summary.add(event);
        ControlFlow::Continue(())
    };
    let ended: Ended = match events_of(&arguments.file, &arguments.wanted, &mut add)? {
        Read::ToEnd(ended) => ended,
        Read::Left(never) => match never {},
    };
    let file = arguments.file.file_name().unwrap_or_default();
    let origin = Origin {
        file: file.to_string_lossy().into_owned(),
        lost: ended.lost,
        cut: ended.cut,
    };
    let page = page(&summary, &origin)?;
    let output = &arguments.output;
    std::fs::write(output, &page)
        .map_err(|error| Error::new(format!("{}: {error}", output.display())))?;
    writeln!(
        context.out,
        "{}: {} requests, {} bytes",
        output.display(),
        summary.all.requests,
        page.len()
    )?;
    Ok(ended.tell(context, &arguments.file))
}
