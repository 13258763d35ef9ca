//! The matching attributes of docs/conformance/dicom.md are those that queries take.

use std::path::Path;

use hilum_dicomweb::query::{Attribute, Level};

#[test]
fn the_statement_lists_the_attributes_that_can_be_matched() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/conformance/dicom.md");
    let statement = std::fs::read_to_string(path).unwrap();
    let stated: Vec<String> = statement
        .lines()
        .skip_while(|line| !line.starts_with("| Matching attribute |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let keyword = cells.next().unwrap_or_default();
            let level = cells.nth(1).unwrap_or_default();
            format!("{keyword} {level}")
        })
        .collect();
    let taken: Vec<String> = Attribute::ALL
        .iter()
        .map(|attribute| {
            let level = match attribute.level() {
                Level::Study => "Study",
                Level::Series => "Series",
                Level::Instance => "Instance",
            };
            format!("{} {level}", attribute.keyword())
        })
        .collect();
    assert_eq!(stated, taken);
}
