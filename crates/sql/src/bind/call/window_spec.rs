//! What stands after OVER: named windows, partitions, orders and frames.

use sqlparser::ast::{
    NamedWindowDefinition, NamedWindowExpr, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowSpec, WindowType,
};
use stele_core::Value;

use crate::bind::Binder;
use crate::bind::expression::{Kind, bits};
use crate::bind::name::folded;
use crate::bind::query::{order_item, order_key};
use crate::bind::scope::Environment;
use crate::error::SqlError;

/// Longest chain of windows that name each other.
const CHAIN_MAX: usize = 64;

/// A bound window.
pub(in crate::bind) struct Window {
    pub(super) partition: Vec<String>,
    pub(super) order: Vec<String>,
    pub(super) frame: Option<String>,
    /// Whether the frame counts rows, so that the order of equal ones matters.
    pub(super) by_rows: bool,
    /// Whether no row ever leaves the frame.
    pub(super) starts_unbounded: bool,
}

/// The window after OVER with the names in it resolved.
pub(super) fn resolve(
    windows: &[NamedWindowDefinition],
    over: &WindowType,
) -> Result<WindowSpec, SqlError> {
    match over {
        WindowType::NamedWindow(name) => named(windows, &folded(name), CHAIN_MAX),
        WindowType::WindowSpec(spec) => extended(windows, spec, CHAIN_MAX),
    }
}

fn named(
    windows: &[NamedWindowDefinition],
    name: &str,
    chain: usize,
) -> Result<WindowSpec, SqlError> {
    let missing = || SqlError::new("42704", format!("window \"{name}\" does not exist"));
    let left = chain.checked_sub(1).ok_or_else(crate::parse::too_complex)?;
    let place = windows.iter().position(|window| folded(&window.0) == name);
    let place = place.ok_or_else(missing)?;
    // A window may name those before it only, so a chain ends.
    let (before, rest) = windows.split_at(place);
    match rest.first() {
        Some(NamedWindowDefinition(_, NamedWindowExpr::WindowSpec(spec))) => {
            extended(before, spec, left)
        }
        Some(NamedWindowDefinition(_, NamedWindowExpr::NamedWindow(other))) => {
            named(before, &folded(other), left)
        }
        None => Err(missing()),
    }
}

/// A window with what it takes over from the one it names.
fn extended(
    windows: &[NamedWindowDefinition],
    spec: &WindowSpec,
    chain: usize,
) -> Result<WindowSpec, SqlError> {
    let Some(name) = &spec.window_name else {
        return Ok(spec.clone());
    };
    let name = folded(name);
    let base = named(windows, &name, chain)?;
    let refused =
        |what: &str| SqlError::new("42P20", format!("cannot {what} of window \"{name}\""));
    if !spec.partition_by.is_empty() {
        return Err(refused("override PARTITION BY clause"));
    }
    if !base.order_by.is_empty() && !spec.order_by.is_empty() {
        return Err(refused("override ORDER BY clause"));
    }
    if base.window_frame.is_some() {
        return Err(refused("copy the frame"));
    }
    Ok(WindowSpec {
        window_name: None,
        partition_by: base.partition_by,
        order_by: if spec.order_by.is_empty() {
            base.order_by
        } else {
            spec.order_by.clone()
        },
        window_frame: spec.window_frame.clone(),
    })
}

impl Binder<'_> {
    pub(super) fn window_of(
        &mut self,
        environment: &Environment<'_>,
        spec: &WindowSpec,
    ) -> Result<Window, SqlError> {
        let mut partition = Vec::with_capacity(spec.partition_by.len());
        for tree in &spec.partition_by {
            let key = self.expression(environment, tree)?;
            let key = self.settled(key)?;
            partition.push(order_key(&key)?);
        }
        let mut order = Vec::with_capacity(spec.order_by.len());
        let mut whole = spec.order_by.len() == 1;
        for item in &spec.order_by {
            let key = self.expression(environment, &item.expr)?;
            whole &= key.known().and_then(bits).is_some();
            order.push(order_item(&key, &item.options)?);
        }
        let frame = match &spec.window_frame {
            None => None,
            Some(frame) => Some(self.frame(environment, frame, whole, order.len())?),
        };
        Ok(Window {
            partition,
            order,
            frame,
            by_rows: spec
                .window_frame
                .as_ref()
                .is_some_and(|frame| frame.units == WindowFrameUnits::Rows),
            starts_unbounded: spec
                .window_frame
                .as_ref()
                .is_none_or(|frame| matches!(frame.start_bound, WindowFrameBound::Preceding(None))),
        })
    }

    /// ROWS, RANGE or GROUPS between two bounds.
    fn frame(
        &mut self,
        environment: &Environment<'_>,
        frame: &WindowFrame,
        whole: bool,
        keys: usize,
    ) -> Result<String, SqlError> {
        let units = match frame.units {
            WindowFrameUnits::Rows => "ROWS",
            WindowFrameUnits::Range => "RANGE",
            WindowFrameUnits::Groups => "GROUPS",
        };
        if units == "GROUPS" && keys == 0 {
            return Err(SqlError::new(
                "42P20",
                "GROUPS mode requires an ORDER BY clause",
            ));
        }
        let end = frame
            .end_bound
            .as_ref()
            .unwrap_or(&WindowFrameBound::CurrentRow);
        let start = &frame.start_bound;
        let wrong = |what: &str| SqlError::new("42P20", what);
        match (start, end) {
            (WindowFrameBound::Following(None), _) => {
                return Err(wrong("frame start cannot be UNBOUNDED FOLLOWING"));
            }
            (_, WindowFrameBound::Preceding(None)) => {
                return Err(wrong("frame end cannot be UNBOUNDED PRECEDING"));
            }
            (WindowFrameBound::CurrentRow, WindowFrameBound::Preceding(_)) => {
                return Err(wrong(
                    "frame starting from current row cannot have preceding rows",
                ));
            }
            (
                WindowFrameBound::Following(_),
                WindowFrameBound::CurrentRow | WindowFrameBound::Preceding(_),
            ) => {
                return Err(wrong(
                    "frame starting from following row cannot have preceding rows",
                ));
            }
            _ => {}
        }
        let offsets = units == "RANGE"
            && [start, end].iter().any(|bound| {
                matches!(
                    bound,
                    WindowFrameBound::Preceding(Some(_)) | WindowFrameBound::Following(Some(_))
                )
            });
        if offsets && keys != 1 {
            return Err(wrong(
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            ));
        }
        if offsets && !whole {
            return Err(SqlError::unsupported(
                "RANGE with an offset over what is no integer",
                "Order by an integer, or use ROWS or GROUPS.",
            ));
        }
        let start = self.frame_bound(environment, start)?;
        let end = self.frame_bound(environment, end)?;
        Ok(format!("{units} BETWEEN {start} AND {end}"))
    }

    fn frame_bound(
        &mut self,
        environment: &Environment<'_>,
        bound: &WindowFrameBound,
    ) -> Result<String, SqlError> {
        let (offset, word) = match bound {
            WindowFrameBound::CurrentRow => return Ok("CURRENT ROW".to_owned()),
            WindowFrameBound::Preceding(None) => return Ok("UNBOUNDED PRECEDING".to_owned()),
            WindowFrameBound::Following(None) => return Ok("UNBOUNDED FOLLOWING".to_owned()),
            WindowFrameBound::Preceding(Some(offset)) => (offset, "PRECEDING"),
            WindowFrameBound::Following(Some(offset)) => (offset, "FOLLOWING"),
        };
        let offset = self.expression(environment, offset)?;
        match offset.kind {
            Kind::Constant(Value::Int(count)) if count >= 0 => Ok(format!("{count} {word}")),
            Kind::Constant(Value::Int(_)) => Err(SqlError::new(
                "22013",
                "frame starting or ending offset must not be negative",
            )),
            _ => Err(SqlError::unsupported(
                "a frame bound that is no constant",
                "Give a whole number.",
            )),
        }
    }
}
