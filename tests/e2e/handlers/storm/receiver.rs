//! The receiver of a storm: it answers as the dice say, and can be away.

use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::super::receiver::{Came, Does, answer};
use crate::calls::id_of;
use crate::storm::Dice;

/// A message that has come, and what was done about it.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) id: String,
    pub(super) event: String,
    pub(super) action: u64,
    /// Without the token: that names the port, which is another one after a restart.
    pub(super) body: String,
    /// The number of starts of servers until then.
    pub(super) life: usize,
    /// True if it was answered with a status of success, which may have been lost.
    pub(super) taken: bool,
}

impl Arrival {
    fn of(came: &Came, life: usize) -> Self {
        let token = came.header("actiond-token");
        Self {
            id: came.header("webhook-id"),
            event: came.header("actiond-event"),
            action: id_of(&token),
            body: came.body.replace(&token, "TOKEN"),
            life,
            taken: false,
        }
    }

    /// The number of the event in its store, which grows with each change of an action.
    pub(super) fn number(&self) -> u64 {
        let number = self.id.split('_').nth(1).and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("no id of an event: {self:?}"))
    }
}

/// Each event whose number is a multiple of this is refused.
const REFUSED: u64 = 16;

/// A moment in the life of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It has come, and is not answered.
    Came,
    /// It was taken.
    Taken,
}

pub(crate) struct Receiver {
    address: SocketAddr,
    /// Keeps the port while nobody listens.
    _place: Socket,
    shared: Arc<Shared>,
    moments: mpsc::Receiver<Moment>,
    door: Option<JoinHandle<()>>,
}

struct Shared {
    dice: Mutex<Dice>,
    arrivals: Mutex<Vec<Arrival>>,
    is_open: AtomicBool,
    /// Answers nothing.
    holds: AtomicBool,
    /// Takes all.
    is_calm: AtomicBool,
    life: AtomicUsize,
    moments: mpsc::Sender<Moment>,
}

impl Receiver {
    pub(crate) fn new(seed: u64) -> Self {
        let place = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        place.set_reuse_address(true).expect("an option");
        place.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        let address = place.local_addr().expect("its address").as_socket().expect("of IP");
        let (sender, moments) = mpsc::channel();
        let shared = Shared {
            dice: Mutex::new(Dice::new(seed, 900)),
            arrivals: Mutex::default(),
            is_open: AtomicBool::new(false),
            holds: AtomicBool::new(false),
            is_calm: AtomicBool::new(false),
            life: AtomicUsize::new(0),
            moments: sender,
        };
        let shared = Arc::new(shared);
        let mut receiver = Self { address, _place: place, shared, moments, door: None };
        receiver.open();
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Listens, unless it does.
    pub(crate) fn open(&mut self) {
        if self.door.is_some() {
            return;
        }
        let listener = TcpListener::bind(self.address).expect("its own port");
        self.shared.is_open.store(true, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        self.door = Some(thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if !shared.is_open.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(stream));
            }
        }));
    }

    /// Refuses connections, and ends each that there is at its next message.
    pub(super) fn close(&mut self) {
        let Some(door) = self.door.take() else { return };
        self.shared.is_open.store(false, Ordering::SeqCst);
        // It waits for somebody who comes.
        drop(TcpStream::connect(self.address));
        door.join().expect("the door");
    }

    /// Has it answer nothing that comes from here on, or go on.
    pub(crate) fn hold(&self, holds: bool) {
        self.shared.holds.store(holds, Ordering::SeqCst);
    }

    /// Has it take all that comes from here on.
    pub(super) fn calm_down(&mut self) {
        self.hold(false);
        self.shared.is_calm.store(true, Ordering::SeqCst);
        self.open();
    }

    pub(crate) fn next_life(&self) {
        self.shared.life.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits for such a moment from now on, for so long at most.
    pub(crate) fn wait_for(&self, moment: Moment, most: Duration) -> bool {
        while self.moments.try_recv().is_ok() {}
        loop {
            match self.moments.recv_timeout(most) {
                Ok(came) if came == moment => return true,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.shared.arrivals).clone()
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(came) = Came::read(&mut reader) {
            let mut arrival = Arrival::of(&came, self.life.load(Ordering::SeqCst));
            let (waits, does) = self.decide(arrival.number());
            arrival.taken = matches!(does, Does::Answers(200..=299));
            lock(&self.arrivals).push(arrival);
            let _ = self.moments.send(Moment::Came);
            thread::sleep(waits);
            let goes_on = answer(reader.get_mut(), does);
            if matches!(does, Does::Answers(200..=299)) {
                let _ = self.moments.send(Moment::Taken);
            }
            if !goes_on {
                return;
            }
        }
    }

    /// Returns the treatment of a message of the event of this number, and the time before it.
    fn decide(&self, number: u64) -> (Duration, Does) {
        let mut dice = lock(&self.dice);
        let (what, moment) = (dice.below(100), Duration::from_millis(dice.below(150) as u64));
        let at_once = |does| (Duration::ZERO, does);
        if !self.is_open.load(Ordering::SeqCst) {
            return at_once(Does::Breaks);
        }
        if self.holds.load(Ordering::SeqCst) {
            return at_once(Does::Hangs);
        }
        if self.is_calm.load(Ordering::SeqCst) {
            return at_once(Does::Answers(200));
        }
        match what {
            // For good, so that there is always something that has failed.
            _ if number.is_multiple_of(REFUSED) => at_once(Does::Answers(404)),
            0..=11 => at_once(Does::Answers(500)),
            12..=17 => at_once(Does::Breaks),
            18..=19 => at_once(Does::Hangs),
            20 => at_once(Does::Answers(503)),
            21..=30 => (moment, Does::Answers(200)),
            _ => at_once(Does::Answers(204)),
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
