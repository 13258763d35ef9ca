//! What people see at a terminal: progress on standard error, results on
//! standard output. The only place that prints.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this module is the terminal"
)]

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line of a command's result.
pub(crate) fn line(text: impl std::fmt::Display) {
    println!("{text}");
}

/// A remark that is not part of the result.
pub(crate) fn note(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// Why a command failed: one line.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("hilum: {error:#}");
}

/// Whether a person is looking at standard error.
pub(crate) fn is_person() -> bool {
    std::io::stderr().is_terminal()
}

/// A bar of `length` steps; nothing is drawn where nobody looks.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("  {prefix:<12} {bar:32} {pos:>6}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let target = if is_person() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    ProgressBar::with_draw_target(Some(length), target)
        .with_style(style)
        .with_prefix(what)
}

/// A spinner for work of unknown length.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("  {prefix:<12} {spinner} {msg} ({elapsed})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = bar(0, what).with_style(style);
    if is_person() {
        spinner.enable_steady_tick(Duration::from_millis(120));
    }
    spinner
}
