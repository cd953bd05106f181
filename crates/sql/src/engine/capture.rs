//! Row changes as SQLite makes them: the preupdate hook.
//!
//! This is, with [`crate::spill`], the one place of the project with `unsafe` code, because `rusqlite` offers the hook only
//! together with bindings generated at build time.
//!
//! # Why it is sound
//! - SQLite calls the hook on the thread that steps a statement of the connection, never later and
//!   never at once with itself. The context pointer comes from an [`Arc`] that [`CapturedConnection`]
//!   holds; the hook is removed and the connection closed before that `Arc` goes.
//! - The value pointers are asked for inside the hook and their bytes are only borrowed until it
//!   returns: SQLite keeps them valid until then (`sqlite3_preupdate_old`, `sqlite3_preupdate_new`).
//!   The borrowed values cannot leave, since [`RowSink::row`] takes them at any lifetime.
//! - `sqlite3_value_bytes` is asked after `sqlite3_value_text` or `_blob`, as SQLite wants, and the
//!   database is UTF-8, so neither call converts or moves anything.
//! - No panic crosses into C: it is caught, and reported by [`CapturedConnection::end_statement`].
//! - The sink cannot reach the connection (it would have to be `Sync` to be shared), so no
//!   statement runs inside the hook.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ffi};

/// Takes row changes inside the hook.
pub(super) trait RowSink: Send {
    /// A row of a table changes: values in the table's column order, none before an insert, none
    /// after a delete.
    fn row(&mut self, table: &str, before: Option<&[ValueRef<'_>]>, after: Option<&[ValueRef<'_>]>);
}

struct Hook<S> {
    sink: S,
    failure: Option<&'static str>,
}

/// A connection whose row changes go to a sink.
pub(super) struct CapturedConnection<S: RowSink> {
    connection: Connection,
    hook: Arc<Mutex<Hook<S>>>,
}

impl<S: RowSink> CapturedConnection<S> {
    /// Installs the hook.
    pub(super) fn new(connection: Connection, sink: S) -> Self {
        let hook = Arc::new(Mutex::new(Hook {
            sink,
            failure: None,
        }));
        let context = Arc::as_ptr(&hook).cast_mut().cast::<c_void>();
        // SAFETY: the handle is open, and the context outlives the hook (see the module).
        unsafe {
            ffi::sqlite3_preupdate_hook(connection.handle(), Some(on_change::<S>), context);
        }
        Self { connection, hook }
    }

    /// The sink, between statements.
    pub(super) fn sink<R>(&self, with: impl FnOnce(&mut S) -> R) -> R {
        with(&mut self.hook.lock().sink)
    }

    /// The sink after a statement, and what went wrong inside the hook meanwhile.
    pub(super) fn end_statement<R>(
        &self,
        with: impl FnOnce(&mut S) -> R,
    ) -> (R, Option<&'static str>) {
        let mut hook = self.hook.lock();
        (with(&mut hook.sink), hook.failure.take())
    }
}

impl<S: RowSink> Drop for CapturedConnection<S> {
    fn drop(&mut self) {
        // SAFETY: the handle is still open; after this no call can reach the context.
        unsafe {
            ffi::sqlite3_preupdate_hook(self.connection.handle(), None, std::ptr::null_mut());
        }
    }
}

impl<S: RowSink> Deref for CapturedConnection<S> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl<S: RowSink> DerefMut for CapturedConnection<S> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

unsafe extern "C" fn on_change<S: RowSink>(
    context: *mut c_void,
    db: *mut ffi::sqlite3,
    operation: c_int,
    _database: *const c_char,
    table: *const c_char,
    _rowid_before: i64,
    _rowid_after: i64,
) {
    // SAFETY: the context is the `Arc`'s content, alive while the hook is installed.
    let hook = unsafe { &*context.cast_const().cast::<Mutex<Hook<S>>>() };
    let mut hook = hook.lock();
    let done = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: SQLite gives the table's name as a C string valid during the call.
        let name = unsafe { CStr::from_ptr(table) };
        let name = name.to_str().map_err(|_| "a table name is not UTF-8")?;
        // SAFETY: called inside the hook with its own handle.
        let count = unsafe { ffi::sqlite3_preupdate_count(db) };
        let (mut before, mut after) = (Values::new(count), Values::new(count));
        // SAFETY: as above; the values live until the hook returns.
        let before = match operation {
            ffi::SQLITE_INSERT => None,
            _ => Some(unsafe { before.read(db, ffi::sqlite3_preupdate_old) }?),
        };
        // SAFETY: as above.
        let after = match operation {
            ffi::SQLITE_DELETE => None,
            _ => Some(unsafe { after.read(db, ffi::sqlite3_preupdate_new) }?),
        };
        hook.sink.row(name, before, after);
        Ok(())
    }));
    match done {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => hook.failure = Some(failure),
        Err(_) => hook.failure = Some("the row change sink panicked"),
    }
}

type Getter = unsafe extern "C" fn(*mut ffi::sqlite3, c_int, *mut *mut ffi::sqlite3_value) -> c_int;

/// Columns of a row that need no allocation.
const FEW_COLUMNS: usize = 16;

/// Room for the values of one row.
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for one row, to save an allocation each"
)]
enum Values<'a> {
    Few([ValueRef<'a>; FEW_COLUMNS], usize),
    Many(Vec<ValueRef<'a>>),
}

impl<'a> Values<'a> {
    fn new(count: c_int) -> Self {
        let count = usize::try_from(count).unwrap_or_default();
        if count <= FEW_COLUMNS {
            Self::Few([ValueRef::Null; FEW_COLUMNS], count)
        } else {
            Self::Many(vec![ValueRef::Null; count])
        }
    }

    /// # Safety
    /// Only inside the hook, with its handle and as many columns as SQLite said; the values must not
    /// outlive it.
    unsafe fn read(
        &mut self,
        db: *mut ffi::sqlite3,
        get: Getter,
    ) -> Result<&[ValueRef<'a>], &'static str> {
        let values = match self {
            Self::Few(values, count) => values.get_mut(..*count).unwrap_or_default(),
            Self::Many(values) => values,
        };
        for (column, slot) in (0..).zip(values.iter_mut()) {
            let mut value = std::ptr::null_mut();
            // SAFETY: the column is below the count SQLite gave.
            if unsafe { get(db, column, &raw mut value) } != ffi::SQLITE_OK || value.is_null() {
                return Err("SQLite did not give a changed row's value");
            }
            // SAFETY: SQLite just gave the value.
            *slot = unsafe { value_ref(value) };
        }
        Ok(values)
    }
}

/// # Safety
/// `value` must be valid for as long as the result is used.
unsafe fn value_ref<'a>(value: *mut ffi::sqlite3_value) -> ValueRef<'a> {
    // SAFETY: the value is valid, and length is asked after the bytes.
    unsafe {
        match ffi::sqlite3_value_type(value) {
            ffi::SQLITE_INTEGER => ValueRef::Integer(ffi::sqlite3_value_int64(value)),
            ffi::SQLITE_FLOAT => ValueRef::Real(ffi::sqlite3_value_double(value)),
            ffi::SQLITE_TEXT => {
                let start = ffi::sqlite3_value_text(value);
                ValueRef::Text(bytes(start.cast(), ffi::sqlite3_value_bytes(value)))
            }
            ffi::SQLITE_BLOB => {
                let start = ffi::sqlite3_value_blob(value);
                ValueRef::Blob(bytes(start.cast(), ffi::sqlite3_value_bytes(value)))
            }
            _ => ValueRef::Null,
        }
    }
}

/// # Safety
/// `start` must point to `len` readable bytes, or be null (SQLite's empty blob).
unsafe fn bytes<'a>(start: *const u8, len: c_int) -> &'a [u8] {
    let len = usize::try_from(len).unwrap_or_default();
    if start.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: as the function's own condition says.
    unsafe { std::slice::from_raw_parts(start, len) }
}
