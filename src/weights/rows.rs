//! Reading a stored tensor row by row, in pieces, into f32.

use super::names::RowOrder;
use super::quant::{StorageType, dequantize, half_at};
use super::source::ByteSource;
use crate::error::{Error, Result};
use crate::kernels::blocks::{BLOCK, Form, HostBlocks};

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
/// The file is too short or unreadable, memory does not suffice, or a value is not finite.
pub(crate) fn read_rows(tensor: &StoredRows) -> Result<Vec<f32>> {
    let elements: usize = tensor.shape.iter().product();
    let mut values = zeros(tensor, elements)?;
    if elements == 0 {
        return Ok(values);
    }

    // A bias whose rows are permuted is a column: rows of one value.
    let width = match (tensor.shape, tensor.order) {
        ([_], RowOrder::Interleaved { .. }) => 1,
        (shape, _) => shape.last().copied().unwrap_or(1),
    };
    let mut finite = true;
    each_row(tensor, width, |row, bytes| {
        let row = &mut values[row * width..(row + 1) * width];
        dequantize(tensor.dtype, bytes, row);
        finite &= row.iter().all(|value| value.is_finite());
    })?;
    if finite { Ok(values) } else { Err(not_finite(tensor)) }
}

/// One such number, and every loss and answer is none.
fn not_finite(tensor: &StoredRows) -> Error {
    Error::InvalidTensor {
        file: tensor.source.name().into(),
        tensor: tensor.name.into(),
        reason: "holds a value that is not finite (inf or nan), so that no loss and no answer would be a number; take another copy of \
                 the model or, if it was merged, merge it again in 32 bits"
            .into(),
    }
}

/// A matrix whose rows are Q4_0, Q4_1, Q8_0, F16 or BF16 in the words it is stored in, with its rows in Hugging Face's order;
/// `None` for other forms.
///
/// # Errors
/// The file is too short or unreadable, or a value is not finite.
pub(crate) fn read_blocks(tensor: &StoredRows) -> Result<Option<HostBlocks>> {
    let (Some(form), &[rows, width]) = (block_form(tensor.dtype), tensor.shape) else { return Ok(None) };
    if rows * width == 0 || !width.is_multiple_of(BLOCK) {
        return Ok(None);
    }
    let words_of_row = width / BLOCK * form.words();
    let mut words = zeros(tensor, rows * words_of_row)?;
    let bytes_of_block = BLOCK / tensor.dtype.block_size() * tensor.dtype.block_bytes();
    // The exponent whose bits are all set is that of inf and nan.
    let exponent: u16 = match form {
        Form::F16 => 0x7c00,
        Form::Bf16 => 0x7f80,
        Form::Q4 | Form::Q8 => 0,
    };
    let mut finite = true;
    each_row(tensor, width, |row, bytes| {
        let places = words[row * words_of_row..][..words_of_row].chunks_exact_mut(form.words());
        for (place, block) in places.zip(bytes.chunks_exact(bytes_of_block)) {
            let (head, numbers) = place.split_at_mut(form.head_words());
            let (stored_head, stored) = block.split_at(block.len() - numbers.len() * 4);
            let is_finite = |bytes: &[u8; 2]| u16::from_le_bytes(*bytes) & exponent != exponent;
            finite &= exponent == 0 || stored.as_chunks::<2>().0.iter().all(is_finite);
            for (number, bytes) in numbers.iter_mut().zip(stored.as_chunks::<4>().0) {
                *number = i32::from_le_bytes(*bytes);
            }
            if let [first, second] = head {
                let scale = half_at(stored_head, 0);
                let minimum = match tensor.dtype {
                    StorageType::Q4_0 => -8.0 * scale,
                    StorageType::Q4_1 => half_at(stored_head, 2),
                    _ => 0.0,
                };
                finite &= scale.is_finite() && minimum.is_finite();
                (*first, *second) = (scale.to_bits() as i32, minimum.to_bits() as i32);
            }
        }
    })?;
    if finite { Ok(Some(HostBlocks { form, words })) } else { Err(not_finite(tensor)) }
}

/// Numbers of 32 bits for a tensor.
fn zeros<T: Clone + Default>(tensor: &StoredRows, count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| Error::ModelTooLarge {
        reason: format!("tensor \"{}\" needs {} MB of memory at once", tensor.name, count / 250_000),
    })?;
    values.resize(count, T::default());
    Ok(values)
}

/// How a model keeps a matrix that stays as it is stored; `None` where it is expanded.
pub(crate) fn block_form(dtype: StorageType) -> Option<Form> {
    match dtype {
        StorageType::F16 => Some(Form::F16),
        StorageType::BF16 => Some(Form::Bf16),
        StorageType::Q4_0 | StorageType::Q4_1 => Some(Form::Q4),
        StorageType::Q8_0 => Some(Form::Q8),
        _ => None,
    }
}

/// Hands every row's stored bytes to `take`, with its place in Hugging Face's order.
fn each_row(tensor: &StoredRows, width: usize, mut take: impl FnMut(usize, &[u8])) -> Result<()> {
    let row_bytes = width / tensor.dtype.block_size() * tensor.dtype.block_bytes();
    let rows = tensor.shape.iter().product::<usize>() / width;
    let rows_at_once = (PIECE / row_bytes).clamp(1, rows);
    let mut piece = vec![0; rows_at_once * row_bytes];
    let mut row = 0;
    while row < rows {
        let count = rows_at_once.min(rows - row);
        let piece = &mut piece[..count * row_bytes];
        tensor.source.read_at(tensor.offset + (row * row_bytes) as u64, piece)?;
        for (i, bytes) in piece.chunks_exact(row_bytes).enumerate() {
            let place = match tensor.order {
                RowOrder::Same => row + i,
                RowOrder::Interleaved { heads } => RowOrder::huggingface_row(row + i, rows / heads),
            };
            take(place, bytes);
        }
        row += count;
    }
    Ok(())
}
