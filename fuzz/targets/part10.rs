//! Part-10 files, with and without preamble and meta information.

use hilum_dataset::scan_file;

use super::data_set;

pub(crate) fn run(data: &[u8]) {
    if let Ok((part10, scan)) = scan_file(&data, &data_set::options(None)) {
        let start = usize::try_from(part10.data_set_offset).unwrap_or(usize::MAX);
        data_set::check(data.get(start..).unwrap_or_default(), &scan);
    }
}
