/** What was trained, downloaded in the formats of other tools. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import {
  CHATS,
  at,
  chooseData,
  chooseModel,
  go,
  openPage,
  openTiny,
  set,
  startBrowser,
  startServer,
  status,
  zipEntries,
} from './setup.mjs';

let server, browser, page;

before(
  async () => {
    server = await startServer();
    browser = await startBrowser();
    page = await openPage(browser, `${server.url}?device=cpu`);
    await openTiny(page);
    await chooseData(page, 'cats.jsonl', CHATS);
    await set(page, { 'train.max_steps': 30, 'train.learning_rate': 0.005 });
    await at(page, 'start').click();
    await status(page, 'Finished');
  },
  { timeout: 1_800_000 },
);

after(async () => {
  await browser?.close();
  server?.stop();
});

/** The file that a button gives, whose size it says beforehand. */
async function download(name) {
  await go(page, 'export');
  const button = at(page, name);
  await button.and(page.locator(':enabled')).waitFor();
  const said = /\((.+)\)/.exec(await button.innerText())?.[1];
  const [file] = await Promise.all([page.waitForEvent('download'), button.click()]);
  return { said, name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
}

test('the adapter is downloaded as GGUF, for llama.cpp', async () => {
  const { said, name, bytes } = await download('download-gguf-lora');
  assert.match(name, /-lora-f16\.gguf$/);
  assert.equal(said, `${Math.round(bytes.length / 1000)} kB`);
  assert.equal(bytes.toString('latin1', 0, 4), 'GGUF');
  // A pair for each of seven layers in each of five blocks.
  assert.equal(bytes.readBigUInt64LE(8), 70n);
  const text = bytes.toString('latin1');
  for (const part of ['adapter.lora.alpha', 'blk.0.attn_q.weight.lora_a', 'blk.4.ffn_down.weight.lora_b']) {
    assert.ok(text.includes(part), part);
  }
  const usage = await at(page, 'gguf-usage').innerText();
  assert.ok(usage.includes(`llama-cli -m BASE.gguf --lora ${name}`), usage);
});

test('for Ollama there is a Modelfile beside the adapter or the whole model', async () => {
  const usage = at(page, 'ollama-usage').filter({ hasText: 'ollama create tuned -f Modelfile' });
  const adapter = await download('ollama-gguf-lora');
  let modelfile = await download('download-modelfile');
  assert.ok(modelfile.bytes.toString().includes(`\nADAPTER ./${adapter.name}\n`));
  await usage.waitFor();
  const whole = await download('ollama-merged-gguf');
  modelfile = await download('download-modelfile');
  assert.ok(modelfile.bytes.toString().startsWith(`FROM ./${whole.name}\n`));
  await usage.waitFor();
});

test('folders for mlx-lm and of merged files come as a zip', async () => {
  const mlx = await download('download-mlx');
  assert.deepEqual(zipEntries(mlx.bytes).sort(), ['adapter_config.json', 'adapters.safetensors']);
  assert.match(await at(page, 'mlx-usage').innerText(), /^mlx_lm\.generate --model .* --adapter-path \. /);
  const merged = await download('download-merged');
  const names = zipEntries(merged.bytes);
  for (const name of ['model.safetensors', 'config.json', 'tokenizer.json'])
    assert.ok(names.includes(name), `${name} is missing among ${names}`);
  // Stored, so the header of the weights lies in it as it is.
  assert.ok(merged.bytes.includes('"model.layers.0.self_attn.q_proj.weight"'));
});

test('the run is downloaded as a project for more GPUs', async () => {
  const { name, bytes } = await download('download-graduate');
  assert.equal(name, 'graduate.zip');
  // Nothing in the zip is compressed.
  const text = bytes.toString('latin1');
  for (const part of ['adapter/adapter_model.safetensors', 'data/train.jsonl', 'learning_rate: 0.005\n']) {
    assert.ok(text.includes(part), part);
  }
});

test('the merged model, opened by itself, has learned', async () => {
  const { name, bytes } = await download('download-merged-gguf');
  assert.match(name, /-tuned-Q8_0\.gguf$/);
  await chooseModel(page, name, bytes);
  await at(page, 'model-facts').filter({ hasText: 'Q8_0' }).waitFor();
  await go(page, 'try');
  await page.getByLabel('Prompt', { exact: true }).fill('Where is cat number 7?');
  await at(page, 'ask').click();
  await page.locator('article.base').filter({ hasText: 'sleeps on the roof.' }).waitFor();
  assert.deepEqual(page.thrown, []);
});
