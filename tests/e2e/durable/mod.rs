//! What was acknowledged is there again: on a full disk, and beside a damaged file. After `kill -9`:
//! `storm::kills`.

mod damage;
mod disk;
mod reserve;
