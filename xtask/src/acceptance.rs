//! Every acceptance scenario has its tests: `docs/acceptance.md` against the sources.
//!
//! `QWI_UPDATE=1 cargo test -p xtask acceptance` writes the page's list of tests anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const PAGE: &str = "docs/acceptance.md";

/// Where the page's list of tests begins.
const LIST: &str = "## Tests\n";

/// The folders whose tests are of a layer.
const LAYERS: [(char, &[&str]); 3] = [
    (
        'H',
        &["crates/queued-work-item/tests", "crates/exerciser/src/tests"],
    ),
    ('M', &["crates/queued-work-item/src/models"]),
    ('K', &["tests/harness/src/scenarios"]),
];

/// Scenarios that have no test at a layer yet. One that has is to be struck out here.
const AWAITED: &[(&str, char)] = &[];

/// Where the driver's scenarios are listed to be run.
const SCENARIOS: &str = "tests/harness/src/scenarios/mod.rs";

/// Tests, by the id of their scenario and their layer: `program::name`.
type Tests = BTreeMap<(String, char), BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The scenarios that the page asks for: id and layer.
fn wanted(page: &str) -> BTreeSet<(String, char)> {
    let mut wanted = BTreeSet::new();
    for line in page.split(LIST).next().expect("a page").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, layers, ..] = cells[..] else { continue };
        if is_id(&id.to_lowercase()) {
            let layers = if id.starts_with("fault") { "H" } else { layers };
            wanted.extend(layers.split(' ').map(|layer| {
                let layer = layer.chars().next().expect("a layer");
                (id.to_lowercase(), layer)
            }));
        }
    }
    wanted
}

fn is_id(word: &str) -> bool {
    let number = word
        .strip_prefix("fault_")
        .or_else(|| word.strip_prefix(['w', 'x']));
    number.is_some_and(|number| number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The scenario's id that a test's name begins with.
fn id_of(name: &str) -> Option<&str> {
    let length = if name.starts_with("fault_") { 8 } else { 3 };
    let (id, rest) = name.split_at_checked(length)?;
    (is_id(id) && rest.starts_with('_')).then_some(id)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The functions of a source that are tests: after `#[test]`, but for those of a layer that lists them elsewhere.
fn functions(text: &str, marked: bool) -> Vec<&str> {
    let mut is_test = !marked;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if line == "#[test]" {
            is_test = true;
        }
        let words = line
            .split_once("fn ")
            .filter(|(before, _)| before.is_empty() || before.starts_with("pub"));
        let Some((_, rest)) = words else { continue };
        if is_test {
            names.extend(rest.split(['(', '<']).next());
        }
        is_test = !marked;
    }
    names
}

/// The tests that there are.
fn found() -> Tests {
    let scenarios = read(&root().join(SCENARIOS));
    let mut tests = Tests::new();
    for (layer, folders) in LAYERS {
        for folder in folders {
            let folder = root().join(folder);
            let mut paths = Vec::new();
            sources(&folder, &mut paths);
            for path in paths {
                let text = read(&path);
                let program = path.strip_prefix(&folder).expect("below it").with_extension("");
                let program = program
                    .display()
                    .to_string()
                    .replace("/main", "")
                    .replace('/', "::");
                for name in functions(&text, layer != 'K') {
                    let Some(id) = id_of(name) else { continue };
                    let listed = || {
                        [',', ' ']
                            .iter()
                            .any(|end| scenarios.contains(&format!("::{name}{end}")))
                    };
                    if layer == 'K' && !listed() {
                        continue;
                    }
                    tests
                        .entry((id.to_owned(), layer))
                        .or_default()
                        .insert(format!("{program}::{name}"));
                }
            }
        }
    }
    tests
}

/// The page's list, as it should be.
fn list(tests: &Tests, wanted: &BTreeSet<(String, char)>) -> String {
    let mut list = String::from("\n| id | layer | tests |\n|---|---|---|\n");
    for (id, layer) in wanted {
        let names: Vec<String> = tests
            .get(&(id.clone(), *layer))
            .into_iter()
            .flatten()
            .map(|name| format!("`{name}`"))
            .collect();
        let id = if id.starts_with("fault") {
            id.clone()
        } else {
            id.to_uppercase()
        };
        writeln!(list, "| {id} | {layer} | {} |", names.join(", ")).expect("a string takes all");
    }
    list
}

#[test]
fn every_scenario_has_a_test_at_each_of_its_layers() {
    let page = read(&root().join(PAGE));
    let (wanted, tests) = (wanted(&page), found());
    assert!(
        wanted.len() > 65,
        "the page's tables were not understood: {wanted:?}"
    );
    let lacking: Vec<_> = wanted
        .iter()
        .filter(|key| !tests.contains_key(key))
        .filter(|(id, layer)| !AWAITED.contains(&(id, *layer)))
        .collect();
    assert!(lacking.is_empty(), "no test for {lacking:?}");
    let strangers: Vec<_> = tests
        .keys()
        .filter(|(id, _)| !wanted.iter().any(|(wanted, _)| wanted == id))
        .collect();
    assert!(
        strangers.is_empty(),
        "tests of scenarios that {PAGE} has not: {strangers:?}"
    );
}

/// A listed test that is gone was renamed or lost. One that is not listed yet is no fault.
#[test]
fn every_test_that_the_page_lists_is_there() {
    let path = root().join(PAGE);
    let page = read(&path);
    let (tests, (head, listed)) = (found(), page.split_once(LIST).expect("the page's list"));
    if std::env::var_os("QWI_UPDATE").is_some() {
        let new = format!("{head}{LIST}{}", list(&tests, &wanted(&page)));
        fs::write(&path, new).expect("the page can be written");
        return;
    }
    let there: BTreeSet<&str> = tests.values().flatten().map(String::as_str).collect();
    let listed: BTreeSet<&str> = listed.split('`').skip(1).step_by(2).collect();
    assert!(!listed.is_empty(), "the list is empty");
    let gone: Vec<_> = listed.difference(&there).collect();
    assert!(
        gone.is_empty(),
        "{PAGE} lists {gone:?}: QWI_UPDATE=1 writes the list anew"
    );
}

#[test]
fn tests_are_found_by_their_mark_and_name() {
    let text = "#[test]\nfn w01_a() {\n}\nfn w02_no_test() {}\n    #[test]\n    #[should_panic]\n    fn w03_b<T>() {}\n// fn w04_c()";
    assert_eq!(functions(text, true), ["w01_a", "w03_b"]);
    assert_eq!(functions(text, false), ["w01_a", "w02_no_test", "w03_b"]);
    assert_eq!(id_of("w01_a"), Some("w01"));
    assert_eq!(id_of("fault_13_b"), Some("fault_13"));
    assert_eq!(
        (id_of("w1_a"), id_of("wait_for"), id_of("w011"), id_of("fault")),
        (None, None, None, None)
    );
}
