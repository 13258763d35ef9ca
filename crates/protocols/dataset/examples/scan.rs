//! Scans part-10 files and prints one JSON line for each: refusal, or metadata
//! and flags. `cargo run -p hilum-dataset --example scan -- FILE…`

use std::fs::File;
use std::io::{self, Write};

use hilum_dataset::{FileSource, ScanOptions, scan_file};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for path in std::env::args().skip(1) {
        let source = FileSource::new(File::open(&path)?)?;
        let line = match scan_file(&source, &ScanOptions::default()) {
            Ok((part10, scan)) => serde_json::json!({
                "path": path,
                "syntax": part10.transfer_syntax_uid,
                "flags": scan.flags,
                "pixels": scan.pixels,
                "bulk": scan.bulk.len(),
                "json": serde_json::from_slice::<serde_json::Value>(&scan.json)?,
            }),
            Err(error) => serde_json::json!({"path": path, "error": error.to_string()}),
        };
        writeln!(out, "{line}")?;
    }
    Ok(())
}
