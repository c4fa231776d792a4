//! Size of a store.

/// Size of a store, in bytes. For metrics and those who look after disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreSize {
    /// Size of the database, with what is still in the log alone. Of a database server: all that is in this database, whosever it is.
    pub database: u64,
    /// The file and its disk; `None` for a store that is not in a file of its own.
    pub file: Option<FileSize>,
}

/// Size of what is in and around the file of a store, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FileSize {
    /// Part of the database that is free: new actions go there before the file grows.
    pub free: u64,
    /// Size of the write-ahead log, which is copied into the database and used again.
    pub log: u64,
    /// Size of the disk; 0 if it is not known.
    pub disk: u64,
    /// Part of the disk that this process may still use.
    pub disk_free: u64,
}
