//! What is tested of the documentation's pages: their links lead somewhere, and the guide's code is the example's.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the repository")
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every page of the repository's root and of `docs/`.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = [root().to_path_buf(), root().join("docs")]
        .iter()
        .flat_map(|dir| fs::read_dir(dir).expect("a folder"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    pages
}

/// The lines of a page that are no code, and the blocks of code with the words after their fence.
fn parts(page: &str) -> (Vec<&str>, Vec<(&str, String)>) {
    let (mut prose, mut blocks) = (Vec::new(), Vec::new());
    let mut open: Option<(&str, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(words), None) => open = Some((words, String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, code))) => {
                code.push_str(line);
                code.push('\n');
            }
            (None, None) => prose.push(line),
        }
    }
    assert!(open.is_none(), "a block of code has no end");
    (prose, blocks)
}

/// The targets of the links `[text](target)` of a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The anchor of a heading, as the forges make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Why a link of `page` leads nowhere.
fn dead(page: &Path, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() {
        page.to_path_buf()
    } else {
        page.parent().expect("a page is in a folder").join(path)
    };
    if !file.exists() {
        return Some(format!("{}: nothing is at {target}", page.display()));
    }
    if fragment.is_empty() || file.extension().is_none_or(|extension| extension != "md") {
        return None;
    }
    let text = read(&file);
    let (prose, _) = parts(&text);
    let found = prose
        .iter()
        .any(|line| line.starts_with('#') && anchor(line) == fragment);
    (!found).then(|| format!("{}: no heading is {target}", page.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = read(&page);
        for target in parts(&text).0.into_iter().flat_map(links) {
            seen += 1;
            wrong.extend(dead(&page, target));
        }
    }
    assert!(seen > 20, "only {seen} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn dead_links_are_found() {
    let readme = root().join("README.md");
    assert_eq!(dead(&readme, "docs/guide.md"), None);
    assert_eq!(dead(&readme, "docs/guide.md#build-and-run"), None);
    assert!(dead(&readme, "docs/none.md").is_some());
    assert!(dead(&readme, "docs/guide.md#no-such-heading").is_some());
    assert!(dead(&readme, "#no-such-heading").is_some());
    let both: Vec<_> = links("see [a](b.md) and [c](d.md#e).").collect();
    assert_eq!(both, ["b.md", "d.md#e"]);
}

#[test]
fn the_readme_links_every_page_of_the_documentation() {
    let readme = read(&root().join("README.md"));
    for page in pages() {
        let page = page.strip_prefix(root()).expect("below the root");
        let name = page.to_str().expect("UTF-8");
        if name != "README.md" {
            assert!(
                readme.contains(&format!("]({name})")),
                "README.md does not link {name}"
            );
        }
    }
}

#[test]
fn the_guides_code_is_the_examples() {
    let example = root().join("examples/minimal-driver/src");
    let (jobs, driver) = (read(&example.join("jobs.rs")), read(&example.join("lib.rs")));
    let guide = read(&root().join("docs/guide.md"));
    let (_, blocks) = parts(&guide);
    let shown: Vec<_> = blocks
        .iter()
        .filter(|(words, _)| *words == "rust,ignore")
        .map(|(_, code)| code)
        .collect();
    assert_eq!(shown.first(), Some(&&jobs), "the first block is all of jobs.rs");
    assert!(shown.len() > 1, "the guide shows none of lib.rs");
    for code in &shown[1..] {
        assert!(
            driver.contains(code.as_str()),
            "lib.rs has no such lines:\n{code}"
        );
    }
    let code = jobs
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(code.count() <= 65, "it is no longer about 60 lines of code");
}
