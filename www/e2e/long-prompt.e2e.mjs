/**
 * A prompt of about 8,000 tokens for SmolLM2, on software WebGPU with its default limits and on the CPU. It takes minutes, so only
 * `cargo xtask test --long` has it; a test of the same sizes with small layers is in the suite.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SOFTWARE_WEBGPU, at, go, openPage, startBrowser, startServer } from './setup.mjs';

const SENTENCE = 'Once upon a time there was a cat who lived in the mill. ';
/** 14 tokens each; the model has 8,192 positions. */
const SENTENCES = 565;

let server, browser;
before(
  async () => {
    server = await startServer();
    browser = await startBrowser(SOFTWARE_WEBGPU);
  },
  { timeout: 1_800_000 },
);
after(async () => {
  await browser?.close();
  server?.stop();
});

async function answerOn(device) {
  const page = await openPage(browser, `${server.url}?device=${device}`);
  await go(page, 'model');
  await at(page, 'model-smollm2').click();
  await at(page, 'model-facts').waitFor({ timeout: 300_000 });
  await go(page, 'try');
  const section = page.locator('compare-section');
  await section.locator('details').evaluate((details) => (details.open = true));
  await section.locator('#temperature').fill('0');
  await section.locator('#length').fill('8');
  await section.locator('#prompt').fill(SENTENCE.repeat(SENTENCES));
  const begun = Date.now();
  await at(page, 'ask').click();
  await at(page, 'answer-base')
    .filter({ hasText: 'Cut at the most tokens allowed.' })
    .waitFor({ timeout: 3_600_000 });
  const answer = await at(page, 'answer-base').innerText();
  console.log(`${device}: ${((Date.now() - begun) / 1000).toFixed(0)} s: ${answer.replaceAll(/\s+/g, ' ')}`);
  assert.deepEqual(page.thrown, []);
  await page.context().close();
  return answer;
}

test('a prompt of 8,000 tokens is answered on WebGPU as on the CPU', { timeout: 7_200_000 }, async () => {
  assert.equal(await answerOn('webgpu'), await answerOn('cpu'));
});
