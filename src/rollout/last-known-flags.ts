import { parseDefinitions, type Definitions } from './definitions.ts';
import { createFlagFolder } from './flag-folder.ts';

/** The store for a server's flags between two starts. */
export interface KeptFlags {
  /** The last saved text, with the wall-clock time of the server's last answer. */
  load(): Promise<{ readonly text: string; readonly readAtMs: number } | undefined>;
  save(text: string): Promise<void>;
  /** The server has confirmed that the saved flags are still valid. */
  confirm(): Promise<void>;
}

export interface LastKnown {
  readonly definitions: Definitions;
  readonly from: 'journal' | 'files';
  /** Milliseconds since the server sent them. Absent for files. */
  readonly ageMs?: number;
}

export interface LastKnownFlags {
  /** The flags for a start without the server; undefined if there are none. @throws Error if the journal cannot be read */
  find(): Promise<LastKnown | undefined>;
  /** Saves the server's answer in the background; `text` is absent if nothing has changed. */
  keep(text: string | undefined): void;
}

/** Larger answers are not saved; thousands of flags take a megabyte. */
const MOST_BYTES = 16 * 1024 * 1024;
/** How often an unchanged answer is recorded. */
const CONFIRM_EVERY_MS = 60_000;

/** The flags of the last run: from the journal, otherwise from a folder. */
export function createLastKnownFlags(kept: KeptFlags, folder: string): LastKnownFlags {
  let confirmedAtMs = -Infinity;
  let unsaved: string | undefined;
  let isKeeping = false;
  const keepNow = async (): Promise<void> => {
    const saved = unsaved;
    try {
      if (saved === undefined) await kept.confirm();
      else await kept.save(saved);
      if (unsaved === saved) unsaved = undefined;
      confirmedAtMs = performance.now();
    } catch {
      // The journal is away; the next answer tries to save again.
    }
  };
  return {
    async find() {
      const last = await kept.load();
      if (last === undefined) return ofFolder(folder);
      const ageMs = Math.max(0, Date.now() - last.readAtMs);
      return { definitions: parseDefinitions(last.text), from: 'journal', ageMs };
    },
    keep(text) {
      if (text !== undefined && Buffer.byteLength(text) <= MOST_BYTES) unsaved = text;
      const isDue = unsaved !== undefined || performance.now() - confirmedAtMs >= CONFIRM_EVERY_MS;
      if (isKeeping || !isDue) return;
      isKeeping = true;
      void keepNow().finally(() => (isKeeping = false));
    },
  };
}

/** A folder that is missing, empty or broken gives no flags. */
async function ofFolder(folder: string): Promise<LastKnown | undefined> {
  try {
    const { definitions, problems } = await createFlagFolder(folder).scan();
    return problems.length === 0 ? { definitions, from: 'files' } : undefined;
  } catch {
    return undefined;
  }
}
