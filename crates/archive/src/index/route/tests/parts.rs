//! Parts of names: an index from before them, and what it becomes.

use super::*;

/// Migrations before the one that put modalities beside parts of names.
const BEFORE_MODALITIES: usize = 21;

/// Threes of names that the index has, and how many studies each leads to, beside
/// those that it would have if it were filled anew.
pub(super) fn threes(db: &Connection) -> [Vec<(String, i64)>; 2] {
    db.execute_batch(
        "CREATE VIRTUAL TABLE temp.again USING fts5 (a, i, p, m, content = '',
            tokenize = 'trigram case_sensitive 1', detail = 'none', columnsize = 0);
         INSERT INTO again (rowid, a, i, p, m) SELECT * FROM (SELECT place, patient_name_a,
            patient_name_i, patient_name_p, modalities FROM study_name_part ORDER BY place);
         CREATE VIRTUAL TABLE temp.again_term USING fts5vocab (temp, again, row);
         CREATE VIRTUAL TABLE temp.held_term USING fts5vocab (main, name_part, row);",
    )
    .unwrap();
    let all = ["held_term", "again_term"].map(|table| {
        let sql = format!("SELECT term, doc FROM {table} ORDER BY term");
        let mut query = db.prepare(&sql).unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(|row| row.unwrap()).collect()
    });
    db.execute_batch("DROP TABLE held_term; DROP TABLE again_term; DROP TABLE again")
        .unwrap();
    all
}

/// Every pattern in every order, of a year and of all, of some modalities.
fn check_all_patterns(db: &Connection) {
    let few = Few {
        looked_up: 40,
        read: 5,
        covered: 0,
        walked: 0,
        counted: 200,
    };
    let modalities: [&[&str]; 4] = [&[], &["CT"], &["MR", "XA"], &["C", "PT"]];
    for (pattern, received, year, of) in PATTERNS
        .iter()
        .flat_map(|pattern| [(pattern, true), (pattern, false)])
        .flat_map(|(pattern, received)| {
            [None, Some(2023), Some(2024), Some(2026)].map(|year| (pattern, received, year))
        })
        .flat_map(|(pattern, received, year)| modalities.map(|of| (pattern, received, year, of)))
    {
        let filter = StudyFilter {
            patient_name: Some(NamePattern::AnyGroup(TextPattern((*pattern).to_owned()))),
            date: year.map(|year: i64| DateRange {
                from: Some(format!("{year}0215")),
                to: Some(format!("{year}1120")),
            }),
            modalities: of.iter().map(|&modality| modality.to_owned()).collect(),
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
    let mut db = filled_before(BEFORE_MODALITIES);
    let mut turn = 0_usize;
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
        for study in [3 * turn, 3 * turn + 40] {
            let to = ["C", "XA", "PT\\CT"].get(study % 3);
            let changed = "UPDATE series SET modality = ?2 WHERE study = ?1 AND uid = '1'";
            db.execute(changed, crate::db::params![study, to]).unwrap();
            crate::index::levels::refresh_modalities(&db, study.try_into().unwrap()).unwrap();
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
}
