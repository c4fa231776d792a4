//! Bodies that are far too large, or too many at once.

use std::net::Shutdown;

use super::super::server::{Home, wait_until};
use super::super::skip::skipped;
use super::*;

/// A body may have a million bytes.
const SMALL: &str = "MaxFileUploadSize=1000000";

const GIGABYTE: usize = 1 << 30;

/// Checks that a body was refused by name, and that little was read and held of it.
fn refused(server: &Server, before: u64, sent: usize, text: &str) {
    let (number, description) = error_in(text);
    assert_eq!(number, "505", "{text}");
    assert!(description.contains("MaxFileUploadSize"), "{description}");
    assert!(description.contains("at most 1000000 is allowed"), "{description}");
    assert!(sent < GIGABYTE, "all of it was read");
    let grown = peak(server).saturating_sub(before);
    assert!(grown < 40_000, "{grown} kB more");
    others_are_served(server);
}

#[test]
fn a_gigabyte_is_refused_early() {
    let home = Home::new(&config(SMALL));
    let server = home.start();
    others_are_served(&server);
    let before = resident(&server);
    let piece = [b'x'; 1 << 16];

    // Announced: nothing of it is read before the answer.
    let announced = head("/action=Process", "Content-Length: 1073741824");
    let mut stream = sending(&server, announced.as_bytes());
    let reply = Reply::read(&mut stream);
    refused(&server, before, 0, &reply.body_text());
    let mut stream = sending(&server, announced.as_bytes());
    let sent = pour(&mut stream, &piece, GIGABYTE);
    refused(&server, before, sent, &rest_of(&mut stream));

    // In chunks, and as one part of a form.
    let chunk = [b"10000\r\n", &piece[..], b"\r\n"].concat();
    for (line, start) in [
        ("Transfer-Encoding: chunked", &b""[..]),
        (
            "Content-Type: multipart/form-data; boundary=B\r\nTransfer-Encoding: chunked",
            b"37\r\n--B\r\nContent-Disposition: form-data; name=\"large\"\r\n\r\nxx\r\n",
        ),
    ] {
        let mut stream = sending(&server, head("/action=Process", line).as_bytes());
        stream.write_all(start).unwrap();
        let sent = pour(&mut stream, &chunk, GIGABYTE);
        eprintln!("{line:?}: {sent} bytes were taken");
        assert!(sent < 300 << 20, "{sent} bytes were read of an endless body");
        refused(&server, before, sent, &rest_of(&mut stream));
    }
    server.nothing_was_queued("Process");
}

#[test]
fn many_gigabytes_at_once_are_refused_too() {
    // Each HTTP worker's allocator keeps some of what went through it.
    let home = Home::new(&config(&format!("Threads=2\n{SMALL}")));
    let server = home.start();
    others_are_served(&server);
    let before = resident(&server);
    std::thread::scope(|scope| {
        for n in 0..16 {
            let address = server.address;
            scope.spawn(move || {
                let line = ["Content-Length: 1073741824", "Transfer-Encoding: chunked"][n % 2];
                let mut stream = connect(address);
                stream.write_all(head("/action=Process", line).as_bytes()).unwrap();
                let chunk = [b"10000\r\n", &[b'x'; 1 << 16][..], b"\r\n"].concat();
                pour(&mut stream, &chunk, GIGABYTE);
                assert!(error_in(&rest_of(&mut stream)).1.contains("MaxFileUploadSize"));
            });
        }
        for _ in 0..10 {
            others_are_served(&server);
        }
    });
    let grown = peak(&server).saturating_sub(before);
    eprintln!("16 bodies of a gigabyte: {grown} kB more");
    assert!(grown < 60_000, "{grown} kB more");
}

#[test]
fn a_million_small_parts_are_too_many() {
    let home = Home::new(&config("MaxFileUploadSize=100000000"));
    let server = home.start();
    others_are_served(&server);
    let before = resident(&server);
    let mut body =
        "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n".repeat(1_000_000);
    body.push_str("--B--\r\n");
    let kind = "multipart/form-data; boundary=B";
    let request = post("/action=Process", kind, body.as_bytes());
    let (code, description) = answer(&server, &request, Duration::from_secs(20)).error();
    assert_eq!(code, "ERRORREQUESTTOOLARGE");
    assert!(description.contains("parameters"), "{description}");
    let grown = peak(&server).saturating_sub(before);
    eprintln!("a form of {} bytes: {grown} kB more", body.len());
    assert!(grown < 200_000, "{grown} kB for a form of 51 MB");
}

#[test]
fn compressed_bodies_are_not_unpacked() {
    let home = Home::new(&config(SMALL));
    let server = home.start();
    for encoding in ["gzip", "x-gzip", "deflate", "br", "gzip, gzip"] {
        let line = format!("Content-Encoding: {encoding}\r\nContent-Length: 4");
        let request = [head("/action=Process", &line).as_bytes(), b"\x1f\x8b\x08\x00"].concat();
        let (code, description) = answer(&server, &request, Duration::from_secs(3)).error();
        assert_eq!(code, "ERRORPARAMINVALID");
        assert!(description.contains("Content-Encoding") && description.contains(encoding));
    }
    let line = "Content-Encoding: identity\r\nContent-Length: 3";
    let request = format!("{}n=1", head("/action=Process", line));
    answer(&server, request.as_bytes(), Duration::from_secs(3)).success();
}

/// With 4 MB for bodies of at most 2 MB, two that come slowly hold all of it.
#[test]
fn uploads_share_a_budget_and_the_small_need_none() {
    let home =
        Home::new(&config("MaxFileUploadSize=2000000\nMaxUploadMemory=4000000\nRequestTimeout=60"));
    let server = home.start();
    let large = 1_900_000;
    let line = format!("Content-Length: {large}");
    let begin = || {
        let mut stream = sending(&server, head("/action=Process", &line).as_bytes());
        stream.write_all(b"n=").unwrap();
        stream.write_all(&vec![b'x'; large - 300_002]).unwrap();
        stream
    };
    let mut slow = [begin(), begin()];
    let third = || {
        let body = format!("n={}", "x".repeat(1_500_000));
        answer(&server, &post("/action=Process", "text/plain", body.as_bytes()), PATIENCE)
    };
    wait_until("the server to read both", || slow.iter().all(|stream| unread(stream) == 0));
    let is_told = std::sync::atomic::AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let coming = scope.spawn(|| {
            let mut sent = 0;
            while !is_told.load(std::sync::atomic::Ordering::Relaxed) {
                for stream in &mut slow {
                    stream.write_all(&[b'x'; 5_000]).unwrap();
                }
                sent += 5_000;
                std::thread::sleep(Duration::from_millis(250));
            }
            sent
        });
        let refused = third();
        for size in [10, 1_000, 15_000] {
            let small =
                post("/action=Process", "text/plain", format!("n={}", "x".repeat(size)).as_bytes());
            answer(&server, &small, Duration::from_secs(3)).success();
        }
        is_told.store(true, std::sync::atomic::Ordering::Relaxed);
        let (code, description) = refused.error();
        assert_eq!(code, "ERRORUNAVAILABLE");
        assert!(description.contains("MaxUploadMemory"), "{description}");
        coming.join().unwrap()
    });
    for stream in &mut slow {
        stream.write_all(&vec![b'x'; 300_000 - sent]).unwrap();
        assert!(Reply::read(stream).body_text().contains("<token>"));
    }
    third().success();
}

/// Bodies of which nothing comes any more hold all the memory, until somebody else needs it.
#[test]
fn silent_bodies_keep_nobody_out() {
    const COUNT: usize = 900;
    let home = Home::new(&config("Threads=2\nRequestTimeout=600"));
    let server = home.start();
    others_are_served(&server);
    let before = resident(&server);
    let start =
        format!("{}n={}", head("/action=Process", "Content-Length: 1000000"), "x".repeat(66_000));
    let mut silent: Vec<_> = (0..COUNT).map(|_| sending(&server, start.as_bytes())).collect();
    let body = format!("n={}", "x".repeat(5_000_000));
    let request = post("/action=Process", "text/plain", body.as_bytes());
    for _ in 0..3 {
        let began = Instant::now();
        answer(&server, &request, Duration::from_secs(8)).success();
        eprintln!("a body of 5 MB was taken after {:?}", began.elapsed());
        others_are_served(&server);
    }
    let grown = peak(&server).saturating_sub(before);
    eprintln!("{COUNT} silent bodies, and others of 5 MB: {grown} kB more");
    // All that is allowed for bodies, what each connection costs, and what bodies that are performed take meanwhile and the
    // allocator keeps of them: 40 to 55 MB in single runs.
    assert!(grown < 55_000 + 60 * COUNT as u64 + 75_000, "{grown} kB more");
    // The oldest were told, and the youngest may be left.
    let told = error_in(&rest_of(&mut silent[0]));
    assert_eq!(told.0, "506");
    assert!(told.1.contains("nothing came") && told.1.contains("MaxUploadMemory"), "{}", told.1);
}

/// The memory that bodies hold is what was allowed for them, beside what each connection costs. It goes back when they end.
#[test]
fn bodies_hold_no_more_than_their_budget() {
    const COUNT: usize = 400;
    // Of an idle connection some 19 KB, the 16 KB of a body that are free, and what is on the way between the two.
    const EACH: u64 = 60;
    for (bytes, budget) in [(17, 0), (15_000, 0), (400_000, 60_000)] {
        let home = Home::new(&config("Threads=2\nRequestTimeout=600\nMaxUploadMemory=60000000"));
        let server = home.start();
        others_are_served(&server);
        let before = resident(&server);
        let line = head("/action=Process", "Content-Length: 2200000");
        let start = format!("{line}n={}", "x".repeat(bytes));
        let streams: Vec<_> =
            (0..COUNT).map(|_| pouring(&server, start.clone().into_bytes())).collect();
        if budget == 0 {
            // To look at all of them takes long.
            let is_read = |stream| unread(stream) == 0;
            wait_until("all of it", || streams.iter().step_by(20).all(is_read));
        } else {
            // That one is refused, or has lost what it held.
            streams.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
            let is_told = |stream: &TcpStream| stream.peek(&mut [0]).is_ok();
            wait_until("the first to be told", || streams.iter().any(is_told));
        }
        others_are_served(&server);
        let grown = peak(&server).saturating_sub(before);
        eprintln!("{COUNT} bodies of which {bytes} bytes came: {grown} kB more");
        // A tenth for what lies between the blocks of the allocator.
        assert!(grown < budget + budget / 10 + EACH * COUNT as u64, "{grown} kB more");
        // Whatever is still on its way is given up.
        let give_up = |stream: &TcpStream| drop(stream.shutdown(Shutdown::Both));
        streams.iter().for_each(give_up);
        // What the connections themselves cost is kept for the next ones, and a little of each size by each thread.
        wait_until("the memory to go back", || resident(&server) < before + 40_000);
    }
}

#[test]
fn announced_lengths_cost_nothing() {
    const COUNT: usize = 4_000;
    if spare_descriptors() < COUNT {
        return skipped("announced lengths", "too few descriptors (ulimit -n)");
    }
    let home = Home::new(&config("RequestTimeout=600"));
    let server = Server::run(home.command_after("ulimit -n $(ulimit -H -n)"));
    others_are_served(&server);
    let (before, own) = (resident(&server), descriptors(&server));
    let start = format!("{}n=aaaaaaaaaaaaaaa", head("/action=Process", "Content-Length: 2200000"));
    let streams: Vec<_> = (0..COUNT).map(|_| sending(&server, start.as_bytes())).collect();
    wait_until("all connections", || descriptors(&server) >= own + COUNT - 1);
    others_are_served(&server);
    let each = resident(&server).saturating_sub(before) * 1024 / COUNT as u64;
    eprintln!("{COUNT} announced bodies: {each} bytes each");
    // An idle connection costs some 19 KB.
    assert!(each < 30_000, "{each} bytes for each announced body");
    drop(streams);
}

/// Bodies that are too large by what they announce are read only so that their clients get to see why.
#[test]
fn refused_bodies_are_not_kept() {
    let home = Home::new(&config("RequestTimeout=600"));
    let server = home.start();
    others_are_served(&server);
    let before = resident(&server);
    let start = head("/action=Process", "Content-Length: 20000000");
    let address = server.address;
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let mut stream = connect(address);
                stream.write_all(start.as_bytes()).unwrap();
                pour(&mut stream, &[b'x'; 50_000], 20_000_000);
                let (number, description) = error_in(&rest_of(&mut stream));
                assert_eq!(number, "505", "{description}");
            });
        }
    });
    let grown = peak(&server).saturating_sub(before);
    eprintln!("50 refused bodies of 20 MB: {grown} kB more");
    assert!(grown < 30_000, "{grown} kB more");
    wait_until("the memory to go back", || resident(&server) < before + 8_000);
}

/// Far more at once than there is room for: each is taken or told, and memory stays within a multiple of the budget.
#[test]
fn a_storm_of_uploads_stays_within_its_memory() {
    let home = Home::new(&config("MaxFileUploadSize=5000000\nMaxUploadMemory=20000000"));
    let server = home.start();
    others_are_served(&server);
    let before = resident(&server);
    let body = format!("n={}", "x".repeat(4_500_000));
    let request = post("/action=Process", "text/plain", body.as_bytes());
    let taken = std::sync::atomic::AtomicUsize::new(0);
    let address = server.address;
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let mut stream = connect(address);
                stream.write_all(&request).unwrap();
                let answer = Answer(Reply::read(&mut stream).body_text());
                if answer.is_success() {
                    taken.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                } else {
                    assert!(answer.error().1.contains("MaxUploadMemory"), "{}", answer.0);
                }
            });
        }
        for _ in 0..10 {
            others_are_served(&server);
        }
    });
    let (taken, grown) = (taken.into_inner(), peak(&server).saturating_sub(before));
    eprintln!("40 bodies of 4.5 MB: {taken} were taken, {grown} kB more");
    assert!(taken >= 4, "only {taken} were taken");
    assert!(grown < 200_000, "{grown} kB more, for a budget of 20 MB");
}

/// Bodies that end before their time: who still listens is told, and nothing of what was sent is held on to.
#[test]
fn bodies_that_break_off_leave_nothing_behind() {
    const COUNT: usize = 300;
    // Each HTTP worker's allocator keeps some of what went through it.
    let home = Home::new(&config(&format!("Threads=2\n{SMALL}")));
    let server = home.start();
    others_are_served(&server);
    let (before, own) = (resident(&server), descriptors(&server));
    let text = "x".repeat(900_000);
    let begin = |line: &str, start: &str| format!("{}{start}{text}", head("/action=Process", line));
    let part = "--B\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n";
    let multipart = "Content-Type: multipart/form-data; boundary=B";
    let requests = [
        begin("Content-Length: 1000000", "n="),
        begin("Content-Length: 900001", ""),
        begin("Transfer-Encoding: chunked", "f4240\r\nn="),
        begin("Transfer-Encoding: chunked", "dbba0\r\n") + "\r\n",
        begin(&format!("{multipart}\r\nContent-Length: 1000000"), part),
        begin(&format!("{multipart}\r\nTransfer-Encoding: chunked"), &format!("f4240\r\n{part}")),
    ];
    for n in 0..COUNT {
        let mut stream = sending(&server, requests[n % requests.len()].as_bytes());
        if n % 5 == 4 {
            drop(stream);
            wait_until("the end of what was dropped", || descriptors(&server) <= own + 5);
            continue;
        }
        stream.shutdown(Shutdown::Write).unwrap();
        let (number, description) = error_in(&rest_of(&mut stream));
        assert_eq!(number, "502", "{description}");
        assert!(description.contains("the body broke off"), "{description}");
    }
    wait_until("the end of all", || descriptors(&server) <= own + 5);
    let grown = peak(&server).saturating_sub(before);
    eprintln!("{COUNT} bodies of 900 kB that broke off: {grown} kB more");
    assert!(grown < 100_000, "{grown} kB more");
    others_are_served(&server);
    server.nothing_was_queued("Process");
}
