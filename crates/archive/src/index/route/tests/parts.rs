//! Parts of names: an index from before them, and what it becomes.

use super::*;

/// Migrations before the one that brought parts of names.
const BEFORE_PARTS: usize = 19;

/// Threes of names that the index has, and how many studies each leads to, beside
/// those that it would have if it were filled anew.
pub(super) fn threes(db: &Connection) -> [Vec<(String, i64)>; 2] {
    db.execute_batch(
        "CREATE VIRTUAL TABLE temp.again USING fts5 (a, i, p, content = '',
            tokenize = 'trigram case_sensitive 1', detail = 'none', columnsize = 0);
         INSERT INTO again (rowid, a, i, p) SELECT * FROM (SELECT place, patient_name_a,
            patient_name_i, patient_name_p FROM study_name_part ORDER BY place);
         CREATE VIRTUAL TABLE temp.again_term USING fts5vocab (temp, again, row);",
    )
    .unwrap();
    let all = ["name_part_term", "again_term"].map(|table| {
        let sql = format!("SELECT term, doc FROM {table} ORDER BY term");
        let mut query = db.prepare(&sql).unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(|row| row.unwrap()).collect()
    });
    db.execute_batch("DROP TABLE again_term; DROP TABLE again")
        .unwrap();
    all
}

/// Every pattern in every order, of a year and of all.
fn check_all_patterns(db: &Connection) {
    let few = Few {
        at_once: 5,
        fetched: 40,
        covered: 0,
        walked: 0,
        walked_for_short: 0,
        counted: 200,
    };
    for (pattern, received, year) in PATTERNS
        .iter()
        .flat_map(|pattern| [(pattern, true), (pattern, false)])
        .flat_map(|(pattern, received)| {
            [None, Some(2023), Some(2024), Some(2026)].map(|year| (pattern, received, year))
        })
    {
        let filter = StudyFilter {
            patient_name: Some(NamePattern::AnyGroup(TextPattern((*pattern).to_owned()))),
            date: year.map(|year: i64| DateRange {
                from: Some(format!("{year}0215")),
                to: Some(format!("{year}1120")),
            }),
            ..StudyFilter::default()
        };
        let asked = Asked {
            tenant: 1,
            filter: &filter,
            order: if received {
                Order::Received
            } else {
                Order::StudyDate
            },
            after: None,
            limit: 100,
            offset: 0,
        };
        let found = within(db, &asked, few).unwrap();
        let ids: Vec<i64> = found.into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids, plainly(db, &asked), "{filter:?}");
    }
}

#[test]
fn an_older_index_answers_alike_while_its_names_are_taken_up() {
    let mut db = filled_before(BEFORE_PARTS);
    let mut turn = 0;
    loop {
        check_all_patterns(&db);
        // Of rows that are taken up and of some that are not.
        turn += 1;
        for change in [
            "UPDATE study SET patient_name_a = 'qzsmith^' || id, date = '20240607' WHERE id % 9 = ?1",
            "UPDATE study SET date = NULL, patient_name_p = NULL WHERE id % 17 = ?1",
            "DELETE FROM series WHERE study % 23 = ?1",
            "DELETE FROM study WHERE id % 23 = ?1",
            "INSERT INTO study (tenant, uid, patient_name_a, date, instances, first_received,
                last_received) VALUES (1, 'new.' || ?1, 'mi?hson^q', '20240301', 1, 0, 0)",
        ] {
            db.execute(change, [turn]).unwrap();
        }
        check_all_patterns(&db);
        if !crate::index::parts::complete(&mut db, 30).unwrap() {
            break;
        }
    }
    assert!(turn > 4);
    while crate::index::parts::merge(&mut db, 8).unwrap() {}
    check_all_patterns(&db);
    let [held, meant] = threes(&db);
    assert!(!held.is_empty());
    assert_eq!(held, meant);
    let left: i64 = db
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'study_name' OR name GLOB 'study_name_[cdg]*'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
}
