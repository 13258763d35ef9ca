//! Rendering parameters and frame lists: the first line is the query string, the second a list.

use hilum_dicomweb::{frames, rendered::Rendered};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (query, list) = text.split_once('\n').unwrap_or((text, text));
    let _ = Rendered::parse(query);
    if let Ok(frames) = frames::parse(list) {
        assert!(!frames.is_empty() && !frames.contains(&0));
    }
}
