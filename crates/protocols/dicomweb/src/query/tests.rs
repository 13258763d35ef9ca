use super::*;
use dicom_core::Tag;
use proptest::prelude::*;

fn parse(level: Level, query: &str) -> Query {
    Query::parse(level, query).unwrap()
}

fn condition(query: &str) -> Condition {
    parse(Level::Instance, query).filters.remove(0).condition
}

fn refused(level: Level, query: &str) -> String {
    match Query::parse(level, query) {
        Err(Refusal::BadRequest(text)) => text,
        other => panic!("{query} gave {other:?}"),
    }
}

#[test]
fn keyword_tag_and_match_name_the_same_attribute() {
    let expected = parse(Level::Study, "PatientID=1");
    for query in ["00100020=1", "match=PatientID%3D1", "PatientID=%201+"] {
        assert_eq!(parse(Level::Study, query), expected, "{query}");
    }
}

#[test]
fn attributes_in_sequences_are_reached_by_dots() {
    let got = parse(
        Level::Series,
        "RequestAttributesSequence.RequestedProcedureID=R1&00400275.00400009=S*",
    );
    assert_eq!(got.filters[0].attribute, Attribute::RequestedProcedureId);
    assert_eq!(
        got.filters[1].attribute,
        Attribute::ScheduledProcedureStepId
    );
    assert_eq!(
        got.include.attributes[0].0,
        [Tag(0x0040, 0x0275), Tag(0x0040, 0x1001)]
    );
}

#[test]
fn uids_come_as_lists_with_commas_or_backslashes() {
    let expected = Condition::AnyOf(vec!["1.2".into(), "3.4".into()]);
    assert_eq!(condition("StudyInstanceUID=1.2,3.4"), expected);
    assert_eq!(condition("SOPInstanceUID=1.2%5C3.4"), expected);
    assert!(refused(Level::Study, "StudyInstanceUID=1.2.*").contains("UIDs"));
}

#[test]
fn an_empty_value_matches_everything_and_is_returned() {
    let got = parse(Level::Study, "PatientName=&PatientID=*&EthnicGroup=");
    assert!(got.filters.is_empty());
    assert_eq!(got.include.attributes.len(), 3);
}

#[test]
fn dates_and_times_are_ranges_filled_up() {
    let date = |from: Option<&str>, to: Option<&str>| {
        Condition::Date(DateRange {
            from: from.map(Into::into),
            to: to.map(Into::into),
        })
    };
    assert_eq!(
        condition("StudyDate=20200229"),
        date(Some("20200229"), Some("20200229"))
    );
    assert_eq!(
        condition("StudyDate=20200101-"),
        date(Some("20200101"), None)
    );
    assert_eq!(
        condition("StudyDate=-20200101"),
        date(None, Some("20200101"))
    );
    let time = |from: Option<&str>, to: Option<&str>| {
        Condition::Time(TimeRange {
            from: from.map(Into::into),
            to: to.map(Into::into),
        })
    };
    assert_eq!(
        condition("StudyTime=10"),
        time(Some("100000"), Some("105959.999999"))
    );
    assert_eq!(
        condition("StudyTime=1030-104501.5"),
        time(Some("103000"), Some("104501.599999"))
    );
    for bad in [
        "StudyDate=2020",
        "StudyDate=-",
        "StudyDate=20201301",
        "StudyDate=2020-01-01",
        "StudyTime=24",
        "StudyTime=1",
        "StudyTime=10.5",
        "StudyTime=-",
        "StudyDate=2020é01",
    ] {
        refused(Level::Study, bad);
    }
}

#[test]
fn includefield_takes_lists_repeats_and_all() {
    let got = parse(
        Level::Study,
        "includefield=StudyDescription,00081030&includefield=PatientComments&includefield=all",
    );
    assert!(got.include.all);
    assert_eq!(
        got.include.attributes,
        [
            Path(vec![Tag(0x0008, 0x1030)]),
            Path(vec![Tag(0x0010, 0x4000)])
        ]
    );
    refused(Level::Study, "includefield=NoSuchThing");
}

#[test]
fn paging_is_numbers() {
    let got = parse(Level::Study, "limit=25&offset=50&fuzzymatching=true");
    assert_eq!((got.limit, got.offset, got.fuzzy), (Some(25), 50, true));
    for bad in [
        "limit=-1",
        "limit=x",
        "offset=",
        "limit=1&limit=2",
        "fuzzymatching=maybe",
    ] {
        refused(Level::Study, bad);
    }
}

#[test]
fn what_is_not_supported_is_said() {
    assert!(refused(Level::Study, "PatientAge=040Y").contains("not supported"));
    assert!(refused(Level::Study, "Modality=CT").contains("ModalitiesInStudy"));
    assert!(refused(Level::Study, "ModalitiesInStudy=C*").contains("wild cards"));
    assert!(refused(Level::Study, "emptyvaluematching=true&PatientID=%22%22").contains("empty"));
    assert!(refused(Level::Study, "PatientID=a%5Cb").contains("one value"));
    refused(Level::Study, "PatientID=1&00100020=2");
}

#[test]
fn no_refusal_repeats_a_value() {
    for query in [
        "PatientAge=SECRET",
        "StudyDate=SECRET",
        "SECRETNAME=1",
        "limit=SECRET",
        "PatientID=SECRET%5C",
    ] {
        assert!(!refused(Level::Study, query).contains("SECRET"), "{query}");
    }
}

#[test]
fn every_attribute_of_the_table_is_found_by_its_own_keyword() {
    for attribute in Attribute::ALL {
        let path = parse_path(attribute.keyword()).unwrap();
        assert_eq!(Attribute::at(&path), Some(*attribute));
        assert_eq!(path.0.last().copied(), Some(attribute.tag()));
    }
}

proptest! {
    #[test]
    fn no_query_makes_it_panic(text in ".{0,200}") {
        let _ = Query::parse(Level::Instance, &text);
    }

    #[test]
    fn no_value_makes_it_panic(index in 0..Attribute::ALL.len(), value in "[0-9.*?a\\\\é -]{0,20}") {
        let _ = Query::parse(Level::Instance, &format!("{}={value}", Attribute::ALL[index].keyword()));
    }
}
