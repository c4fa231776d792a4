//! Every page of `docs/` is in the book, and every link leads somewhere: within the book, and from the pages at the top of the
//! repository.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic, and that is how it fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use actiond_book::repository;
use regex::Regex;

/// All files below a directory with this ending, relative to it.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(directory).sort_by_file_name().into_iter();
    let paths = entries.map(|entry| entry.expect("a readable directory").into_path());
    let files = paths.filter(|path| path.extension().is_some_and(|is| is == ending));
    files.map(|path| path.strip_prefix(directory).unwrap().to_owned()).collect()
}

/// Takes `.` and `..` out of a path.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leads out", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
        plain
    })
}

#[test]
fn every_page_is_in_the_book() {
    let docs = repository().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let link = Regex::new(r"\]\(([^)]+\.md)\)").unwrap();
    let listed: Vec<_> = link.captures_iter(&summary).map(|found| found[1].to_owned()).collect();
    let once: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(once.len(), listed.len(), "a page is listed twice: {listed:?}");
    let pages = files(&docs, "md").into_iter().map(|page| page.to_str().unwrap().to_owned());
    let pages: BTreeSet<_> = pages.filter(|page| page != "SUMMARY.md").collect();
    let missing: Vec<_> = pages.difference(&once).collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md lists no {missing:?}");
    let gone: Vec<_> = once.difference(&pages).collect();
    assert!(gone.is_empty(), "docs/SUMMARY.md lists {gone:?}, which there is not");
}

/// A page as a browser has it: where it links to, and the places that can be linked to.
struct Page {
    links: Vec<String>,
    places: BTreeSet<String>,
}

#[test]
fn every_link_of_the_book_leads_somewhere() {
    let directory = tempfile::tempdir().unwrap();
    actiond_book::build(directory.path()).unwrap();
    let link = Regex::new(r#"(?:href|src)="([^"]*)""#).unwrap();
    let place = Regex::new(r#"\bid="([^"]*)""#).unwrap();
    let mut pages = BTreeMap::new();
    for file in files(directory.path(), "html") {
        // Not for readers: a page for a web server to answer with, and the contents for browsers without scripts.
        if ["404.html", "toc.html"].iter().any(|name| file == Path::new(name)) {
            continue;
        }
        let html = fs::read_to_string(directory.path().join(&file)).unwrap();
        let all = |of: &Regex| of.captures_iter(&html).map(|found| found[1].to_owned()).collect();
        let places: Vec<_> = all(&place);
        pages.insert(file, Page { links: all(&link), places: places.into_iter().collect() });
    }
    assert!(pages.len() > 60, "{} pages were built", pages.len());
    let (mut broken, mut checked) = (Vec::new(), 0);
    for (file, page) in &pages {
        for link in &page.links {
            if ["http://", "https://", "mailto:"].iter().any(|start| link.starts_with(start)) {
                continue;
            }
            let (to, fragment) = link.split_once('#').unwrap_or((link, ""));
            let folder = file.parent().unwrap();
            let target = if to.is_empty() { file.clone() } else { plain(&folder.join(to)) };
            let is_there = directory.path().join(&target).is_file();
            let has_place = |page: &Page| fragment.is_empty() || page.places.contains(fragment);
            if !is_there || !pages.get(&target).is_none_or(has_place) {
                broken.push(format!("{}: {link}", file.display()));
            }
            checked += 1;
        }
    }
    assert!(broken.is_empty(), "{} links lead nowhere:\n{}", broken.len(), broken.join("\n"));
    assert!(checked > 2_000, "{checked} links were checked");
    // A reader without a network has all of it.
    let loads = Regex::new(r#"<(?:script|img|link)[^>]*(?:src|href)="https?:"#).unwrap();
    for file in pages.keys() {
        let html = fs::read_to_string(directory.path().join(file)).unwrap();
        assert!(!loads.is_match(&html), "{} loads something from elsewhere", file.display());
    }
}

/// The name by which a heading of a page is linked to, as hosts of repositories make it.
fn anchor(heading: &str) -> String {
    let text = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap().replace_all(heading, "$1");
    let kept = text.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let lines = page.lines().filter(|line| {
        in_code ^= line.trim_start().starts_with("```");
        !in_code && line.starts_with('#')
    });
    lines.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_link_between_files_of_the_repository_leads_somewhere() {
    let root = repository();
    let mut pages: Vec<_> = files(&root.join("docs"), "md")
        .into_iter()
        .map(|page| Path::new("docs").join(page))
        .collect();
    let top = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let top = top.filter(|path| path.extension().is_some_and(|is| is == "md"));
    pages.extend(top.map(|path| PathBuf::from(path.file_name().unwrap())));
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    for file in pages {
        let text = fs::read_to_string(root.join(&file)).unwrap();
        for found in link.captures_iter(&text) {
            let to = &found[1];
            if to.contains("://") || to.starts_with("mailto:") {
                continue;
            }
            let (to, fragment) = to.split_once('#').unwrap_or((to, ""));
            let target = match to {
                "" => file.clone(),
                to => plain(&file.parent().unwrap().join(to)),
            };
            let is_page = target.extension().is_some_and(|is| is == "md");
            let has_place = || {
                let page = fs::read_to_string(root.join(&target)).unwrap_or_default();
                fragment.is_empty() || anchors(&page).contains(fragment)
            };
            let is_good = root.join(&target).exists() && (!is_page || has_place());
            // The book and the packages have the pages of docs/ alone.
            let leads_out = file.starts_with("docs") && !target.starts_with("docs");
            if !is_good || leads_out {
                broken.push(format!("{}: {}", file.display(), &found[1]));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere, or out of docs/:\n{}", broken.join("\n"));
}
