//! The limits without sockets and without waiting: the time is made up.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::connections::OpenConnections;
use super::rate::{Buckets, Rate};
use super::refusals::Refusals;
use super::*;

fn client(text: &str) -> Client {
    Client::of(text.parse().unwrap())
}

fn buckets(per_second: u32, most: usize) -> Buckets {
    Buckets::new(Rate::new(per_second).unwrap(), most)
}

const fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[test]
fn clients_are_addresses_and_networks() {
    for (a, b, are_one) in [
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "::ffff:192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("::1", "127.0.0.1", false),
        ("0.0.0.1", "::1", false),
    ] {
        assert_eq!(client(a) == client(b), are_one, "{a} {b}");
    }
    for (address, shown) in [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1:2::3", "2001:db8:0:1::/64"),
    ] {
        assert_eq!(client(address).to_string(), shown);
    }
}

#[test]
fn a_bucket_holds_the_requests_of_a_second_and_fills_again() {
    // Of each pair: the time in milliseconds, and if a request is let in then.
    let table: [(u32, &[(u64, bool)]); 4] = [
        (1, &[(0, true), (0, false), (999, false), (1_000, true), (1_001, false), (9_000, true)]),
        (2, &[(0, true), (0, true), (0, false), (499, false), (500, true), (500, false)]),
        // The time that a token takes is rounded up.
        (3, &[(5, true), (5, true), (5, true), (5, false), (338, false), (339, true)]),
        // A clock that another worker read a little earlier.
        (1, &[(5, true), (4, false), (1_004, false), (1_005, true)]),
    ];
    for (per_second, steps) in table {
        let buckets = buckets(per_second, 10);
        for (at, is_let_in) in steps {
            let taken = buckets.take(client("192.0.2.7"), millis(*at));
            assert_eq!(taken, *is_let_in, "{per_second} a second, at {at} of {steps:?}");
        }
    }
    assert!(Rate::new(0).is_none());
    assert!(RequestLimit::new(0).is_none());
    // None is too large.
    let most = buckets(u32::MAX, 1);
    assert!((0..1_000).all(|_| most.take(client("192.0.2.7"), Duration::MAX)));
}

proptest! {
    /// In no stretch of time are more let in than the limit and what it adds in that time, and a client that keeps to the limit
    /// is never refused, whatever others do.
    #[test]
    fn a_client_gets_what_it_may_and_no_more(
        per_second in 1_u32..40,
        steps in prop::collection::vec((0_u64..400, 0_u8..4), 1..300),
    ) {
        let buckets = buckets(per_second, 1_000);
        let mut now = 0;
        let mut let_in: HashMap<u8, Vec<u64>> = HashMap::new();
        let mut polite = 0;
        for (pause, sender) in steps {
            now += pause;
            if buckets.take(client(&format!("192.0.2.{sender}")), millis(now)) {
                let_in.entry(sender).or_default().push(now);
            }
            // It asks as often as it may, and a token takes a nanosecond more than it says.
            let each = 1_000 / u64::from(per_second) + 1;
            while polite <= now {
                prop_assert!(buckets.take(client("198.51.100.1"), millis(polite)));
                polite += each;
            }
        }
        for times in let_in.values() {
            for (first, from) in times.iter().enumerate() {
                for (last, to) in times.iter().enumerate().skip(first) {
                    let number = (last - first + 1) as u64;
                    let most = u64::from(per_second) * 1_000 + u64::from(per_second) * (to - from);
                    prop_assert!(number * 1_000 <= most, "{number} from {from} to {to}");
                }
            }
        }
    }

    /// One bucket, and a table of many, agree: what the table forgets was full.
    #[test]
    fn what_is_forgotten_was_full(steps in prop::collection::vec((0_u64..700, 0_u32..50), 1..400)) {
        let table = buckets(2, 100_000);
        let alone: HashMap<u32, Buckets> = (0..50).map(|n| (n, buckets(2, 1))).collect();
        let mut now = 0;
        for (pause, n) in steps {
            now += pause;
            let client = Client::V4(n);
            prop_assert_eq!(table.take(client, millis(now)), alone[&n].take(client, millis(now)));
        }
    }
}

#[test]
fn the_table_is_bounded_and_forgets_who_asked_least_lately() {
    // All at one time, so that no bucket is full again.
    let table = buckets(1, 6_400);
    for n in 0..50_000 {
        assert!(table.take(Client::V6(n), millis(7)), "{n}: new");
        assert!(table.len() <= 6_400);
    }
    assert!(table.len() > 6_000, "{}", table.len());
    assert!(!table.take(Client::V6(49_999), millis(7)), "the last one was forgotten");
    assert!(table.take(Client::V6(0), millis(7)), "the first one was kept");

    // One that goes on asking is not forgotten, though others come.
    let table = buckets(1, 1);
    assert!(table.take(Client::V6(0), millis(7)));
    assert!(table.take(Client::V6(1), millis(7)));
    let table = buckets(1, 640);
    assert!(table.take(Client::V4(1), millis(7)));
    for n in 0..5_000 {
        assert!(table.take(Client::V6(n), millis(7)));
        assert!(!table.take(Client::V4(1), millis(7)), "forgotten after {n}");
    }

    // Buckets that are full again go when others of their shard ask: a hundred are not full at a time.
    for n in 0..5_000 {
        table.take(Client::V4(n), millis(60_000 + 10 * u64::from(n)));
    }
    assert!(table.len() <= 320, "{}", table.len());
}

#[test]
fn workers_together_let_in_no_more() {
    let table = buckets(1_000, 100);
    let let_in: usize = std::thread::scope(|scope| {
        let work = || (0..1_000).filter(|_| table.take(client("192.0.2.7"), millis(3))).count();
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(let_in, 1_000);
}

#[test]
fn a_place_is_given_back_and_one_beyond_counts_too() {
    let open = OpenConnections::new(2);
    let (ada, bob) = (client("192.0.2.7"), client("192.0.2.8"));
    let enter = |client| open.enter(client).unwrap().unwrap();
    let first = enter(ada);
    let second = enter(ada);
    assert!(first.refusal().is_none() && second.refusal().is_none());
    let beyond = enter(ada);
    let said = beyond.refusal().unwrap();
    assert_eq!((said.number, said.code), (506, "ERRORUNAVAILABLE"));
    assert!(said.description.contains("MaxConnectionsPerClient=2"), "{said}");
    assert!(enter(bob).refusal().is_none(), "another client is affected");
    // It stays what it was, and takes a place as long as it is there.
    drop(first);
    assert!(beyond.refusal().is_some());
    assert!(enter(ada).refusal().is_some());
    drop(beyond);
    let third = enter(ada);
    assert!(third.refusal().is_none());
    assert_eq!(open.clients(), 1);
    drop((second, third));
    assert_eq!(open.clients(), 0, "an entry is left");
}

#[test]
fn whoever_has_far_more_than_it_may_gets_no_place() {
    let open = OpenConnections::new(2);
    let (ada, bob) = (client("192.0.2.7"), client("192.0.2.8"));
    let mut places: Vec<_> = (0..20).map(|_| open.enter(ada).unwrap()).collect();
    for _ in 0..3 {
        assert!(open.enter(ada).is_err(), "twice the limit and 16 are open");
    }
    assert!(open.enter(bob).is_ok());
    // One that got no place takes none.
    places.pop();
    places.push(open.enter(ada).unwrap());
    assert!(open.enter(ada).is_err());
    drop(places);
    assert_eq!(open.clients(), 0, "an entry is left");
    // None is too large.
    assert!(OpenConnections::new(u32::MAX).enter(ada).is_ok());
}

#[test]
fn a_limit_may_change_and_counts_for_what_begins_later() {
    let open = OpenConnections::new(0);
    let ada = client("192.0.2.7");
    assert!(open.enter(ada).unwrap().is_none());
    assert_eq!(open.clients(), 0);
    open.set_limit(1);
    let first = open.enter(ada).unwrap().unwrap();
    let beyond = open.enter(ada).unwrap().unwrap();
    assert!(first.refusal().is_none() && beyond.is_beyond());
    open.set_limit(3);
    let third = open.enter(ada).unwrap().unwrap();
    assert!(third.refusal().is_none());
    // What it was told is so still.
    assert!(beyond.refusal().unwrap().description.contains("MaxConnectionsPerClient=1"));
    open.set_limit(0);
    assert!(open.enter(ada).unwrap().is_none());
    drop((first, beyond, third));
    assert_eq!(open.clients(), 0, "an entry is left");
}

#[test]
fn without_a_limit_no_connection_counts() {
    let peer: SocketAddr = "192.0.2.7:1".parse().unwrap();
    assert!(ConnectionLimit::default().enter(Some(peer)).unwrap().is_none());
    assert!(ConnectionLimit::default().enter(None).unwrap().is_none());
}

#[test]
fn a_request_beyond_the_limit_is_told_key_and_limit() {
    let limit = RequestLimit::new(1).unwrap();
    let address = "192.0.2.7".parse().unwrap();
    assert_eq!(limit.take(address), Ok(()));
    let said = limit.take(address).unwrap_err();
    assert_eq!((said.number, said.code), (506, "ERRORUNAVAILABLE"));
    assert!(said.description.contains("MaxRequestsPerSecondPerClient=1"), "{said}");
}

#[test]
fn refusals_are_counted_for_a_few_lines() {
    let refusals = Refusals::new("requests", "Key", 5);
    assert!(refusals.lines().is_empty());
    assert!(refusals.count(client("192.0.2.7")), "nobody would log it");
    for _ in 0..9 {
        assert!(!refusals.count(client("192.0.2.8")), "two would log it");
    }
    assert_eq!(
        refusals.lines(),
        [
            "requests of 192.0.2.8 were refused: 9 within 5 s (Key=5)",
            "requests of 192.0.2.7 were refused: 1 within 5 s (Key=5)",
        ]
    );
    // However many there are.
    for n in 0..5_000 {
        assert_eq!(refusals.count(Client::V6(n << 32)), n == 0);
    }
    for _ in 0..2 {
        refusals.count(Client::V6(7 << 32));
    }
    let lines = refusals.lines();
    assert_eq!(lines.len(), 21, "{lines:?}");
    assert_eq!(lines[0], "requests of 0:7::/64 were refused: 3 within 5 s (Key=5)");
    assert_eq!(lines[20], "requests of other clients were refused: 4980 within 5 s (Key=5)");
    assert!(refusals.count(client("192.0.2.7")), "the next period has nobody");
}
