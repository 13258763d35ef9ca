mod parts;

use proptest::prelude::*;

use super::*;
use crate::index::schema::MIGRATIONS;
use crate::model::{DateRange, NamePattern, TextPattern};

const NAMES: [&str; 8] = [
    "smith^anna",
    "smithson^bo",
    "doe^jason",
    "o\"neil",
    "li",
    "xu[1]^y",
    "müßig^\u{1F600}",
    "ab\0cd",
];
const IDEOGRAPHIC: [&str; 2] = ["山田^太郎", "李"];
const PHONETIC: [&str; 2] = ["やまだ^たろう", "smith^li"];
const PATTERNS: [&str; 29] = [
    "*",
    "smith*",
    "*son",
    "*smith*",
    "*mi?h*",
    "li",
    "l?",
    "*\"n*",
    "?oe^*",
    "*[1]*",
    "zz*",
    "*zzz*",
    "*so*",
    "*on",
    "*i*",
    "*^l*",
    "*q*",
    "*qz*",
    "*山*",
    "*田^*",
    "*郎",
    "*李*",
    "*だ^た*",
    "*ろう",
    "*\u{1F600}*",
    "*üß*",
    "*ab*",
    "*cd*",
    "*n??i*",
];
/// Some are none, as devices send them.
const DATES: [&str; 4] = ["2024", "2024/5/1", "abcd0101", "99991231"];
const MODALITIES: [&str; 3] = ["CT", "MR", "PT"];

/// Three of four in the same minute.
const RECEIVED_EACH: i64 = 20_000;

fn date(year: i64, month: i64, day: i64) -> String {
    format!("{}{:02}{:02}", 2024 + year, month + 1, day + 1)
}

fn filled() -> Connection {
    filled_before(MIGRATIONS.len())
}

/// By the archive as it was before a migration; what came later is applied.
fn filled_before(migration: usize) -> Connection {
    let mut db = Connection::in_memory(MIGRATIONS.get(..migration).unwrap());
    db.execute_batch("INSERT INTO tenant (name) VALUES ('a'), ('b')")
        .unwrap();
    for n in 0..120_i64 {
        let at = |n: i64| usize::try_from(n).unwrap();
        let name = NAMES.get(at(n * 7 % 11));
        let date = (n % 11 > 0).then(|| date(n % 3, n * 5 % 12, n * 13 % 28));
        let none = (n % 13 == 0).then(|| DATES.get(at(n / 13 % 4))).flatten();
        let date = none.map(|none| (*none).to_owned()).or(date);
        db.execute(
            "INSERT INTO study (tenant, uid, patient_id, patient_name_a, patient_name_i,
                patient_name_p, date, time, accession, instances, first_received, last_received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11)",
            crate::db::params![
                1 + n % 2,
                format!("1.2.{n}"),
                format!("P{}", n % 9),
                name,
                (n % 5 == 0).then(|| IDEOGRAPHIC.get(at(n % 3))).flatten(),
                (n % 6 == 0).then(|| PHONETIC.get(at(n % 4 / 2))).flatten(),
                date,
                (n % 7 > 0).then_some("1200"),
                format!("A{n}"),
                i64::from(n % 10 > 0),
                n * 37 % 40 * RECEIVED_EACH,
            ],
        )
        .unwrap();
        let study = db.last_insert_rowid();
        for series in 0..n % 3 {
            let modality = MODALITIES.get(usize::try_from((n + series) % 4).unwrap());
            db.execute(
                "INSERT INTO series (study, tenant, uid, modality, instances, first_received,
                    last_received) VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)",
                crate::db::params![
                    study,
                    1 + n % 2,
                    series.to_string(),
                    modality,
                    i64::from(n % 10 > 0)
                ],
            )
            .unwrap();
        }
        crate::index::levels::refresh_modalities(&db, study).unwrap();
    }
    db.migrate(MIGRATIONS);
    db
}

/// The same question without any choice of ways.
fn plainly(db: &Connection, asked: &Asked<'_>) -> Vec<i64> {
    let conditions = conditions(asked).unwrap();
    let sql = format!(
        "SELECT {STUDY} FROM study t NOT INDEXED WHERE {} ORDER BY {} LIMIT ? OFFSET ?",
        conditions.sql(),
        order(asked.order)
    );
    let found = rows(db, &sql, conditions.values, asked).unwrap();
    found.into_iter().map(|(_, id)| id).collect()
}

fn filter() -> impl Strategy<Value = StudyFilter> {
    let pattern =
        || proptest::sample::select(&PATTERNS[..]).prop_map(|text| TextPattern(text.to_owned()));
    let random = "[a-z^ 山*?]{1,5}"
        .prop_map(TextPattern)
        .prop_map(NamePattern::AnyGroup);
    let name = prop_oneof![
        1 => random,
        3 => pattern().prop_map(NamePattern::AnyGroup),
        1 => (proptest::option::of(pattern()), proptest::option::of(pattern()))
            .prop_map(|(a, i)| NamePattern::Groups([a, i, None])),
    ];
    let date = || {
        let day = (0..3_i64, 0..12_i64, 0..28_i64);
        proptest::option::of(day.prop_map(|(year, month, day)| date(year, month, day)))
    };
    let dates = (date(), date()).prop_map(|(from, to)| DateRange { from, to });
    let modalities = proptest::sample::subsequence(&MODALITIES[..], 0..3)
        .prop_map(|list| list.into_iter().map(str::to_owned).collect());
    let id = prop_oneof![Just("P3"), Just("P*"), Just("*3"), Just("P?")]
        .prop_map(|text| TextPattern(text.to_owned()));
    (
        proptest::option::of(name),
        proptest::option::of(dates),
        modalities,
        proptest::option::weighted(0.2, id),
        any::<bool>(),
    )
        .prop_map(
            |(patient_name, date, modalities, patient_id, received)| StudyFilter {
                patient_name,
                date,
                modalities,
                patient_id,
                order: if received {
                    Order::Received
                } else {
                    Order::StudyDate
                },
                ..StudyFilter::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_way_gives_the_same_answer(
        filter in filter(),
        few in (0..60_u64, 0..20_u64, 0..20_u64, 0..4_000_u64, 0..60_u64),
        (limit, offset) in (1..20_u64, 0..20_u64),
        after in proptest::option::of((0..40 * RECEIVED_EACH, 1..120_i64)),
    ) {
        thread_local!(static DB: Connection = filled());
        let (looked_up, read, covered, walked, counted) = few;
        let few = Few { looked_up, read, covered, walked, counted };
        let after = after.filter(|_| filter.order == Order::Received);
        let asked = Asked {
            tenant: 1,
            filter: &filter,
            order: filter.order,
            after: after.map(|(last_received, id)| After::Received(WorklistCursor { last_received, id })),
            limit,
            offset,
        };
        DB.with(|db| {
            let found = within(db, &asked, few).unwrap();
            let ids: Vec<i64> = found.into_iter().map(|(_, id)| id).collect();
            prop_assert_eq!(ids, plainly(db, &asked));
            Ok(())
        })?;
    }
}

proptest! {
    #[test]
    fn pages_after_one_another_are_the_whole_answer(filter in filter(), limit in 2..12_u64) {
        let filter = StudyFilter { order: Order::StudyDate, ..filter };
        thread_local!(static DB: Connection = filled());
        let marks = Marks::default();
        let asked = |limit, offset| Asked {
            tenant: 1,
            filter: &filter,
            order: Order::StudyDate,
            after: None,
            limit,
            offset,
        };
        DB.with(|db| {
            let mut paged = Vec::new();
            loop {
                // One more than is shown, as QIDO asks.
                let offset = paged.len() as u64;
                let found = page(db, &marks, &asked(limit + 1, offset)).unwrap();
                let more = found.len() as u64 > limit;
                paged.extend(found.into_iter().map(|(_, id)| id).take(usize::try_from(limit).unwrap()));
                if !more {
                    break;
                }
            }
            prop_assert_eq!(paged, plainly(db, &asked(1_000, 0)));
            Ok(())
        })?;
    }
}

/// What the table is to hold, from the rows alone.
fn differences(db: &Connection) -> i64 {
    let held = "SELECT tenant, facet, minute, study, date, patient_name_a, patient_name_i,
        patient_name_p FROM study_period";
    let meant = "SELECT t.tenant, f.facet, t.last_received / 60000, t.id, coalesce(t.date, ''),
            t.patient_name_a, t.patient_name_i, t.patient_name_p
        FROM study t JOIN (SELECT id AS study, '' AS facet FROM study
            UNION SELECT study, modality FROM series
                WHERE instances > 0 AND modality IS NOT NULL) f ON f.study = t.id
        WHERE t.instances > 0";
    let sql = format!(
        "SELECT (SELECT count(*) FROM ({held} EXCEPT {meant}))
            + (SELECT count(*) FROM ({meant} EXCEPT {held}))"
    );
    db.query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn quarters_follow_what_changes_in_studies() {
    let db = filled();
    assert_eq!(differences(&db), 0);
    for change in [
        "UPDATE study SET last_received = last_received + 1 WHERE id % 3 = 0",
        "UPDATE study SET last_received = last_received + 90000 WHERE id % 3 = 0",
        "UPDATE study SET patient_name_a = 'brown^x', date = '20250101' WHERE id % 5 = 0",
        "UPDATE study SET date = NULL WHERE id % 7 = 0",
        "UPDATE study SET instances = 0 WHERE id % 4 = 0",
        "UPDATE study SET instances = 3 WHERE id % 8 = 0",
    ] {
        assert!(db.execute(change, []).unwrap() > 0);
        assert_eq!(differences(&db), 0, "{change}");
        let [held, meant] = parts::threes(&db);
        assert_eq!(held, meant, "{change}");
    }
    db.execute("UPDATE series SET modality = 'OT' WHERE study = 2", [])
        .unwrap();
    crate::index::levels::refresh_modalities(&db, 2).unwrap();
    assert_eq!(differences(&db), 0);
    db.execute_batch("DELETE FROM series; DELETE FROM study")
        .unwrap();
    assert_eq!(differences(&db), 0);
}

proptest! {
    #[test]
    fn a_later_date_is_in_no_earlier_quarter(
        dates in proptest::collection::vec("[0-9]{8}|[0-9a/]{0,9}|\\PC{0,9}", 2..6),
    ) {
        thread_local!(static DB: Connection = filled());
        let mut dates = dates;
        dates.sort();
        let period_of = |date: &String| -> String {
            DB.with(|db| {
                db.execute("UPDATE study SET date = ?1 WHERE id = 2", [date]).unwrap();
                let sql = "SELECT DISTINCT period FROM study_period WHERE study = 2";
                db.query_row(sql, [], |row| row.get(0)).unwrap()
            })
        };
        let quarters: Vec<String> = dates.iter().map(period_of).collect();
        let ours: Vec<_> = dates.iter().map(|date| period::quarter(date)).collect();
        prop_assert_eq!(&ours, &quarters);
        prop_assert!(quarters.is_sorted(), "{:?}", quarters);
    }
}

#[test]
fn what_takes_too_many_steps_is_ended_and_the_next_question_is_not() {
    let db = filled();
    let count = || -> Result<i64> {
        let sql = "SELECT count(*) FROM study a, study b WHERE a.date <> b.time";
        Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    };
    let all = count().unwrap();
    for _ in 0..3 {
        assert_eq!(budget::within(&db, 2_000, count).unwrap(), None);
        assert_eq!(budget::within(&db, 10_000_000, count).unwrap(), Some(all));
        assert_eq!(count().unwrap(), all);
    }
    let refused = || Err::<(), _>(crate::error::ArchiveError::Invalid("refused"));
    assert!(budget::within(&db, 2_000, refused).is_err());
}

#[test]
fn names_that_change_and_studies_that_go_are_found_no_more() {
    let db = filled();
    let find = |pattern: &str| {
        let filter = StudyFilter {
            patient_name: Some(NamePattern::AnyGroup(TextPattern(pattern.to_owned()))),
            modalities: vec!["MR".to_owned()],
            ..StudyFilter::default()
        };
        let asked = Asked {
            tenant: 1,
            filter: &filter,
            order: Order::StudyDate,
            after: None,
            limit: 100,
            offset: 0,
        };
        studies(&db, &asked).unwrap().len()
    };
    let smiths = find("*smith*");
    assert!(smiths > 1);
    db.execute_batch(
        "UPDATE study SET patient_name_a = 'brown^x', date = '20250101'
            WHERE id = (SELECT min(t.id) FROM study t JOIN study_modality m ON m.study = t.id
                WHERE t.tenant = 1 AND t.patient_name_a LIKE 'smith%' AND m.modality = 'MR')",
    )
    .unwrap();
    assert_eq!((find("*smith*"), find("*brown*")), (smiths - 1, 1));
    db.execute_batch("DELETE FROM series; DELETE FROM study")
        .unwrap();
    assert_eq!((find("*smith*"), find("*brown*")), (0, 0));
    // Nothing of a name is left for who reads the file.
    let left: i64 = db
        .query_row(
            "SELECT count(*) FROM name_part_data WHERE instr(block, 'smi') + instr(block, 'bro')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
}
