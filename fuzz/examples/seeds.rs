//! Writes the seeds into the corpus, after a change of the contract or of the programs' language.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/requests");
    fs::create_dir_all(&folder)?;
    for (name, bytes) in queued_work_item_fuzz::seeds::all() {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
