//! The way from one side to the other.

use std::cell::Cell;

use super::outcome::{Counted, Outcome, count};
use super::{Cursor, Fault, Mark, MoveError, Moving, Page, Place, Side, Step};
use crate::store::Site;
use crate::store::postgres::moving::Schema;
use crate::store::sqlite::moving::Directory;

/// Moves all that one place holds to another, which must be empty, or hold what an earlier call has moved there before it was
/// interrupted. Then reads both again, compares, and opens the target to servers. The source stays as it is.
///
/// `site` is the server that took the actions of a directory: its host and port stand in their tokens. It is not used on the way
/// to a directory. `told` is called after each page.
///
/// # Errors
///
/// - [`MoveError::SameKind`]: both are directories, or both databases;
/// - [`MoveError::Side`]: one of them can't be used, or not for this; or it was lost meanwhile, and the same call goes on;
/// - [`MoveError::Differs`]: the sides are not equal at the end. The same call begins anew.
pub async fn migrate(
    from: &Place,
    to: &Place,
    site: &Site,
    told: &dyn Fn(Moving),
) -> Result<Outcome, MoveError> {
    match (from, to) {
        (Place::Directory(directory), Place::Schema { connect, name }) => {
            let source = Directory::source(directory);
            let source = source.map_err(|fault| fault.at(&directory.display().to_string()))?;
            let target = Schema::target(connect, name, site).await;
            let target = target.map_err(|fault| fault.at(&format!("the schema {name}")))?;
            let wanted = [(site.host.clone(), site.port)];
            run(source, target, Some(&wanted), told).await
        }
        (Place::Schema { connect, name }, Place::Directory(directory)) => {
            let source = Schema::source(connect, name).await;
            let source = source.map_err(|fault| fault.at(&format!("the schema {name}")))?;
            let target = Directory::target(directory);
            let target = target.map_err(|fault| fault.at(&directory.display().to_string()))?;
            run(source, target, None, told).await
        }
        _ => Err(MoveError::SameKind),
    }
}

/// Moves. If `sites` are given, the tokens of the target's actions must carry them and no others.
async fn run<F: Side, T: Side>(
    mut from: F,
    mut to: T,
    sites: Option<&[(String, u16)]>,
    told: &dyn Fn(Moving),
) -> Result<Outcome, MoveError> {
    let places = (from.place(), to.place());
    let of_source = |fault: Fault| fault.at(&places.0);
    let of_target = |fault: Fault| fault.at(&places.1);
    let outline = from.outline().await.map_err(of_source)?;
    let content = format!("{} {sites:?}", outline.content());
    let mark = Mark { source: places.0.clone(), content };
    let begun = to.begin(&mark, &outline).await.map_err(of_target)?;
    let (mut done, of) = (begun.done, outline.actions());
    told(Moving { step: Step::Copy, done, of });

    let mut page = from.page(begun.next).await.map_err(of_source)?;
    let mut copied = 0;
    loop {
        let Page { rows, next } = page;
        copied += rows.len() as u64;
        done += rows.len() as u64;
        let Some(next) = next else {
            to.write(&rows, Cursor::END).await.map_err(of_target)?;
            told(Moving { step: Step::Copy, done, of });
            break;
        };
        // The next page is read while this one is written.
        let write = async { to.write(&rows, next).await.map_err(of_target) };
        let read = async { from.page(next).await.map_err(of_source) };
        ((), page) = tokio::try_join!(write, read)?;
        told(Moving { step: Step::Copy, done, of });
    }
    to.clear_events().await.map_err(of_target)?;
    let mut next = Some(Cursor::START);
    while let Some(place) = next {
        let page = from.events(place).await.map_err(of_source)?;
        to.write_events(&page.rows).await.map_err(of_target)?;
        next = page.next;
    }
    to.complete(&outline).await.map_err(of_target)?;

    let target = to.outline().await.map_err(of_target)?;
    let both = Cell::new(0);
    let note = |more: u64| {
        both.set(both.get() + more);
        // Each side counts for half.
        told(Moving { step: Step::Compare, done: both.get() / 2, of });
    };
    let count_source = async { count(&mut from, &outline, &note).await.map_err(of_source) };
    let count_target = async { count(&mut to, &target, &note).await.map_err(of_target) };
    let counted: (Counted, Counted) = tokio::try_join!(count_source, count_target)?;
    let mut outcome = Outcome::new((&outline, &target), counted, copied);
    outcome.sites = from.sites().await.map_err(of_source)?;
    let taken_by = to.sites().await.map_err(of_target)?;
    let are_sites_right =
        sites.is_none_or(|wanted| taken_by.iter().all(|site| wanted.contains(site)));
    outcome.is_equal &= are_sites_right;
    if !outcome.is_equal {
        to.spoil().await.map_err(of_target)?;
        return Err(MoveError::Differs(Box::new(outcome)));
    }
    to.release().await.map_err(of_target)?;
    Ok(outcome)
}
