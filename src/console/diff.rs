//! What differs between two texts, line by line.

/// Most pairs of lines that are compared; of longer texts, all that lies between what is equal at both ends is shown as changed.
const MOST: usize = 4_000_000;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change<'t> {
    /// It is in both.
    Same(&'t str),
    /// It is in the old text only.
    Gone(&'t str),
    /// It is in the new text only.
    New(&'t str),
}

/// The fewest changes that make `new` of `old`, in order.
pub(super) fn changes<'t>(old: &'t str, new: &'t str) -> Vec<Change<'t>> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let begin = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let (old_rest, new_rest) = (&old[begin..], &new[begin..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(one, other)| one == other).count();
    let middle = between(&old_rest[..old_rest.len() - end], &new_rest[..new_rest.len() - end]);
    let same = |lines: &[&'t str]| lines.iter().map(|line| Change::Same(line)).collect::<Vec<_>>();
    [same(&old[..begin]), middle, same(&old[old.len() - end..])].concat()
}

fn between<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Change<'t>> {
    let (mut at_old, mut at_new) = (0, 0);
    let common = if old.len() * new.len() > MOST { Vec::new() } else { longest_common(old, new) };
    let mut changes = Vec::with_capacity(old.len() + new.len());
    for (in_old, in_new) in common.into_iter().chain([(old.len(), new.len())]) {
        changes.extend(old[at_old..in_old].iter().map(|line| Change::Gone(line)));
        changes.extend(new[at_new..in_new].iter().map(|line| Change::New(line)));
        changes.extend(old.get(in_old).map(|line| Change::Same(line)));
        (at_old, at_new) = (in_old + 1, in_new + 1);
    }
    changes
}

/// Where the lines of a longest common subsequence are in both.
fn longest_common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let mut lengths = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (row, line) in old.iter().enumerate().rev() {
        for (column, other) in new.iter().enumerate().rev() {
            lengths[row][column] = if line == other {
                lengths[row + 1][column + 1] + 1
            } else {
                lengths[row + 1][column].max(lengths[row][column + 1])
            };
        }
    }
    let (mut row, mut column, mut common) = (0, 0, Vec::new());
    while row < old.len() && column < new.len() {
        if old[row] == new[column] {
            common.push((row, column));
            (row, column) = (row + 1, column + 1);
        } else if lengths[row + 1][column] >= lengths[row][column + 1] {
            row += 1;
        } else {
            column += 1;
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::{Change, changes};
    use proptest::prelude::*;

    #[test]
    fn what_is_moved_is_gone_and_new() {
        use Change::{Gone, New, Same};
        let found = changes("a\nb\nc\nd\ne", "a\nc\nx\nd\nf\ne");
        assert_eq!(found, [Same("a"), Gone("b"), Same("c"), New("x"), Same("d"), New("f"), Same("e")]);
        assert_eq!(changes("", "a"), [New("a")]);
        assert_eq!(changes("a", "a"), [Same("a")]);
    }

    proptest! {
        #[test]
        fn both_texts_are_in_it(old in "([abc]\n){0,12}", new in "([abc]\n){0,12}") {
            let found = changes(&old, &new);
            let kept = |out: fn(&Change<'_>) -> bool| -> Vec<String> {
                found.iter().filter(|change| !out(change)).map(|change| match change {
                    Change::Same(line) | Change::Gone(line) | Change::New(line) => (*line).to_owned(),
                }).collect()
            };
            prop_assert_eq!(kept(|change| matches!(change, Change::New(_))), old.lines().collect::<Vec<_>>());
            prop_assert_eq!(kept(|change| matches!(change, Change::Gone(_))), new.lines().collect::<Vec<_>>());
        }
    }
}
