//! What clients wrote and what they were told, and whether one order explains it.
//!
//! Clients append numbers to lists, some to two lists in one transaction, and each number once. The lists at the end then show the order in
//! which transactions took effect: strict serializability, and exactly once.

use std::collections::{BTreeMap, HashMap};

/// A client's write.
#[derive(Clone, Debug)]
pub struct Write {
    /// The number it appends.
    pub number: u64,
    /// Lists it appends to.
    pub lists: Vec<u64>,
    /// When it was handed over, in simulated microseconds.
    pub begun_us: i64,
    /// What became of it, and when.
    pub told: Told,
}

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing yet.
    Waits,
    /// It took effect, at that place of the ledger.
    Applied {
        /// When it was told, in simulated microseconds.
        at_us: i64,
        /// Height of its block, and its place there.
        place: (u64, u32),
    },
    /// It has no effect.
    Refused,
    /// Nobody knows: its node was killed, or gave up.
    Unknown,
}

/// Everything that all clients did.
#[derive(Clone, Debug, Default)]
pub struct History(pub Vec<Write>);

impl History {
    /// What does not fit the lists at the end.
    #[must_use]
    pub fn violations(&self, lists: &BTreeMap<u64, Vec<u64>>) -> Vec<String> {
        let mut found = Vec::new();
        let writes: HashMap<u64, &Write> = self.0.iter().map(|one| (one.number, one)).collect();
        let mut counted: HashMap<(u64, u64), usize> = HashMap::new();
        for (list, numbers) in lists {
            for number in numbers {
                *counted.entry((*list, *number)).or_default() += 1;
                let known = writes.get(number);
                if !known.is_some_and(|write| write.lists.contains(list)) {
                    found.push(format!("list {list} holds {number}, which nobody appended"));
                }
            }
        }
        for write in &self.0 {
            let times: Vec<usize> = write
                .lists
                .iter()
                .map(|list| counted.get(&(*list, write.number)).copied().unwrap_or(0))
                .collect();
            let (least, most) = (times.iter().min(), times.iter().max());
            let name = write.number;
            if least != most {
                found.push(format!("{name} took effect in part: {times:?}"));
            }
            match (write.told, most) {
                (_, Some(2..)) => found.push(format!("{name} took effect more than once")),
                (Told::Applied { .. }, Some(0)) => {
                    found.push(format!("{name} was acknowledged and is lost"));
                }
                (Told::Refused, Some(1)) => {
                    found.push(format!("{name} was refused and took effect"));
                }
                _ => {}
            }
        }
        for (list, numbers) in lists {
            self.order(*list, numbers, &writes, &mut found);
        }
        found
    }

    /// In each list the places must ascend, and what was acknowledged before another began must stand before it.
    fn order(
        &self,
        list: u64,
        numbers: &[u64],
        writes: &HashMap<u64, &Write>,
        found: &mut Vec<String>,
    ) {
        let mut place_before = None;
        let mut latest_begun: Option<(i64, u64)> = None;
        for number in numbers {
            let Some(write) = writes.get(number) else {
                continue;
            };
            if let Told::Applied { at_us, place } = write.told {
                if place_before.is_some_and(|before| before >= place) {
                    found.push(format!(
                        "list {list}: {number} stands after a write of a later block"
                    ));
                }
                place_before = Some(place);
                if let Some((begun_us, later)) = latest_begun
                    && at_us < begun_us
                {
                    found.push(format!(
                        "list {list}: {number} was acknowledged before {later} began, and stands after it"
                    ));
                }
            }
            if latest_begun.is_none_or(|(begun_us, _)| write.begun_us > begun_us) {
                latest_begun = Some((write.begun_us, *number));
            }
        }
    }

    /// How many writes were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        let applied = |write: &&Write| matches!(write.told, Told::Applied { .. });
        self.0.iter().filter(applied).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(number: u64, begun_us: i64, told: Told) -> Write {
        Write {
            number,
            lists: vec![1],
            begun_us,
            told,
        }
    }

    fn applied(at_us: i64, height: u64) -> Told {
        Told::Applied {
            at_us,
            place: (height, 0),
        }
    }

    fn found(history: &[Write], list: &[u64]) -> Vec<String> {
        History(history.to_vec()).violations(&BTreeMap::from([(1, list.to_vec())]))
    }

    #[test]
    fn what_one_order_explains_is_fine() {
        let history = [
            write(1, 0, applied(5, 1)),
            write(2, 1, Told::Unknown),
            write(3, 6, applied(9, 3)),
            write(4, 6, Told::Unknown),
            write(5, 6, Told::Refused),
        ];
        assert!(found(&history, &[1, 2, 3]).is_empty());
        assert!(found(&history, &[2, 1, 3, 4]).is_empty());
    }

    #[test]
    fn everything_else_is_found() {
        let one = [write(1, 0, applied(5, 1))];
        assert!(found(&one, &[])[0].contains("lost"));
        assert!(found(&one, &[1, 1])[0].contains("more than once"));
        assert!(found(&one, &[1, 9])[0].contains("nobody"));
        assert!(found(&[write(1, 0, Told::Refused)], &[1])[0].contains("refused"));
        let two = [write(1, 0, applied(5, 1)), write(2, 6, applied(9, 2))];
        assert!(
            found(&two, &[2, 1])
                .iter()
                .any(|one| one.contains("later block"))
        );
        let late = [write(1, 0, applied(5, 3)), write(2, 6, Told::Unknown)];
        assert!(found(&late, &[2, 1])[0].contains("before 2 began"));
        let part = [Write {
            lists: vec![1, 2],
            ..write(1, 0, Told::Unknown)
        }];
        let lists = BTreeMap::from([(1, vec![1]), (2, Vec::new())]);
        assert!(History(part.to_vec()).violations(&lists)[0].contains("in part"));
    }
}
