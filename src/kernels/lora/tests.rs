use super::*;
use crate::kernels::testing::{close, random};
use burn::tensor::Device;

/// Two adapted layers around one that is not, of odd sizes.
const OUT: [usize; 3] = [5, 3, 8];
const RANKS: [usize; 3] = [2, 0, 2];
const INPUT: usize = 7;
const TOKENS: usize = 9;

fn stock(x: Tensor<2>, weights: Vec<Tensor<2>>, lora: Tensor<1>, residual: Tensor<2>) -> Tensor<2> {
    let mut at = 0;
    let mut matrix = |rows: usize, columns: usize| {
        at += rows * columns;
        lora.clone().narrow(0, at - rows * columns, rows * columns).reshape([rows, columns])
    };
    let layers = weights.into_iter().zip(RANKS).map(|(weight, rank)| {
        let [out, input] = weight.dims();
        let base = x.clone().matmul(weight.transpose());
        if rank == 0 {
            return base;
        }
        let (a, b) = (matrix(rank, input), matrix(out, rank));
        base + x.clone().matmul(a.transpose()).matmul(b.transpose()) * 1.7
    });
    Tensor::cat(layers.collect(), 1) + residual
}

#[test]
fn values_and_gradients_are_the_stock_ones() {
    let device = Device::flex();
    let total: usize = OUT.iter().zip(RANKS).map(|(out, rank)| rank * (INPUT + out)).sum();
    let (x, lora) = (random([TOKENS, INPUT], 1, &device), random([total], 2, &device));
    let residual = random([TOKENS, 16], 3, &device);
    let weights: Vec<Tensor<2>> =
        OUT.iter().map(|&out| random([out, INPUT], 4 + out as u64, &device)).collect();
    let target = random([TOKENS, 16], 5, &device);
    let run = |ours: bool| {
        let [x, residual] = [&x, &residual].map(|leaf| leaf.clone().autodiff().require_grad());
        let lora = lora.clone().autodiff().require_grad();
        let (weights, ranks) = (weights.clone(), RANKS.to_vec());
        let y = match ours {
            true => {
                let weights: Vec<Matrix> = weights.into_iter().map(Matrix::Dense).collect();
                let weights: Vec<&Matrix> = weights.iter().collect();
                lora_linears(
                    x.clone(),
                    &weights,
                    Some(lora.clone()),
                    Some(residual.clone()),
                    ranks,
                    1.7,
                    false,
                )
            }
            false => stock(
                x.clone(),
                weights.into_iter().map(Tensor::autodiff).collect(),
                lora.clone(),
                residual.clone(),
            ),
        };
        let gradients = (y.clone() * target.clone()).sum().backward();
        let of_lora = lora.grad(&gradients).unwrap().unsqueeze();
        [y.inner(), x.grad(&gradients).unwrap(), residual.grad(&gradients).unwrap(), of_lora]
    };
    for (ours, stock) in run(true).into_iter().zip(run(false)) {
        close(ours, stock, 1e-5);
    }
    let matrices: Vec<Matrix> = weights.iter().cloned().map(Matrix::Dense).collect();
    let matrices: Vec<&Matrix> = matrices.iter().collect();
    let plain = lora_linears(x.clone(), &matrices, Some(lora.clone()), None, RANKS.to_vec(), 1.7, false);
    close(plain, stock(x, weights, lora, residual.zeros_like()), 1e-5);
}

/// The browser's way, which elsewhere is not taken.
#[test]
fn packed_products_give_the_plain_values_and_gradients() {
    use burn::backend::ops::FloatTensorOps;
    use burn::tensor::TensorData;
    let tensor = |shape: &[usize], seed: usize| {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| ((i * 7 + seed * 3) as f32 * 0.61).sin()).collect();
        Flex::float_from_data(TensorData::new(values, shape.to_vec()), &Default::default())
    };
    let total: usize = OUT.iter().zip(RANKS).map(|(out, rank)| rank * (INPUT + out)).sum();
    let layers = Layers::<Flex> {
        weights: OUT.iter().map(|&out| Stored::Dense(tensor(&[out, INPUT], out))).collect(),
        lora: tensor(&[total], 1),
        ranks: RANKS.to_vec(),
        scale: 1.7,
        fp16: false,
    };
    let (x, grad, residual) =
        (tensor(&[TOKENS, INPUT], 2), tensor(&[TOKENS, 16], 3), tensor(&[TOKENS, 16], 4));
    let values = |tensor: FloatTensor<Flex>| tensor.to_contiguous().storage::<f32>().to_vec();
    let same = |a: FloatTensor<Flex>, b: FloatTensor<Flex>| {
        let (a, b) = (values(a), values(b));
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?}\n{b:?}");
    };
    let [output, low] = flex::forward(&x, &layers, Some(residual.clone()));
    let [plain_output, plain_low] = plain::forward::<Flex>(&x, &layers, Some(residual));
    same(output, plain_output);
    same(low.clone(), plain_low);
    let (for_x, for_lora) = flex::backward(&x, &layers, &low, &grad, true);
    let (plain_x, plain_lora) = plain::backward::<Flex>(&x, &layers, &low, &grad, true);
    same(for_x.unwrap(), plain_x.unwrap());
    same(for_lora, plain_lora);
}

/// Weights in blocks, of more rows than are numbers at a time, give what their numbers give.
#[test]
fn blocks_give_the_products_of_their_numbers() {
    use crate::kernels::blocks::BLOCK;
    use burn::backend::ops::{FloatTensorOps, IntTensorOps};
    use burn::tensor::TensorData;
    let (out, input, rank, tokens) = (650, 512, 2, 5);
    let tensor = |shape: &[usize], seed: usize| {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| ((i * 7 + seed * 3) as f32 * 0.61).sin()).collect();
        Flex::float_from_data(TensorData::new(values, shape.to_vec()), &Default::default())
    };
    let mut words = Vec::new();
    for i in 0..out * input / BLOCK {
        words.extend([0.002f32, -0.015].map(|number| number.to_bits() as i32));
        words.extend((0..4).map(|j| ((i * 4 + j) as u32).wrapping_mul(0x9e37_79b9) as i32));
    }
    let count = words.len();
    let words = Flex::int_from_data(TensorData::new(words, [count]), &Default::default());
    let blocks = Stored::<Flex>::Blocks { words, form: Form::Q4, shape: [out, input] };
    let dense = Stored::Dense(blocks.dense());
    let lora = tensor(&[rank * (input + out)], 1);
    let layers = |weight| Layers::<Flex> {
        weights: vec![weight],
        lora: lora.clone(),
        ranks: vec![rank],
        scale: 1.7,
        fp16: false,
    };
    let (blocks, dense) = (layers(blocks), layers(dense));
    let (x, grad) = (tensor(&[tokens, input], 2), tensor(&[tokens, out], 3));
    let same = |a: FloatTensor<Flex>, b: FloatTensor<Flex>| {
        let values = |tensor: FloatTensor<Flex>| tensor.to_contiguous().storage::<f32>().to_vec();
        let (a, b) = (values(a), values(b));
        assert_eq!(a.len(), b.len());
        let largest = b.iter().fold(0.0, |largest: f32, b| largest.max(b.abs()));
        let differs = a.iter().zip(&b).position(|(a, b)| (a - b).abs() > 1e-5 * largest);
        assert_eq!(differs, None);
    };
    let [output, low] = flex::forward(&x, &blocks, None);
    let [expected, _] = flex::forward(&x, &dense, None);
    same(output, expected.clone());
    same(plain::forward::<Flex>(&x, &blocks, None)[0].clone(), expected);
    let (for_x, for_lora) = flex::backward(&x, &blocks, &low, &grad, true);
    let (expected_x, expected_lora) = flex::backward(&x, &dense, &low, &grad, true);
    same(for_x.unwrap(), expected_x.unwrap());
    same(for_lora, expected_lora);
}
