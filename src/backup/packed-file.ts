import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';

/** What a packed file must be, to be the one that was written. */
export interface PackedFacts {
  readonly name: string;
  /** Of the file as it lies there, compressed. */
  readonly bytes: number;
  readonly sha256: string;
  /** Of what is packed in it. */
  readonly content_bytes: number;
  readonly content_sha256: string;
}

/** Only its owner may read what is in a backup: it is in clear. */
const PRIVATE = 0o600;

/** Writes a stream as a zstd file that is whole or not there. @throws Error of the file system; then nothing is left behind */
export async function pack(source: Readable | AsyncIterable<string>, path: string): Promise<PackedFacts> {
  const unfinished = `${path}.part`;
  const [content, packed] = [new Meter(), new Meter()];
  try {
    const file = createWriteStream(unfinished, { mode: PRIVATE, flags: 'wx', flush: true });
    await pipeline(source, content, createZstdCompress(), packed, file);
    await rename(unfinished, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  return {
    name: basename(path),
    bytes: packed.bytes,
    sha256: packed.digest(),
    content_bytes: content.bytes,
    content_sha256: content.digest(),
  };
}

/** What is wrong with a packed file; undefined where it is as it was written. What it holds goes to `sink` on the way. */
export async function unpack(
  folder: string,
  facts: PackedFacts,
  sink: (content: Readable) => Promise<unknown>,
): Promise<string | undefined> {
  const [packed, content] = [new Meter(), new Meter()];
  try {
    await pipeline(
      createReadStream(join(folder, facts.name)),
      packed,
      createZstdDecompress(),
      content,
      async (stream: AsyncIterable<Buffer>) => {
        await sink(Readable.from(stream));
      },
    );
  } catch (error) {
    return `${facts.name} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (packed.bytes !== facts.bytes)
    return `${facts.name} has ${packed.bytes} bytes instead of ${facts.bytes}`;
  if (packed.digest() !== facts.sha256)
    return `${facts.name} is not the file that was written: its SHA-256 differs`;
  if (content.digest() !== facts.content_sha256) return `${facts.name} holds something else than was written`;
  return undefined;
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Counts and digests what passes through. */
class Meter extends Transform {
  readonly #hash: Hash = createHash('sha256');
  bytes = 0;

  override _transform(chunk: Buffer, _: BufferEncoding, done: (error: null, chunk: Buffer) => void): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    done(null, chunk);
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }
}
