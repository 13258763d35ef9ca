//! Rows of the instances that one commit adds, written together where a statement is
//! a way to a server and back.

use std::collections::HashMap;

use super::commit::{Record, Unit};
use super::conflict;
use super::schema::NO_NUMBER;
use crate::db::{ToSql, Transaction, Value, params_from_iter, places};
use crate::error::{ArchiveError, Result};
use crate::model::Standing;

pub(super) struct Rows<'u> {
    unit: &'u Unit,
    waiting: Vec<Waiting<'u>>,
}

struct Waiting<'u> {
    record: &'u Record,
    standing: Standing,
    values: [Value; COLUMNS],
}

/// How many values a row has.
const COLUMNS: usize = 21;

const INTO_INSTANCE: &str = "INSERT INTO instance (tenant, series, sop_class, uid, transfer_syntax,
    number, rows, columns, bits, frames, flags, origin, received_at, standing, sha256, comparison,
    object, segment, \"offset\", length, placement";

/// PostgreSQL gives a number once by itself.
const NUMBER: &str =
    "(SELECT max(floor, coalesce((SELECT max(id) FROM instance), 0)) + 1 FROM instance_floor)";

impl<'u> Rows<'u> {
    pub(super) fn of(unit: &'u Unit) -> Self {
        Self {
            unit,
            waiting: Vec::new(),
        }
    }

    /// Has the row of a record written with the next ones.
    pub(super) fn add(
        &mut self,
        record: &'u Record,
        series: i64,
        standing: Standing,
        placement: Option<i64>,
    ) -> Result<()> {
        let of = &record.descriptor;
        let attributes = &of.instance_attributes;
        let origin = serde_json::to_string(&of.origin)
            .map_err(|_| ArchiveError::Invalid("the origin cannot be written"))?;
        let values = [
            self.unit.tenant_row.into(),
            series.into(),
            of.sop_class.clone().into(),
            of.sop_instance.clone().into(),
            of.transfer_syntax.clone().into(),
            attributes.number.unwrap_or(NO_NUMBER).into(),
            attributes.rows.into(),
            attributes.columns.into(),
            attributes.bits_allocated.into(),
            attributes.frames.into(),
            of.flags.join(" ").into(),
            origin.into(),
            of.received_at.into(),
            standing.code().into(),
            of.sha256.to_vec().into(),
            of.comparison.map(|digest| digest.0.to_vec()).into(),
            self.unit.name.row.into(),
            record.segment.into(),
            whole(record.offset)?,
            whole(of.length)?,
            placement.into(),
        ];
        self.waiting.push(Waiting {
            record,
            standing,
            values,
        });
        Ok(())
    }

    /// Writes what waits.
    pub(super) fn write(&mut self, tx: &Transaction<'_>) -> Result<()> {
        for some in self.waiting.chunks(tx.together()) {
            let numbers = write_instances(tx, some)?;
            write_blocks(tx, some, &numbers)?;
            for (one, number) in some.iter().zip(numbers) {
                if one.standing == Standing::Conflict {
                    conflict::await_comparison(tx, number)?;
                }
            }
        }
        self.waiting.clear();
        Ok(())
    }
}

/// The numbers of the rows, in their order.
fn write_instances(tx: &Transaction<'_>, some: &[Waiting<'_>]) -> Result<Vec<i64>> {
    let (column, number) = match tx.sqlite() {
        Some(_) => (", id", format!(", {NUMBER}")),
        None => ("", String::new()),
    };
    let each: Vec<String> = (0..some.len())
        .map(|at| format!("({}{number})", places(at * COLUMNS + 1, COLUMNS)))
        .collect();
    let sql = format!(
        "{INTO_INSTANCE}{column}) VALUES {} RETURNING segment, id",
        each.join(", ")
    );
    let values = some.iter().flat_map(|one| &one.values);
    let written: HashMap<u32, i64> = tx
        .prepare_for(some.len(), &sql)?
        .query_map(params_from_iter(values), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<crate::db::Result<_>>()?;
    some.iter()
        .map(|one| {
            let number = written.get(&one.record.segment).copied();
            number.ok_or_else(|| ArchiveError::Index("a row has no number".to_owned()))
        })
        .collect()
}

fn write_blocks(tx: &Transaction<'_>, some: &[Waiting<'_>], numbers: &[i64]) -> Result<()> {
    let each: Vec<String> = (0..some.len())
        .map(|at| format!("({})", places(at * 3 + 1, 3)))
        .collect();
    let values = some.iter().zip(numbers).flat_map(|(one, number)| {
        let blocks = &one.record.blocks;
        let number: &dyn ToSql = number;
        [number, &blocks.metadata, &blocks.layout]
    });
    let sql = format!(
        "INSERT INTO instance_block (instance, metadata, layout) VALUES {}",
        each.join(", ")
    );
    tx.prepare_for(some.len(), &sql)?
        .execute(params_from_iter(values))?;
    Ok(())
}

fn whole(number: u64) -> Result<Value> {
    i64::try_from(number)
        .map(Value::Integer)
        .map_err(|_| ArchiveError::Invalid("a number is too large"))
}
