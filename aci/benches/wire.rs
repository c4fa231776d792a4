//! What the wire costs without a server: reading a request, writing a reply, tokens.
//!
//! `cargo bench -p actiond-aci --bench wire`

#![allow(clippy::expect_used, missing_docs, reason = "a benchmark is no library, and may panic")]

use std::hint::black_box;

use actiond_aci::element::Element;
use actiond_aci::request::{RawRequest, parse};
use actiond_aci::response::{ResponseFormat, success};
use actiond_aci::token::Token;
use criterion::{Criterion, criterion_group, criterion_main};

fn raw(target: &str) -> RawRequest<'_> {
    RawRequest {
        target,
        content_type: None,
        body: b"",
        max_input_string: 64_000,
        max_upload: 10_000_000,
    }
}

/// The data of a `getStatus` reply with this many finished actions.
fn status_reply(actions: usize) -> Vec<Element> {
    let action = || {
        Element::new("action")
            .child(Element::text("status", "Finished"))
            .child(Element::text("queued_time", "2009-Oct-15 14:44:32"))
            .child(Element::text("time_in_queue", "0"))
            .child(Element::text("process_start_time", "2009-Oct-15 14:44:32"))
            .child(Element::text("time_processing", "3"))
            .child(Element::text("process_end_time", "2009-Oct-15 14:44:35"))
            .child(Element::text("priority", "0"))
            .child(Element::text("token", "MTAuMi4xMDUuMzQ6MTIzNDpGRVRDSDoxNDAyOTU3MzY4"))
    };
    vec![Element::new("actions").children((0..actions).map(|_| action()))]
}

fn wire(c: &mut Criterion) {
    let submit =
        "/action=Process&Name=Ada&Text=hello%20world%20this%20is%20some%20text&Other=1234567890";
    c.bench_function("parse a submission", |b| b.iter(|| parse(black_box(&raw(submit)))));
    let poll = "/action=QueueInfo&QueueName=Process&QueueAction=getStatus&Token=MTI3LjAuMC4xOjcwMDA6UFJPQ0VTUzoxNzk1MzY3NjYxMTAzMDAwMDAwMDAwMDE=";
    c.bench_function("parse a poll", |b| b.iter(|| parse(black_box(&raw(poll)))));
    for (name, format) in [("xml", ResponseFormat::Xml), ("simplejson", ResponseFormat::SimpleJson)]
    {
        let one = status_reply(1);
        c.bench_function(&format!("render one action, {name}"), |b| {
            b.iter(|| success("QueueInfo", black_box(&one), format));
        });
        let many = status_reply(250);
        c.bench_function(&format!("render 250 actions, {name}"), |b| {
            b.iter(|| success("QueueInfo", black_box(&many), format));
        });
    }
    let token = Token {
        host: "127.0.0.1".to_owned(),
        port: 7000,
        queue: "PROCESS".to_owned(),
        queued_ms: 1_795_367_661_103,
        id: 1,
    };
    let text = token.encode();
    c.bench_function("encode a token", |b| b.iter(|| black_box(&token).encode()));
    c.bench_function("read a token", |b| b.iter(|| Token::parse(black_box(&text))));
}

criterion_group!(benches, wire);
criterion_main!(benches);
