//! What is left on the sessions of a real server, with and without a real PgBouncer.

use hilum_platform::db::Home;
use hilum_testkit::Place;

use super::*;

const PREPARED_HERE: &str = "SELECT count(*) FROM pg_prepared_statements";

fn schema(place: &Place) -> Schema {
    let nowhere = tempfile::tempdir().unwrap();
    let home = Home::of(nowhere.path(), place.database().as_ref()).unwrap();
    let options = home.server().unwrap().application().clone();
    Schema::new(options, "pg_catalog")
}

/// Asks in a transaction of its own; the number in the first row.
fn asked(session: &Session, text: &str, values: Vec<Value>, kept: bool) -> i64 {
    session.begin(Whose::Every, Kind::Snapshot).unwrap();
    let answer = session.ask(text, values, kept).unwrap();
    session.abandon();
    match answer.rows.first().and_then(|row| row.first()) {
        Some(Value::Integer(number)) => *number,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_asked_often_stays_prepared_on_a_session_of_its_own() {
    let place = Place::postgres();
    let schema = schema(&place);
    let session = Session::new(schema.clone());
    for number in 0..3 {
        let doubled = asked(&session, "SELECT 2 * ?1::int8", vec![number.into()], true);
        assert_eq!(doubled, 2 * number);
    }
    asked(&session, "SELECT 3 * ?1::int8", vec![1.into()], false);
    assert_eq!(asked(&session, PREPARED_HERE, Vec::new(), false), 1);
    assert!(!schema.is_pooled.load(Ordering::Relaxed));
    // One that was lost is made again, and so are its statements.
    session.reached.replace(None);
    assert_eq!(
        asked(&session, "SELECT 2 * ?1::int8", vec![7.into()], true),
        14
    );
    assert_eq!(asked(&session, PREPARED_HERE, Vec::new(), false), 1);
}

#[test]
fn behind_a_pooler_no_session_is_relied_upon() {
    let place = Place::pooled();
    let schema = schema(&place);
    std::thread::scope(|threads| {
        for of in 1..=8_i64 {
            let schema = schema.clone();
            threads.spawn(move || {
                let session = Session::new(schema);
                for number in 0..200 {
                    // Each has another statement under the name that the driver gives its first.
                    let text = format!("SELECT {of} * ?1::int8");
                    assert_eq!(
                        asked(&session, &text, vec![number.into()], true),
                        of * number
                    );
                }
            });
        }
    });
    assert!(schema.is_pooled.load(Ordering::Relaxed));
    let session = Session::new(schema);
    asked(&session, "SELECT ?1::int8", vec![1.into()], true);
    assert!(session.reached.borrow().as_ref().unwrap().mark.is_none());
}
