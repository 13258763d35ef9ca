//! QIDO-RS query strings at the level that the first byte picks.

use hilum_dicomweb::query::{Level, Query, parse_path};

pub(crate) fn run(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = parse_path(text);
    let level = match first % 3 {
        0 => Level::Study,
        1 => Level::Series,
        _ => Level::Instance,
    };
    match Query::parse(level, text) {
        Ok(query) => assert_eq!(query.level, level),
        // No text of the request may come back in the refusal: it could be a patient's.
        Err(refusal) => assert!(refusal.status().is_client_error()),
    }
}
