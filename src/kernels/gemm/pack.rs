use super::Matrix;
use wide::f32x4;

/// Copies `columns` (all rows `first_row..first_row + k`) of a matrix into a panel `[k, WIDTH]`,
/// zeros where the matrix ends.
///
/// To pack rows, hand in the transposed matrix.
pub fn pack<const WIDTH: usize>(
    matrix: &Matrix,
    first_row: usize,
    k: usize,
    first_column: usize,
    panel: &mut [f32],
) {
    let width = WIDTH.min(matrix.columns - first_column);
    let (down, right) = (matrix.row_stride, matrix.column_stride);
    let start = matrix.offset + first_row * down + first_column * right;
    let data = matrix.data;
    if width == WIDTH && right == 1 {
        for (row, line) in panel[..k * WIDTH].chunks_exact_mut(WIDTH).enumerate() {
            line.copy_from_slice(&data[start + row * down..][..WIDTH]);
        }
        return;
    }
    if width == WIDTH && down == 1 {
        let column = |i: usize| &data[start + i * right..][..k];
        if WIDTH == 2 {
            return interleave(column(0), column(1), panel);
        }
        if WIDTH.is_multiple_of(4) {
            for first in (0..WIDTH).step_by(4) {
                turn::<WIDTH>([0, 1, 2, 3].map(|i| column(first + i)), first, panel);
            }
            return;
        }
    }
    pack_scalar(data, start, (down, right), width, &mut panel[..k * WIDTH], WIDTH);
}

/// Two columns side by side.
fn interleave(left: &[f32], right: &[f32], panel: &mut [f32]) {
    let ((lefts, left_rest), (rights, right_rest)) = (left.as_chunks::<4>(), right.as_chunks::<4>());
    let (blocks, rest) = panel[..2 * left.len()].as_chunks_mut::<8>();
    for ((block, l), r) in blocks.iter_mut().zip(lefts).zip(rights) {
        *block = [l[0], r[0], l[1], r[1], l[2], r[2], l[3], r[3]];
    }
    for ((pair, left), right) in rest.chunks_exact_mut(2).zip(left_rest).zip(right_rest) {
        pair.copy_from_slice(&[*left, *right]);
    }
}

/// Four columns as the columns `first..first + 4` of a panel.
fn turn<const WIDTH: usize>(columns: [&[f32]; 4], first: usize, panel: &mut [f32]) {
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = columns.map(|column| column.as_chunks::<4>());
    let mut lines = panel.chunks_exact_mut(WIDTH);
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        let turned = f32x4::transpose([a, b, c, d].map(|four| f32x4::new(*four)));
        for (values, line) in turned.iter().zip(&mut lines) {
            line[first..][..4].copy_from_slice(&values.to_array());
        }
    }
    for (i, line) in lines.take(a_rest.len()).enumerate() {
        line[first..][..4].copy_from_slice(&[a_rest[i], b_rest[i], c_rest[i], d_rest[i]]);
    }
}

fn pack_scalar(
    data: &[f32],
    start: usize,
    (down, right): (usize, usize),
    width: usize,
    panel: &mut [f32],
    panel_width: usize,
) {
    for (row, line) in panel.chunks_exact_mut(panel_width).enumerate() {
        for (column, value) in line.iter_mut().enumerate() {
            *value = if column < width { data[start + row * down + column * right] } else { 0.0 };
        }
    }
}
