//! What people see at a terminal: progress on standard error, results on
//! standard output. The only place that prints.
#![expect(clippy::print_stderr, reason = "this module is the terminal")]

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line of a result could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether a part of the result is missing where it should have been written.
pub(crate) fn result_is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// A line of a command's result.
pub(crate) fn line(text: impl std::fmt::Display) {
    // Whoever reads may go before the end (`hilum doctor | head`); what can't be
    // written otherwise is said.
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            LOST.store(true, Ordering::Relaxed);
            note(format_args!("hilum: the result can't be written: {error}"));
        }
        _ => {}
    }
}

/// A remark that is not part of the result.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _nobody_reads = writeln!(std::io::stderr(), "{text}");
}

/// Asks the person at the terminal; the line that they typed.
pub(crate) fn asked(question: &str) -> std::io::Result<String> {
    eprint!("{question}");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer)
}

/// Why a command failed: one line.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("hilum: {error:#}");
}

/// Whether a person is looking at standard error.
pub(crate) fn is_person() -> bool {
    std::io::stderr().is_terminal()
}

/// An amount of bytes as people read it: `12.4 GB`.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1_000 {
        return counted(count, "byte", "bytes");
    }
    let mut tenths = u128::from(count) / 100;
    for unit in units {
        if tenths < 10_000 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        tenths /= 1_000;
    }
    counted(count, "byte", "bytes")
}

/// `1 study`, `1,204 studies`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// `1,204`
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_people_read_them() {
        assert_eq!(counted(1, "study", "studies"), "1 study");
        assert_eq!(counted(1_234_567, "study", "studies"), "1,234,567 studies");
        for (count, text) in [
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (999_900, "999.9 kB"),
            (12_345_678, "12.3 MB"),
            (2_000_000_000_000, "2.0 TB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
