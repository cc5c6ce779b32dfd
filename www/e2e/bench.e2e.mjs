/** bench.html, as a harness uses it: the same steps on the CPU and on WebGPU, and what a step costs in calls. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { randomWeights } from '../../xtask/browser/weights.mjs';
import { openPage, SOFTWARE_WEBGPU, startBrowser, startServer } from './setup.mjs';

const WORKLOAD = {
  hidden: 32,
  layers: 2,
  heads: 4,
  kv_heads: 2,
  head_dim: 8,
  ffn: 48,
  vocab: 64,
  rope_theta: 10000,
  eps: 1e-5,
  batch: 2,
  seq: 16,
  lora: { r: 4, alpha: 8 },
  adamw: { lr: 0.02, beta1: 0.9, beta2: 0.95, eps: 1e-6, weight_decay: 0.01 },
};

let server, browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser(SOFTWARE_WEBGPU);
});
after(async () => {
  await browser?.close();
  server?.stop();
});

test('the steps are the same on the CPU and on WebGPU', async (t) => {
  const weights = randomWeights(WORKLOAD).toString('base64');
  const results = [];
  for (const query of ['?device=cpu', '']) {
    const page = await openPage(browser, `${server.url}bench.html${query}`);
    results.push(
      await page.evaluate(
        async ([workload, base64]) => {
          const calls = { dispatches: 0, submits: 0 };
          count(globalThis.GPUComputePassEncoder, 'dispatchWorkgroups', 'dispatches');
          count(globalThis.GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', 'dispatches');
          count(globalThis.GPUQueue, 'submit', 'submits');
          const weightsUrl = `data:application/octet-stream;base64,${base64}`;
          const run = async (steps) => {
            Object.assign(calls, { dispatches: 0, submits: 0 });
            return { ...(await globalThis.bench({ workload, weightsUrl, steps, warmup: 1 })), ...calls };
          };
          return { short: await run(1), long: await run(5) };

          function count(owner, method, key) {
            const original = owner?.prototype[method];
            if (!original) return;
            owner.prototype[method] = function (...args) {
              calls[key] += 1;
              return original.apply(this, args);
            };
          }
        },
        [WORKLOAD, weights],
      ),
    );
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  }
  const [cpu, gpu] = results;
  assert.equal(cpu.long.losses.length, 6);
  assert.equal(cpu.long.step_ms.length, 5);
  assert.ok(cpu.long.losses[5] < cpu.long.losses[0] - 0.05, `the loss falls: ${cpu.long.losses}`);
  cpu.long.losses.forEach((loss, i) => assert.ok(Math.abs(loss - gpu.long.losses[i]) < 1e-3 * loss));
  assert.equal(cpu.long.dispatches, 0);
  const perStep = (key) => (gpu.long[key] - gpu.short[key]) / 4;
  assert.ok(perStep('dispatches') > 0);
  t.diagnostic(`${perStep('dispatches')} dispatches and ${perStep('submits')} submits a step of 2 layers`);
});

test('single operations are timed and their calls counted', async () => {
  for (const query of ['?device=cpu', '']) {
    const page = await openPage(browser, `${server.url}bench.html${query}`);
    const workload = { ...WORKLOAD, hidden: 64, vocab: 128 };
    const { ops, calls, seconds } = await page.evaluate(async (workload) => {
      let calls = 0;
      const { prototype } = globalThis.GPUComputePassEncoder ?? { prototype: {} };
      const original = prototype.dispatchWorkgroups;
      prototype.dispatchWorkgroups = function (...args) {
        calls += 1;
        return original.apply(this, args);
      };
      const bench = await globalThis.benchOps({ workload });
      const ops = await bench.turn();
      calls = 0;
      const seconds = await bench.run(0, true, 3);
      bench.free();
      return { ops, calls, seconds };
    }, workload);
    assert.deepEqual(page.thrown, []);
    const names = ops.map((op) => op.name);
    for (const name of ['attention', 'head and loss', 'AdamW', 'gate, up in q4'])
      assert.ok(names.includes(name));
    assert.ok(ops.every(({ forward, a_step }) => forward.ms > 0 && (a_step === 0 || forward.flops > 0)));
    // Among a step's operations only the optimizer has no backward pass.
    assert.deepEqual(
      ops.filter((op) => op.a_step > 0 && !op.backward).map((op) => op.name),
      ['AdamW'],
    );
    assert.ok(seconds > 0);
    assert.ok(query ? calls === 0 : calls >= 6, `${calls} calls in three launches of a norm`);
    await page.context().close();
  }
});
