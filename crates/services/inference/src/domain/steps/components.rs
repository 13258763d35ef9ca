//! Connected components of masks, by runs along the last axis: memory grows
//! with the number of runs, and every voxel is looked at once.

use ndarray::ArrayView1;
use serde::Deserialize;

use crate::domain::volume::Mask;

/// Which neighbours belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub enum Connectivity {
    /// Voxels that share a face.
    Faces,
    /// Voxels that share a face, an edge or a corner.
    Corners,
}

impl TryFrom<u8> for Connectivity {
    type Error = String;
    fn try_from(neighbours: u8) -> Result<Self, String> {
        match neighbours {
            6 => Ok(Self::Faces),
            26 => Ok(Self::Corners),
            other => Err(format!("connectivity is 6 or 26, not {other}")),
        }
    }
}

/// Voxels `start..end` of one row.
#[derive(Clone, Copy)]
struct Run {
    start: u32,
    end: u32,
}

struct Runs {
    runs: Vec<Run>,
    /// Runs of row `r` (`x·ny + y`) are `rows[r]..rows[r + 1]`.
    rows: Vec<usize>,
    parents: Vec<u32>,
}

impl Runs {
    fn row(&self, row: usize) -> std::ops::Range<usize> {
        match (self.rows.get(row), self.rows.get(row + 1)) {
            (Some(&a), Some(&b)) => a..b,
            _ => 0..0,
        }
    }

    fn root(&mut self, mut run: u32) -> u32 {
        loop {
            let parent = self.parent(run);
            if parent == run {
                return run;
            }
            // Path halving keeps trees flat without a second pass.
            let grand = self.parent(parent);
            if let Some(slot) = self.parents.get_mut(run as usize) {
                *slot = grand;
            }
            run = grand;
        }
    }

    fn parent(&self, run: u32) -> u32 {
        self.parents.get(run as usize).copied().unwrap_or(run)
    }

    /// The earlier run becomes the root, so labels follow scan order.
    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        if let Some(slot) = self.parents.get_mut(high as usize) {
            *slot = low;
        }
    }

    /// Joins every run of row `a` with those of row `b` that lie within `reach` of it.
    fn join_rows(&mut self, a: usize, b: usize, reach: u32) {
        let (mut i, mut j) = (self.row(a), self.row(b));
        while let (Some(&p), Some(&q)) = (self.runs.get(i.start), self.runs.get(j.start)) {
            if i.is_empty() || j.is_empty() {
                break;
            }
            if p.start < q.end + reach && q.start < p.end + reach {
                let ids = (u32::try_from(i.start), u32::try_from(j.start));
                if let (Ok(x), Ok(y)) = ids {
                    self.join(x, y);
                }
            }
            if p.end <= q.end {
                i.start += 1;
            } else {
                j.start += 1;
            }
        }
    }
}

/// Labels the voxels that equal `inside`.
fn label(mask: &Mask, inside: bool, connectivity: Connectivity) -> Runs {
    let (nx, ny, _) = mask.dim();
    let mut found = Runs {
        runs: Vec::new(),
        rows: Vec::with_capacity(nx * ny + 1),
        parents: Vec::new(),
    };
    for row in mask.rows() {
        found.rows.push(found.runs.len());
        push_runs(&mut found.runs, row, inside);
    }
    found.rows.push(found.runs.len());
    found.parents = (0u32..).take(found.runs.len()).collect();

    let reach = match connectivity {
        Connectivity::Faces => 0,
        Connectivity::Corners => 1,
    };
    for x in 0..nx {
        for y in 0..ny {
            let row = x * ny + y;
            if y > 0 {
                found.join_rows(row, row - 1, reach);
            }
            if x == 0 {
                continue;
            }
            found.join_rows(row, row - ny, reach);
            if connectivity == Connectivity::Corners {
                if y > 0 {
                    found.join_rows(row, row - ny - 1, reach);
                }
                if y + 1 < ny {
                    found.join_rows(row, row - ny + 1, reach);
                }
            }
        }
    }
    found
}

fn push_runs(runs: &mut Vec<Run>, row: ArrayView1<'_, bool>, inside: bool) {
    let mut start: Option<u32> = None;
    let mut z = 0u32;
    for &voxel in row {
        if voxel == inside {
            start.get_or_insert(z);
        } else if let Some(start) = start.take() {
            runs.push(Run { start, end: z });
        }
        z += 1;
    }
    if let Some(start) = start {
        runs.push(Run { start, end: z });
    }
}

/// Writes `value` over every run that `chosen` accepts by its root.
fn paint(mask: &mut Mask, found: &mut Runs, value: bool, mut chosen: impl FnMut(u32) -> bool) {
    let mut index = 0u32;
    let mut rows = found.rows.clone().into_iter().skip(1);
    for mut row in mask.rows_mut() {
        let Some(end) = rows.next() else { return };
        while (index as usize) < end {
            let root = found.root(index);
            if let (true, Some(run)) = (chosen(root), found.runs.get(index as usize).copied()) {
                for voxel in row
                    .iter_mut()
                    .skip(run.start as usize)
                    .take((run.end - run.start) as usize)
                {
                    *voxel = value;
                }
            }
            index += 1;
        }
    }
}

/// Keeps the component with the most voxels; of equals, the first in scan order.
#[must_use]
pub fn largest_component(mut mask: Mask, connectivity: Connectivity) -> Mask {
    let mut found = label(&mask, true, connectivity);
    let mut sizes = vec![0u64; found.runs.len()];
    for index in (0u32..).take(found.runs.len()) {
        let root = found.root(index);
        let length = found
            .runs
            .get(index as usize)
            .map_or(0, |r| u64::from(r.end - r.start));
        if let Some(size) = sizes.get_mut(root as usize) {
            *size += length;
        }
    }
    let largest = (0u32..)
        .zip(&sizes)
        .max_by_key(|&(index, &size)| (size, std::cmp::Reverse(index)));
    if let Some((largest, _)) = largest {
        paint(&mut mask, &mut found, false, |root| root != largest);
    }
    mask
}

/// Fills what is outside the mask and can't be reached from the volume's
/// border through faces (3-D, not slice by slice).
#[must_use]
pub fn fill_holes(mut mask: Mask) -> Mask {
    let (nx, ny, nz) = mask.dim();
    let mut found = label(&mask, false, Connectivity::Faces);
    let mut open = vec![false; found.runs.len()];
    for row in 0..nx * ny {
        let (x, y) = (row / ny, row % ny);
        let on_border = x == 0 || y == 0 || x + 1 == nx || y + 1 == ny;
        for index in found.row(row) {
            let reaches_end = found
                .runs
                .get(index)
                .is_some_and(|r| r.start == 0 || r.end as usize == nz);
            if !(on_border || reaches_end) {
                continue;
            }
            let Ok(id) = u32::try_from(index) else {
                continue;
            };
            let root = found.root(id);
            if let Some(slot) = open.get_mut(root as usize) {
                *slot = true;
            }
        }
    }
    paint(&mut mask, &mut found, true, |root| {
        !open.get(root as usize).copied().unwrap_or(true)
    });
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;
    use proptest::prelude::*;

    fn count(mask: &Mask) -> usize {
        mask.iter().filter(|&&v| v).count()
    }

    #[test]
    fn corners_join_what_faces_do_not() {
        let mut m = Array3::from_elem((4, 4, 4), false).into_shared();
        for at in [[0, 0, 0], [1, 1, 1], [2, 2, 2]] {
            m[at] = true;
        }
        m[[3, 0, 0]] = true;
        m[[3, 0, 1]] = true;
        assert_eq!(
            count(&largest_component(m.clone(), Connectivity::Corners)),
            3
        );
        assert_eq!(count(&largest_component(m, Connectivity::Faces)), 2);
    }

    #[test]
    fn a_cavity_is_filled_and_a_tunnel_is_not() {
        let mut m = Array3::from_elem((5, 5, 5), true).into_shared();
        m[[2, 2, 2]] = false;
        assert_eq!(count(&fill_holes(m.clone())), 125);
        for z in 0..3 {
            m[[2, 2, z]] = false;
        }
        assert_eq!(count(&fill_holes(m)), 122);
    }

    #[test]
    fn an_empty_mask_stays_empty_and_a_full_one_full() {
        let empty = Array3::from_elem((3, 3, 3), false).into_shared();
        assert_eq!(
            count(&largest_component(empty.clone(), Connectivity::Corners)),
            0
        );
        assert_eq!(count(&fill_holes(empty)), 0);
        let full = Array3::from_elem((3, 3, 3), true).into_shared();
        assert_eq!(count(&fill_holes(full.clone())), 27);
        assert_eq!(count(&largest_component(full, Connectivity::Faces)), 27);
    }

    /// The slow, obvious way: flood from every voxel.
    fn flood(mask: &Mask, inside: bool, connectivity: Connectivity) -> Vec<Vec<[usize; 3]>> {
        let (nx, ny, nz) = mask.dim();
        let mut seen = Array3::from_elem(mask.dim(), false);
        let mut components = Vec::new();
        for ((x, y, z), &v) in mask.indexed_iter() {
            if v != inside || seen[[x, y, z]] {
                continue;
            }
            let mut members = Vec::new();
            let mut stack = vec![[x, y, z]];
            seen[[x, y, z]] = true;
            while let Some([x, y, z]) = stack.pop() {
                members.push([x, y, z]);
                for (i, j, k) in ndarray::indices((3, 3, 3)) {
                    let far = [i, j, k].iter().filter(|&&d| d != 1).count();
                    let limit = if connectivity == Connectivity::Faces {
                        1
                    } else {
                        3
                    };
                    let (Some(a), Some(b), Some(c)) = (
                        (x + i).checked_sub(1),
                        (y + j).checked_sub(1),
                        (z + k).checked_sub(1),
                    ) else {
                        continue;
                    };
                    if far > limit
                        || a >= nx
                        || b >= ny
                        || c >= nz
                        || seen[[a, b, c]]
                        || mask[[a, b, c]] != inside
                    {
                        continue;
                    }
                    seen[[a, b, c]] = true;
                    stack.push([a, b, c]);
                }
            }
            components.push(members);
        }
        components
    }

    proptest! {
        #[test]
        fn agrees_with_flooding(bits in proptest::collection::vec(any::<bool>(), 5 * 6 * 7), corners: bool) {
            let mask = Array3::from_shape_vec((5, 6, 7), bits).unwrap().into_shared();
            let connectivity = if corners { Connectivity::Corners } else { Connectivity::Faces };
            let components = flood(&mask, true, connectivity);
            let most = components.iter().map(Vec::len).max().unwrap_or(0);
            let first = components.iter().find(|c| c.len() == most).cloned().unwrap_or_default();
            let kept = largest_component(mask.clone(), connectivity);
            prop_assert_eq!(count(&kept), most);
            prop_assert!(first.iter().all(|&at| kept[at]));

            let mut filled = mask.clone();
            for hole in flood(&mask, false, Connectivity::Faces) {
                if !hole.iter().any(|&[x, y, z]| x == 0 || y == 0 || z == 0 || x == 4 || y == 5 || z == 6) {
                    for at in hole { filled[at] = true; }
                }
            }
            prop_assert_eq!(fill_holes(mask), filled);
        }
    }
}
