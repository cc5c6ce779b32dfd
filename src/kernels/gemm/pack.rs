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
    if width == WIDTH && WIDTH == 2 && down == 1 {
        let (left, right) = (&data[start..][..k], &data[start + right..][..k]);
        for ((pair, left), right) in panel.chunks_exact_mut(2).zip(left).zip(right) {
            pair.copy_from_slice(&[*left, *right]);
        }
        return;
    }
    if width == WIDTH && WIDTH.is_multiple_of(4) && down == 1 {
        let whole = k / 4 * 4;
        for (block, lines) in panel[..whole * WIDTH].chunks_exact_mut(4 * WIDTH).enumerate() {
            for group in 0..WIDTH / 4 {
                let column = |i: usize| {
                    let values = &data[start + block * 4 + (group * 4 + i) * right..][..4];
                    f32x4::new([values[0], values[1], values[2], values[3]])
                };
                let turned = f32x4::transpose([column(0), column(1), column(2), column(3)]);
                for (i, values) in turned.iter().enumerate() {
                    lines[i * WIDTH + group * 4..][..4].copy_from_slice(&values.to_array());
                }
            }
        }
        pack_scalar(data, start + whole, (down, right), width, &mut panel[whole * WIDTH..k * WIDTH], WIDTH);
        return;
    }
    pack_scalar(data, start, (down, right), width, &mut panel[..k * WIDTH], WIDTH);
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
