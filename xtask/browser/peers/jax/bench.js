/** The step that bench.html of Loralet times, in jax-js and behind the same interface. */
import { defaultDevice, init, jit, numpy as np, tree, valueAndGrad } from '@jax-js/jax';
import { arrays, loss } from './llama.js';
import { readSafetensors } from './safetensors.js';

let ready;

globalThis.bench = async ({ workload, weightsUrl, steps, warmup }) => {
  ready ??= init('webgpu').then(() => defaultDevice('webgpu'));
  await ready;
  const weights = readSafetensors(await (await fetch(weightsUrl)).arrayBuffer());
  const { frozen, lora, batch } = arrays(workload, weights);
  const step = jit((state, frozen, batch) => trainStep(workload, state, frozen, batch));
  let state = { lora, mean: zerosLike(lora), square: zerosLike(lora), count: np.array(0) };

  const result = { losses: [], step_ms: [] };
  for (let i = 0; i < warmup + steps; i += 1) {
    const started = performance.now();
    const [lossNow, next] = step(state, tree.ref(frozen), tree.ref(batch));
    state = next;
    result.losses.push((await lossNow.data())[0]);
    if (i >= warmup) result.step_ms.push(performance.now() - started);
  }
  tree.dispose([state, frozen, batch]);
  step.dispose();
  return result;
};

function trainStep(workload, { lora, mean, square, count }, frozen, batch) {
  const [lossNow, gradient] = valueAndGrad((lora, frozen, batch) => loss(workload, lora, frozen, batch))(
    tree.ref(lora),
    frozen,
    batch,
  );
  return [lossNow, adamW(workload.adamw, { lora, mean, square, count: count.add(1) }, gradient)];
}

function adamW(settings, { lora, mean, square, count }, gradient) {
  const { lr, beta1, beta2, eps, weight_decay: decay } = settings;
  const average = (old, now, beta) => old.mul(beta).add(now.mul(1 - beta));
  // What is left of the zeros that the averages began with.
  const remainder = (beta) => np.exp(count.ref.mul(Math.log(beta)));
  mean = tree.map((old, now) => average(old, now, beta1), mean, tree.ref(gradient));
  square = tree.map((old, now) => average(old, np.square(now), beta2), square, gradient);
  lora = tree.map(
    (value, mean, square) => {
      const unbiased = mean.div(np.subtract(1, remainder(beta1)));
      const deviation = np.sqrt(square.div(np.subtract(1, remainder(beta2))));
      return value.mul(1 - lr * decay).sub(unbiased.div(deviation.add(eps)).mul(lr));
    },
    lora,
    tree.ref(mean),
    tree.ref(square),
  );
  return { lora, mean, square, count };
}

function zerosLike(values) {
  return tree.map((value) => np.zeros(value.shape), values);
}
