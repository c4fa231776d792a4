//! Signing in with a key, and out.

use askama::Template;

use super::{Frame, back, rendered};
use crate::access::KeyHash;
use crate::admin::request::{Answer, PageRequest};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    wrong: Option<&'static str>,
    back: String,
}

pub(super) fn show(page: &PageRequest, wrong: Option<&'static str>) -> Answer {
    let frame = Frame::of(page, "", "Sign in");
    let back = match page.form {
        Some(_) => back(page),
        None => page.given("back").to_owned(),
    };
    rendered(if wrong.is_some() { 403 } else { 200 }, &SignInPage { frame, wrong, back })
}

/// Takes a key. The HTTP side has judged it, so that a wrong one has waited.
pub(super) fn sign_in(page: &PageRequest) -> Answer {
    let key = page.field("key").trim();
    if key.is_empty() {
        return show(page, Some("Please enter a key."));
    }
    if !page.is_key_known {
        return show(page, Some("This key is not known here."));
    }
    Answer::SignedIn { key: KeyHash::of(key), path: back(page) }
}

pub(super) fn sign_out(page: &PageRequest) -> Answer {
    Answer::SignedOut { path: page.base.clone() }
}
