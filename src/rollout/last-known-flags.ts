import { parseDefinitions, type Definitions } from './definitions.ts';
import { createFlagFolder } from './flag-folder.ts';

/** Where a server's flags are kept between two starts. */
export interface KeptFlags {
  /** What was saved last, with the wall-clock time of the server's last answer. */
  load(): Promise<{ readonly text: string; readonly readAtMs: number } | undefined>;
  save(text: string): Promise<void>;
  /** The server has answered that what was saved is still valid. */
  confirm(): Promise<void>;
}

export interface LastKnown {
  readonly definitions: Definitions;
  readonly from: 'journal' | 'files';
  /** Since the server gave them. Absent for files. */
  readonly ageMs?: number;
}

export interface LastKnownFlags {
  /** The flags for a start without the server. Undefined where there are none. @throws Error where the journal cannot be read */
  find(): Promise<LastKnown | undefined>;
  /** Keeps what the server has answered, in the background; `text` is absent where nothing has changed. */
  keep(text: string | undefined): void;
}

/** Larger answers are not kept: thousands of flags take a megabyte. */
const MOST_BYTES = 16 * 1024 * 1024;
/** How often an answer without changes is noted. */
const CONFIRM_EVERY_MS = 60_000;

/** The flags of the last run: those that the journal keeps, else those of a folder. */
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
      // The journal is away: what is unsaved is tried again with the next answer.
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
