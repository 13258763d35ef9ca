//! Content negotiation: the first line is the Accept header, the second the query string.

use hilum_dicomweb::accept::Accept;

const STORED: [&str; 3] = [
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.113619.5.2",
];

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (header, query) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(accept) = Accept::new(Some(header), Some(query)) else {
        return;
    };
    for stored in STORED {
        assert!(
            accept
                .instance(stored)
                .map_or(true, |forms| !forms.is_empty())
        );
        assert!(
            accept
                .frames(stored)
                .map_or(true, |forms| !forms.is_empty())
        );
    }
    let _ = (accept.bulk_data(), accept.dicom_json(), accept.rendered());
}
