/** Parquet files as the trainer reads rows: JSON, a line a row. hyparquet reads them. */
import { parquetMetadata, parquetReadObjects, type CompressionCodec, type Compressors } from 'hyparquet';
import { decompress } from 'fzstd';
import { LoraletError } from '../errors.js';

/** What hyparquet has no codec of its own for: it knows snappy. */
const COMPRESSORS: Compressors = {
  ZSTD: (input, length) => decompress(input, new Uint8Array(length)),
};
const READABLE: CompressionCodec[] = ['UNCOMPRESSED', 'SNAPPY', 'ZSTD'];

/** A data file as the trainer reads it: a Parquet file, whatever it is called, as its rows in JSON, any other as it is. */
export function readable(name: string, bytes: Uint8Array): Promise<Uint8Array> | Uint8Array {
  const isParquet = String.fromCharCode(...bytes.subarray(0, 4)) === 'PAR1';
  return isParquet ? parquetRows(name, bytes) : bytes;
}

/** The rows of a file; rejects as `invalid_data`, with a sentence that names the file. */
export async function parquetRows(name: string, bytes: Uint8Array): Promise<Uint8Array> {
  const invalid = (reason: string, cause?: unknown) =>
    new LoraletError('invalid_data', `${name}: ${reason}`, { key: name, args: { file: name }, cause });
  const file = bytes.slice().buffer;
  try {
    const metadata = parquetMetadata(file);
    const columns = metadata.row_groups.flatMap((group) => group.columns);
    const codec = columns.map((column) => column.meta_data?.codec).find((codec) => !isReadable(codec));
    if (codec) {
      throw invalid(
        `is compressed with ${codec.toLowerCase()}, which is not read; save it with snappy or zstd, or as .jsonl`,
      );
    }
    const rows = await parquetReadObjects({ file, metadata, compressors: COMPRESSORS });
    return new TextEncoder().encode(rows.map((row) => `${JSON.stringify(row, plain)}\n`).join(''));
  } catch (error) {
    if (error instanceof LoraletError) throw error;
    const said = error instanceof Error ? error.message : String(error);
    throw invalid(`cannot be read as parquet (${said}); save it again, or as .jsonl`, error);
  }
}

function isReadable(codec: CompressionCodec | undefined): boolean {
  return codec === undefined || READABLE.includes(codec);
}

/** What JSON has no word for: whole numbers of 64 bits. One that JavaScript's numbers do not hold stays as it is written. */
function plain(_: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
}
