//! What each sync of a record is for, without names: so that all of one kind
//! can be left out, as the negative controls do.

use std::collections::{BTreeSet, HashMap};

use super::live;
use super::{Node, Op};

/// What changed in a folder of objects since it was last synced.
#[derive(Default)]
struct Changed {
    made: BTreeSet<Node>,
    removed: bool,
}

/// For each operation of a record: what it syncs, if it does.
pub(crate) fn of(ops: &[Op]) -> Vec<Option<String>> {
    let mut objects: HashMap<Node, &'static str> = HashMap::new();
    let mut folders: HashMap<Node, Changed> = HashMap::new();
    ops.iter()
        .map(|op| match op {
            Op::Make { folder, node, .. } => {
                folders.entry(*folder).or_default().made.insert(*node);
                None
            }
            Op::Remove { folder, .. } => {
                folders.entry(*folder).or_default().removed = true;
                None
            }
            Op::Write { node, at: 0, bytes } => {
                objects.extend(live::kind(bytes).map(|kind| (*node, kind)));
                None
            }
            Op::Sync { node, path } => {
                let changed = folders.remove(node).unwrap_or_default();
                // What is rarer says more.
                let made = ["pack", "streamed", "note", "quarantine", "bundle"]
                    .into_iter()
                    .find(|kind| {
                        changed
                            .made
                            .iter()
                            .any(|node| objects.get(node) == Some(kind))
                    });
                Some(kind(
                    path,
                    objects.get(node).copied(),
                    made,
                    changed.removed,
                ))
            }
            _ => None,
        })
        .collect()
}

fn kind(path: &str, object: Option<&str>, made: Option<&str>, removed: bool) -> String {
    let name = |kind: &str| match kind {
        "pack" => "a pack",
        "streamed" => "a streamed object",
        "note" => "a note",
        "quarantine" => "a quarantined object",
        _ => "a bundle",
    };
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        [] | [""] => "the folder above the data folder".to_owned(),
        [_] => "the data folder".to_owned(),
        [_, "objects"] => "the folder of objects".to_owned(),
        [_, "objects", _] => "a tenant's folder".to_owned(),
        [_, "objects", _, _] => match (made, removed) {
            (Some(kind), _) => format!("the folder of {}", name(kind)),
            (None, true) => "the folder of a removed object".to_owned(),
            (None, false) => "an object's folder, once more".to_owned(),
        },
        [_, "objects", ..] => name(object.unwrap_or_default()).to_owned(),
        [_, "lookup"] => "the folder of look-ups".to_owned(),
        [_, "lookup", _] => match (made, removed) {
            (None, true) => "a tenant's look-up folder, after a removal".to_owned(),
            _ => "a tenant's look-up folder".to_owned(),
        },
        [_, "lookup", ..] => "a look-up file".to_owned(),
        [_, rest @ ..] => rest.join("/"),
    }
}
