import { access, open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ConnectionError, messageOf } from '../domain/errors.ts';
import { parseTolerantly } from '../domain/json.ts';
import type { Clock } from '../engine/ports/ports.ts';

/** How long a file may be found half-written, milliseconds. */
const PATIENCE_MS = 1_000;
const PAUSE_MS = 40;
const NOTHING_STORED = '{}';

/**
 * Reads a JSON file that its service rewrites in place while we look. Empty, cut off or changed while it was read: it is
 * read again, and never taken as empty. It is read each time: a rewrite within one tick of the file's clock must not be missed.
 */
export function createJsonFileReader(path: string, clock: Clock): () => Promise<string> {
  let lastWhole: string | undefined;

  async function readWhole(): Promise<string> {
    const text = await readUnchanged(path);
    // Parsing is only for the proof that nothing is missing.
    if (text !== lastWhole) parseTolerantly(text);
    lastWhole = text;
    return text;
  }

  return async () => {
    const endAtMs = clock.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await readWhole();
      } catch (error) {
        if (clock.now() >= endAtMs) throw unreadable(path, error);
      }
      await clock.sleep(PAUSE_MS);
    }
  };
}

/** A service writes its file with its first entry: where only the folder is there, nothing was stored yet. */
async function openOrNothing(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await access(dirname(path));
    return undefined;
  }
}

/** @throws Error where the file changed meanwhile */
async function readUnchanged(path: string): Promise<string> {
  const file = await openOrNothing(path);
  if (file === undefined) return NOTHING_STORED;
  try {
    const before = await file.stat({ bigint: true });
    const text = await file.readFile('utf8');
    const after = await file.stat({ bigint: true });
    if (before.mtimeNs !== after.mtimeNs || before.size !== after.size) {
      throw new Error('it changed while it was read');
    }
    return text;
  } finally {
    await file.close();
  }
}

function unreadable(path: string, cause: unknown): ConnectionError {
  // The parser's message quotes the text.
  const why = cause instanceof SyntaxError ? 'it is empty or not whole JSON' : messageOf(cause);
  return new ConnectionError(`${path} could not be read during ${PATIENCE_MS} ms: ${why}`, {
    effect: 'not_applied',
    reason: 'unreadable',
    cause: cause instanceof SyntaxError ? undefined : cause,
  });
}
