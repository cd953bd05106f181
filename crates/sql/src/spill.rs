//! What a statement may hold on its way to a result: bytes its functions give, and bytes SQLite puts into
//! temporary files for sorting, grouping and intermediate tables. Both are counted alike on every node,
//! so that passing the bound is an outcome; without it one statement could ask for any amount of memory or disk.
//!
//! SQLite keeps the first of an intermediate result in its page caches, of fixed size, and writes
//! the rest to temporary files through the VFS registered here, which passes everything on to the system's and
//! counts what goes into such files. What lies in them depends on the statement and the rows alone. Journals of the
//! database itself are not counted: their size depends on how the file came about.
//!
//! # Why it is sound
//! - The VFS is a copy of the default one with another `xOpen` and a larger file structure; it lives for
//!   ever, as does the default one it points to. On Unix no other method looks at the structure it is called with.
//! - A file that is not counted is opened by the default `xOpen` in the memory SQLite gave, which is
//!   large enough. A counted file is a `Counted` followed by the default's file structure; its methods
//!   pass on a pointer to that one, whose own methods were set by the default `xOpen`.
//! - The methods are of version 1: SQLite maps no memory and asks for no shared locks through them.
//! - No method panics; none keeps a pointer it was given.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::mem::size_of;
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi;

use crate::error::SqlError;

/// Bytes one transaction's statements may hold. **Part of the execution rules.**
pub const TRANSACTION_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes one read may hold.
pub const READ_BYTES_HELD_MAX: u64 = 1024 * 1024 * 1024;
/// Work that the functions of one transaction may do: their time is not counted in steps. A unit is about a
/// quarter of a nanosecond, so this is some seconds; [`crate::function`] says what costs how much. **Part of the
/// execution rules.**
pub const TRANSACTION_WORK_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Work that the functions of one read may do: a minute or so, in which nothing else can stop it.
pub const READ_WORK_MAX: u64 = 16 * TRANSACTION_WORK_MAX;
/// A function's result of fewer bytes is not counted: the bound on steps is enough for these.
const COUNTED_LEN_MIN: usize = 64;

/// Name of the VFS.
pub(crate) const VFS: &CStr = c"stele";

/// Files whose bytes are counted.
const TEMPORARY: c_int =
    ffi::SQLITE_OPEN_TEMP_DB | ffi::SQLITE_OPEN_TRANSIENT_DB | ffi::SQLITE_OPEN_TEMP_JOURNAL;

thread_local! {
    /// What the statement this thread steps may still hold; none while nobody counts.
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    /// What its functions may still do.
    static WORK_LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    static IS_LONG: Cell<bool> = const { Cell::new(false) };
    /// Which statement it is, among all this thread stepped.
    static STATEMENT: Cell<u64> = const { Cell::new(0) };
    static IS_OVER: Cell<bool> = const { Cell::new(false) };
    /// Bytes of the longest value a function gave.
    static LONGEST: Cell<u64> = const { Cell::new(0) };
    /// Bytes of all values that an aggregate may put together.
    static GATHERED: Cell<u64> = const { Cell::new(0) };
}

/// Begins counting for the statement this thread is going to step.
pub(crate) fn start(bytes: u64, work: u64) {
    LEFT.set(Some(bytes));
    WORK_LEFT.set(work);
    STATEMENT.set(STATEMENT.get().wrapping_add(1));
    IS_OVER.set(false);
    IS_LONG.set(false);
    LONGEST.set(0);
    GATHERED.set(0);
}

/// Ends counting; what is left to hold and to do, or none if more was asked for.
pub(crate) fn end() -> Option<(u64, u64)> {
    let left = LEFT.take();
    let work = WORK_LEFT.replace(u64::MAX);
    left.filter(|_| !IS_OVER.get()).map(|left| (left, work))
}

/// Takes bytes away; whether there were as many.
fn take(bytes: u64) -> bool {
    let Some(left) = LEFT.get() else {
        return true;
    };
    let rest = left.checked_sub(bytes);
    LEFT.set(Some(rest.unwrap_or(0)));
    if rest.is_none() {
        IS_OVER.set(true);
    }
    rest.is_some()
}

/// Counts what a function is about to give.
///
/// # Errors
/// 54000 when that is more than is left.
pub(crate) fn give(len: usize) -> Result<(), SqlError> {
    LONGEST.set(LONGEST.get().max(len as u64));
    if len < COUNTED_LEN_MIN || take(len as u64) {
        Ok(())
    } else {
        Err(too_much())
    }
}

/// Counts what an aggregate of SQLite's own may put together with others.
pub(crate) fn gather(len: usize) {
    GATHERED.set(GATHERED.get().saturating_add(len as u64));
}

/// Bytes that no value is longer than which the statement made so far.
pub(crate) fn longest() -> u64 {
    LONGEST.get().max(GATHERED.get())
}

/// Counts what a function is about to do.
///
/// # Errors
/// 54000 when that is more than is left.
pub(crate) fn work(units: u64) -> Result<(), SqlError> {
    match WORK_LEFT.get().checked_sub(units) {
        Some(left) => {
            WORK_LEFT.set(left);
            Ok(())
        }
        None => {
            WORK_LEFT.set(0);
            IS_OVER.set(true);
            IS_LONG.set(true);
            Err(too_much())
        }
    }
}

/// Which statement this thread steps: what is kept for one must not serve the next, or what it costs would follow
/// from what ran before.
pub(crate) fn statement() -> u64 {
    STATEMENT.get()
}

/// The bound was passed.
pub(crate) fn too_much() -> SqlError {
    if IS_LONG.get() {
        return SqlError::new("54000", "the functions of the transaction take too long").hint(
            "Call them for fewer rows or shorter values, use shorter patterns, or do it in several transactions.",
        );
    }
    SqlError::new("54000", "the statement holds too much on its way to the result")
        .hint("Sort, group or join fewer or shorter values: select the columns that are needed, and narrow the rows first.")
}

/// Registers the VFS, once.
///
/// # Errors
/// SQLite's code when it cannot be registered.
pub(crate) fn register() -> Result<(), c_int> {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    let code = *REGISTERED.get_or_init(|| {
        // SAFETY: no arguments but a null name, which asks for the default.
        let default = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        if default.is_null() {
            return ffi::SQLITE_ERROR;
        }
        // SAFETY: it was registered by SQLite itself and is never freed.
        let mut vfs = unsafe { *default };
        vfs.zName = VFS.as_ptr();
        vfs.pNext = ptr::null_mut();
        vfs.pAppData = default.cast::<c_void>();
        vfs.szOsFile += size_of::<Counted>() as c_int;
        vfs.xOpen = Some(open);
        let vfs = Box::leak(Box::new(vfs));
        // SAFETY: it lives for ever.
        unsafe { ffi::sqlite3_vfs_register(vfs, 0) }
    });
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(code)
    }
}

/// What SQLite takes for a file; the default's file follows it in memory.
#[repr(C)]
struct Counted {
    methods: *const ffi::sqlite3_io_methods,
    /// Keeps what follows aligned as SQLite aligns files.
    _padding: usize,
}

/// The default's file.
///
/// # Safety
/// `file` was opened by [`open`] as a counted one.
unsafe fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: SQLite gave `szOsFile` bytes, of which ours are the first.
    unsafe { file.cast::<Counted>().add(1).cast::<ffi::sqlite3_file>() }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: `vfs` is ours; its data is the default one.
    let default = unsafe { (*vfs).pAppData.cast::<ffi::sqlite3_vfs>() };
    // SAFETY: as above.
    let Some(default_open) = (unsafe { (*default).xOpen }) else {
        return ffi::SQLITE_CANTOPEN;
    };
    if flags & TEMPORARY == 0 {
        // SAFETY: the arguments are SQLite's own, the memory is larger than the default wants.
        return unsafe { default_open(default, name, file, flags, out_flags) };
    }
    // SAFETY: SQLite gave memory for both structures.
    unsafe {
        let wrapped = inner(file);
        (*wrapped).pMethods = ptr::null();
        let code = default_open(default, name, wrapped, flags, out_flags);
        (*file).pMethods = if (*wrapped).pMethods.is_null() {
            ptr::null()
        } else {
            &raw const METHODS
        };
        code
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Passes a call on to the default's file.
macro_rules! pass_on {
    ($name:ident, $method:ident, $missing:expr, ($($argument:ident: $kind:ty),*)) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $kind)*) -> c_int {
            // SAFETY: SQLite calls methods on files that were opened with them; the default's methods
            // were set when it was opened.
            unsafe {
                let wrapped = inner(file);
                match (*(*wrapped).pMethods).$method {
                    Some(method) => method(wrapped $(, $argument)*),
                    None => $missing,
                }
            }
        }
    };
}

pass_on!(close, xClose, ffi::SQLITE_OK, ());
pass_on!(read, xRead, ffi::SQLITE_IOERR_READ, (to: *mut c_void, len: c_int, at: ffi::sqlite3_int64));
pass_on!(write_on, xWrite, ffi::SQLITE_IOERR_WRITE, (from: *const c_void, len: c_int, at: ffi::sqlite3_int64));
pass_on!(truncate, xTruncate, ffi::SQLITE_IOERR_TRUNCATE, (size: ffi::sqlite3_int64));
pass_on!(sync, xSync, ffi::SQLITE_OK, (flags: c_int));
pass_on!(file_size, xFileSize, ffi::SQLITE_IOERR_FSTAT, (size: *mut ffi::sqlite3_int64));
pass_on!(lock, xLock, ffi::SQLITE_OK, (level: c_int));
pass_on!(unlock, xUnlock, ffi::SQLITE_OK, (level: c_int));
pass_on!(check_reserved_lock, xCheckReservedLock, ffi::SQLITE_OK, (out: *mut c_int));
pass_on!(file_control, xFileControl, ffi::SQLITE_NOTFOUND, (op: c_int, argument: *mut c_void));
pass_on!(sector_size, xSectorSize, 4_096, ());
pass_on!(device_characteristics, xDeviceCharacteristics, 0, ());

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    if !take(u64::try_from(len).unwrap_or(0)) {
        return ffi::SQLITE_FULL;
    }
    // SAFETY: as for the others.
    unsafe { write_on(file, from, len, at) }
}

const _: () = assert!(size_of::<Counted>().is_multiple_of(16));
