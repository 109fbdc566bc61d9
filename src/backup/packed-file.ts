import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';

/** The facts that identify a packed file. */
export interface PackedFacts {
  readonly name: string;
  /** Size of the compressed file. */
  readonly bytes: number;
  readonly sha256: string;
  /** Size of the content. */
  readonly content_bytes: number;
  readonly content_sha256: string;
}

/** Only the owner may read a backup, because it is not encrypted. */
const PRIVATE = 0o600;

/** Writes a stream as a zstd file, completely or not at all. @throws Error of the file system; then no file remains */
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

/** Unpacks a file into `sink`. Returns the problem with the file; undefined if it is intact. */
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
  if (packed.bytes !== facts.bytes) return `${facts.name} has ${packed.bytes} bytes, expected ${facts.bytes}`;
  if (packed.digest() !== facts.sha256) return `${facts.name} has changed: its SHA-256 differs`;
  if (content.digest() !== facts.content_sha256)
    return `${facts.name} has changed: the SHA-256 of its content differs`;
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

/** Counts and digests the bytes that pass through. */
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
