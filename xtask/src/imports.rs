//! The driver's imports against the page that gives a reason for each: a new one is a decision, not an accident.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

/// The page, for messages.
pub(crate) const PAGE: &str = "docs/imports.md";

/// Compares what an image imports with the page's table: the names in the first cell of each row.
pub(crate) fn check<'a>(page: &str, imports: impl Iterator<Item = &'a str>) -> Result<()> {
    let listed: BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let found: BTreeSet<&str> = imports.collect();
    let names = |from: &BTreeSet<&str>, other| from.difference(other).copied().collect::<Vec<_>>().join(", ");
    let (new, gone) = (names(&found, &listed), names(&listed, &found));
    ensure!(
        new.is_empty(),
        "it imports {new}, for which {PAGE} gives no reason"
    );
    ensure!(gone.is_empty(), "{PAGE} lists {gone}, which it does not import");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| import | since |\n|---|---|\n| `A`, `B` | 2000 |\n| `C` | `X` |\n";

    #[test]
    fn lists_that_agree() {
        check(TABLE, ["C", "A", "B"].into_iter()).expect("they agree");
    }

    #[test]
    fn one_too_many_is_named_on_either_side() {
        let new = check(TABLE, ["A", "B", "C", "D"].into_iter()).expect_err("D is new");
        assert!(new.to_string().contains("it imports D,"), "{new}");
        let gone = check(TABLE, ["A", "C"].into_iter()).expect_err("B is gone");
        assert!(gone.to_string().contains("lists B,"), "{gone}");
    }
}
