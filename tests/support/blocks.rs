//! Weights in blocks, made up, and what is read of them against the CPU's.

use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use loralet::kernels::blocks::{BLOCK, Blocks, Form, HostBlocks, Matrix};
use loralet::kernels::readback::read;

/// Blocks whose form follows from the number of rows.
pub fn blocks(out: usize, input: usize, device: &Device) -> Blocks {
    let form = [Form::Q4, Form::F16, Form::Q8, Form::Bf16][out / 4 % 4];
    let mut words = Vec::new();
    for i in 0..out * input / BLOCK {
        let head = [0.01 + (i % 7) as f32 * 1e-3, -0.1];
        words.extend(head.iter().take(form.head_words()).map(|number| number.to_bits() as i32));
        let number = |j: usize| ((i * 13 + j * 7) as f32 * 0.61).sin();
        words.extend((0..form.number_words()).map(|j| match form {
            Form::Q8 | Form::Q4 => ((i * 16 + j) as u32).wrapping_mul(0x9e37_79b9) as i32,
            // The second is a small one, beyond the normal numbers of a half.
            Form::F16 => pair([number(j), number(j) * 1e-5].map(|x| f16::from_f32(x).to_bits())),
            Form::Bf16 => pair([number(j), -number(j)].map(|x| bf16::from_f32(x).to_bits())),
        }));
    }
    Blocks::new(HostBlocks { form, words }, [out, input], device)
}

fn pair([first, second]: [u16; 2]) -> i32 {
    (u32::from(first) | u32::from(second) << 16) as i32
}

/// Weights in blocks against the CPU's expansion.
pub async fn expanded(device: &Device) {
    for (out, input) in [(16, 96), (9, 64)] {
        let ours = read(blocks(out, input, device).expand()).await.unwrap();
        assert_eq!(ours, read(blocks(out, input, &Device::flex()).expand()).await.unwrap());
    }
}

/// Rows of weights in blocks against the CPU's.
pub async fn picked(device: &Device) {
    let rows = |device: &Device| {
        let weight = Matrix::Blocks(blocks(200, 64, device));
        let indices = Tensor::from_data(TensorData::new(vec![7i32, 150, 7], [3]), device);
        Tensor::cat(vec![weight.rows(64, 128), weight.rows(3, 5), weight.select(indices)], 0)
    };
    let (ours, expected) = (read(rows(device)).await.unwrap(), read(rows(&Device::flex())).await.unwrap());
    let differs = ours.iter().zip(&expected).position(|(a, b)| a != b);
    assert_eq!((differs, ours.len()), (None, expected.len()));
}
