//! Tables, for people and for pipes.

use std::io::IsTerminal;

use comfy_table::{CellAlignment, Table, presets};

/// Figures: all but the first column stand to the right.
pub(super) fn figures(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = table(header, rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A table with lines where someone looks, and one that a script can split where not.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_preset(if std::io::stdout().is_terminal() {
        presets::UTF8_FULL_CONDENSED
    } else {
        presets::ASCII_MARKDOWN
    });
    table.set_header(header.to_vec());
    table.add_rows(rows);
    table
}
