/** A version of a lesson in an address: deflated JSON in base64url, so that no server need keep it. */
import { LoraletError } from '../engine/index.js';
import type { Row, Version } from './lesson.js';

/** Browsers and messengers take addresses of this length; longer ones are cut by some. */
export const LONGEST = 8192;
/** What an address may unfold into. */
const MOST_BYTES = 256 * 1024;

interface Packed extends Omit<Version, 'rows'> {
  version: 1;
  rows: [string, string][];
}

export async function pack({ fields, rows, settings }: Version): Promise<string> {
  const pairs = rows.map(({ prompt, completion }): [string, string] => [prompt, completion]);
  const packed: Packed = { version: 1, fields, settings, rows: pairs };
  const bytes = await through(
    new TextEncoder().encode(JSON.stringify(packed)),
    new CompressionStream('deflate-raw'),
  );
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(letters).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Rejects where the address was cut or changed on its way. */
export async function unpack(text: string): Promise<Version> {
  try {
    const letters = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    const json = await through(bytes, new DecompressionStream('deflate-raw'));
    return checked(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json)));
  } catch (cause) {
    const message = 'the class link is not whole; copy it again from where it was given to you';
    throw new LoraletError('unreadable', message, { key: 'class', cause });
  }
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  stream: CompressionStream | DecompressionStream,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let size = 0; ;) {
    const { done, value } = (await reader.read()) as ReadableStreamReadResult<Uint8Array<ArrayBuffer>>;
    if (done) break;
    size += value.length;
    if (size > MOST_BYTES) throw new Error('it unfolds into too much');
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function checked(value: unknown): Version {
  const { version, fields, settings, rows } = value as Packed;
  const areTexts = (texts: unknown[]) => texts.every((text) => typeof text === 'string');
  const isWhole =
    version === 1 &&
    areTexts(Object.values(fields)) &&
    Object.values(settings).every((setting) => typeof setting !== 'object' || setting === null) &&
    rows.length > 0 &&
    rows.every((row) => row.length === 2 && areTexts(row));
  if (!isWhole) throw new Error('it is not a version of a lesson');
  return { fields, settings, rows: rows.map(([prompt, completion]): Row => ({ prompt, completion })) };
}
