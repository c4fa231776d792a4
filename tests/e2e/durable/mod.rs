//! What was acknowledged is there again: after `kill -9`, on a full disk, and beside a damaged file.

mod damage;
mod disk;
mod kill;
mod reserve;
