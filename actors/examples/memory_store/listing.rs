//! Pages of listings. Each reads every row; a real store would have an index.

use std::cmp::Ordering;

use actiond_actors::store::Record;
use actiond_actors::store::query::{Cursor, Page, PageLimit, Query};
use actiond_actors::{ActionId, Node, Timestamp};

use super::data::Queue;

/// The position of an action in a listing.
#[derive(Clone, Copy)]
struct Place {
    /// True if it lacks the sort key's time; it then comes after all that have it.
    lacking: bool,
    key: (Timestamp, ActionId),
}

impl Place {
    fn of(query: &Query, record: &Record) -> Self {
        let time = query.sort.time_of(record);
        Self { lacking: time.is_none(), key: (time.unwrap_or(record.queued_at), record.id) }
    }

    fn order(self, other: Self, descending: bool) -> Ordering {
        let by_key = if descending { other.key.cmp(&self.key) } else { self.key.cmp(&other.key) };
        self.lacking.cmp(&other.lacking).then(by_key)
    }
}

impl Queue {
    pub(crate) fn page(&self, query: &Query, from: Cursor, limit: PageLimit) -> Page {
        let listed = self.rows.values();
        let listed = listed.filter(|row| query.matches(&row.record, row.parameters.as_ref()));
        let behind = from.after.map(|key| Place { lacking: from.lacking, key });
        let mut left: Vec<(Place, &Record)> = listed
            .map(|row| (Place::of(query, &row.record), &row.record))
            .filter(|(place, _)| {
                behind.is_none_or(|behind| place.order(behind, query.descending).is_gt())
            })
            .collect();
        left.sort_by(|(a, _), (b, _)| a.order(*b, query.descending));

        let mut page =
            Page { records: Vec::new(), next: None, bytes: 0, damage: None, too_large: None };
        let mut cursor = from;
        for (place, record) in left {
            if cursor.skip > 0 {
                cursor.skip -= 1;
            } else {
                if page.records.len() >= limit.actions {
                    page.next = Some(cursor);
                    break;
                }
                let bytes = size(record);
                if page.bytes + bytes > limit.bytes {
                    page.too_large = Some(bytes);
                    page.next = Some(cursor);
                    break;
                }
                page.bytes += bytes;
                page.records.push(record.clone());
                cursor.begun = true;
            }
            cursor = Cursor { lacking: place.lacking, after: Some(place.key), ..cursor };
        }
        page
    }
}

fn size(record: &Record) -> usize {
    let error = record.error.as_ref().map_or(0, String::len);
    record.report.iter().map(Node::byte_len).sum::<usize>() + error
}
