//! Size of a store that is in a file of its own.

/// Size of a store, and of the disk under it, in bytes. For metrics and those who look after disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreSize {
    /// Size of the database, with what is still in the log alone.
    pub database: u64,
    /// Part of the database that is free: new actions go there before the file grows.
    pub free: u64,
    /// Size of the write-ahead log, which is copied into the database and used again.
    pub log: u64,
    /// Size of the disk; 0 if it is not known.
    pub disk: u64,
    /// Part of the disk that this process may still use.
    pub disk_free: u64,
}
