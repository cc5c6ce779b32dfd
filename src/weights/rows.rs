//! Reading a stored tensor row by row, in pieces, into f32.

use super::names::RowOrder;
use super::quant::{StorageType, dequantize};
use super::source::ByteSource;
use crate::error::{Error, Result};

/// Where a tensor lies and how its rows are stored.
pub(crate) struct StoredRows<'a> {
    pub name: &'a str,
    pub source: &'a dyn ByteSource,
    pub offset: u64,
    pub dtype: StorageType,
    pub shape: &'a [usize],
    pub order: RowOrder,
}

/// Bytes read at once: enough to make calls rare, few enough not to matter.
const PIECE: usize = 1 << 20;

/// The tensor's values, row-major, with its rows in Hugging Face's order.
///
/// # Errors
/// The file is too short or unreadable, or memory does not suffice.
pub(crate) fn read_rows(tensor: &StoredRows) -> Result<Vec<f32>> {
    let elements: usize = tensor.shape.iter().product();
    let mut values = Vec::new();
    values.try_reserve_exact(elements).map_err(|_| Error::ModelTooLarge {
        reason: format!("tensor \"{}\" needs {} MB of memory at once", tensor.name, elements / 250_000),
    })?;
    values.resize(elements, 0.0);
    if elements == 0 {
        return Ok(values);
    }

    // A bias whose rows are permuted is a column: rows of one value.
    let width = match (tensor.shape, tensor.order) {
        ([_], RowOrder::Interleaved { .. }) => 1,
        (shape, _) => shape.last().copied().unwrap_or(1),
    };
    let row_bytes = width / tensor.dtype.block_size() * tensor.dtype.block_bytes();
    let rows = elements / width;
    let rows_at_once = (PIECE / row_bytes).clamp(1, rows);
    let mut piece = vec![0; rows_at_once * row_bytes];
    let mut row = 0;
    while row < rows {
        let count = rows_at_once.min(rows - row);
        let piece = &mut piece[..count * row_bytes];
        tensor.source.read_at(tensor.offset + (row * row_bytes) as u64, piece)?;
        match tensor.order {
            RowOrder::Same => {
                dequantize(tensor.dtype, piece, &mut values[row * width..(row + count) * width])
            }
            RowOrder::Interleaved { heads } => {
                for (i, bytes) in piece.chunks_exact(row_bytes).enumerate() {
                    let to = RowOrder::huggingface_row(row + i, rows / heads);
                    dequantize(tensor.dtype, bytes, &mut values[to * width..(to + 1) * width]);
                }
            }
        }
        row += count;
    }
    Ok(values)
}
