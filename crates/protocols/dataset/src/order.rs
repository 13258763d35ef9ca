//! Ascending order of the elements of one level (PS3.5 §7.1), and which of
//! them came before. Costs a comparison per element while they ascend.

use std::collections::HashSet;

use crate::error::{Flag, Flags};

#[derive(Default)]
pub(crate) struct Order {
    ascending: Vec<u32>,
    others: HashSet<u32>,
}

impl Order {
    /// Records an element; `false` when it came before.
    pub(crate) fn admit(&mut self, tag: u32, flags: &mut Flags) -> bool {
        match self.ascending.last() {
            Some(last) if tag <= *last => {
                if self.ascending.binary_search(&tag).is_ok() || !self.others.insert(tag) {
                    flags.add(Flag::Duplicate { tag });
                    return false;
                }
                flags.add(Flag::OutOfOrder { tag });
                true
            }
            _ => {
                self.ascending.push(tag);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_counts() {
        let mut flags = Flags::default();
        let mut order = Order::default();
        let admitted = [1, 5, 3, 5, 3, 7].map(|tag| order.admit(tag, &mut flags));
        assert_eq!(admitted, [true, true, true, false, false, true]);
    }
}
