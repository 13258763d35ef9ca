//! Filters, order and pages.

use futures::TryStreamExt;
use hilum_archive::{
    ArchiveError, DateRange, InstanceFilter, MetadataScope, NamePattern, Order, Page, SeriesFilter,
    StudyFilter, TextPattern,
};

use crate::support::{TestArchive, instance, noise, scope};

/// Studies 1 to 11, each with series 1 (CT) and 2 (MR) of one instance.
async fn filled() -> TestArchive {
    let test = TestArchive::new().await;
    for study in 1..12_u32 {
        for series in 1..3 {
            let body = noise(u64::from(study * 10 + series), 50);
            test.archive
                .store(&test.scope, instance(study, series, 1, body))
                .await
                .unwrap();
        }
    }
    test
}

fn pattern(text: &str) -> Option<TextPattern> {
    Some(TextPattern(text.to_owned()))
}

async fn found(test: &TestArchive, filter: StudyFilter) -> Vec<String> {
    let rows = test
        .archive
        .studies(&test.scope, &filter, Page::first(100))
        .await
        .unwrap();
    rows.into_iter().map(|row| row.uid).collect()
}

#[tokio::test]
async fn studies_are_matched_by_what_was_asked() {
    let test = filled().await;
    let any = StudyFilter::default;
    assert_eq!(found(&test, any()).await.len(), 11);
    let by_id = StudyFilter {
        patient_id: pattern("P3"),
        ..any()
    };
    assert_eq!(found(&test, by_id).await, ["1.2.3"]);
    let wild = StudyFilter {
        patient_id: pattern("P1?"),
        ..any()
    };
    assert_eq!(found(&test, wild).await, ["1.2.11", "1.2.10"]);
    let every = StudyFilter {
        study_id: pattern("*"),
        ..any()
    };
    assert_eq!(
        found(&test, every).await.len(),
        11,
        "absent values match everything"
    );
    let name = |text: &str| StudyFilter {
        patient_name: Some(NamePattern::AnyGroup(TextPattern(text.to_owned()))),
        ..any()
    };
    assert_eq!(found(&test, name("doe^jane4")).await, ["1.2.4"]);
    assert_eq!(found(&test, name("*jane1*")).await.len(), 3);
    let ideographic = StudyFilter {
        patient_name: Some(NamePattern::Groups([None, pattern("doe*"), None])),
        ..any()
    };
    assert!(found(&test, ideographic).await.is_empty());
    // `[` is no set of characters here.
    let bracket = StudyFilter {
        description: pattern("brain [mr]*"),
        ..any()
    };
    assert_eq!(found(&test, bracket).await.len(), 11);
    let dates = DateRange {
        from: Some("20260401".into()),
        to: Some("20260531".into()),
    };
    let range = StudyFilter {
        date: Some(dates),
        ..any()
    };
    assert_eq!(found(&test, range).await, ["1.2.4", "1.2.3"]);
    let modality = StudyFilter {
        modalities: vec!["MR".into(), "PT".into()],
        ..any()
    };
    assert_eq!(found(&test, modality).await.len(), 11);
    let modality = StudyFilter {
        modalities: vec!["M".into()],
        ..any()
    };
    assert!(found(&test, modality).await.is_empty());
    let accession = StudyFilter {
        accession: pattern("A7"),
        issuer: Some("HOSPITAL".into()),
        ..any()
    };
    assert_eq!(found(&test, accession).await, ["1.2.7"]);
    let uids = StudyFilter {
        uids: vec!["1.2.1".into(), "1.2.2".into(), "9".into()],
        ..any()
    };
    assert_eq!(found(&test, uids).await.len(), 2);
    let elsewhere = test
        .archive
        .studies(&scope("other"), &any(), Page::first(9))
        .await
        .unwrap();
    assert!(elsewhere.is_empty());
}

#[tokio::test]
async fn a_pattern_that_would_cost_too_much_is_refused() {
    let test = filled().await;
    for text in ["*a*a*a*a*a*a*a".to_owned(), "a".repeat(300) + "*"] {
        let filter = StudyFilter {
            description: pattern(&text),
            ..StudyFilter::default()
        };
        let answer = test
            .archive
            .studies(&test.scope, &filter, Page::first(1))
            .await;
        assert!(matches!(answer, Err(ArchiveError::Invalid(_))));
    }
}

#[tokio::test]
async fn pages_and_cursors_walk_everything_once() {
    let test = filled().await;
    let mut by_offset = Vec::new();
    for offset in (0..12).step_by(4) {
        let page = Page { limit: 4, offset };
        let filter = StudyFilter {
            order: Order::Received,
            ..StudyFilter::default()
        };
        by_offset.extend(
            test.archive
                .studies(&test.scope, &filter, page)
                .await
                .unwrap(),
        );
    }
    let mut by_cursor = Vec::new();
    let mut cursor = None;
    loop {
        let filter = StudyFilter::default();
        let page = test
            .archive
            .worklist(&test.scope, &filter, cursor, 4)
            .await
            .unwrap();
        by_cursor.extend(page.studies);
        let Some(next) = page.next else { break };
        cursor = Some(next.to_string().parse().unwrap());
    }
    let uids = |rows: &[hilum_archive::StudyRow]| -> Vec<String> {
        rows.iter().map(|row| row.uid.clone()).collect()
    };
    assert_eq!(uids(&by_offset), uids(&by_cursor));
    assert_eq!((by_cursor.len(), by_cursor[0].uid.as_str()), (11, "1.2.11"));
    assert!("x.1".parse::<hilum_archive::WorklistCursor>().is_err());
}

#[tokio::test]
async fn series_and_instances_answer_with_their_parents_conditions() {
    let test = filled().await;
    let filter = SeriesFilter {
        study: StudyFilter {
            patient_id: pattern("P5"),
            ..StudyFilter::default()
        },
        ..SeriesFilter::default()
    };
    let series = test
        .archive
        .series(&test.scope, &filter, Page::first(10))
        .await
        .unwrap();
    assert_eq!(series.len(), 2);
    assert_eq!(
        (series[0].0.uid.as_str(), series[0].1.uid.as_str()),
        ("1.2.5.1", "1.2.5")
    );
    assert_eq!(series[1].0.attributes.modality.as_deref(), Some("MR"));
    let filter = InstanceFilter {
        series: filter,
        number: Some(1),
        ..InstanceFilter::default()
    };
    let rows = test
        .archive
        .instances(&test.scope, &filter, Page::first(10))
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].study.as_str(), rows[0].series.as_str()),
        ("1.2.5", "1.2.5.1")
    );
    let wrong = InstanceFilter {
        rows: Some(1),
        ..filter
    };
    assert!(
        test.archive
            .instances(&test.scope, &wrong, Page::first(10))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn metadata_streams_in_order_of_instance_number_and_only_from_the_named_path() {
    let test = TestArchive::new().await;
    for number in (0..150).rev() {
        test.archive
            .store(
                &test.scope,
                instance(1, 2, number, noise(number.into(), 20)),
            )
            .await
            .unwrap();
    }
    test.archive
        .store(&test.scope, instance(1, 1, 1, noise(900, 20)))
        .await
        .unwrap();
    let stream = |of| {
        test.archive
            .instance_metadata(&test.scope, of)
            .try_collect::<Vec<_>>()
    };
    let all = stream(MetadataScope::Study("1.2.1".into())).await.unwrap();
    assert_eq!((all.len(), all[0].row.series.as_str()), (151, "1.2.1.1"));
    let numbers: Vec<_> = all[1..]
        .iter()
        .map(|one| one.row.attributes.number.unwrap())
        .collect();
    assert_eq!(numbers, (0..150).collect::<Vec<i64>>());
    let one = |series: &str| MetadataScope::Instance {
        study: "1.2.1".into(),
        series: series.into(),
        instance: "1.2.1.2.7".into(),
    };
    assert_eq!(stream(one("1.2.1.2")).await.unwrap().len(), 1);
    assert!(stream(one("1.2.1.1")).await.unwrap().is_empty());
}
