//! What was acknowledged is there again: on a full disk, beside a damaged file, and where files went away. After `kill -9`:
//! `storm::kills`.

mod damage;
mod disk;
mod gone;
mod reserve;
