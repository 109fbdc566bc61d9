import { existsSync, statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from '../config/schema.ts';
import { StorageError } from '../domain/errors.ts';
import type { ReplicaIdentity } from '../engine/ports/replica-ports.ts';
import type { SpillEdges } from '../engine/spill/spill.ts';
import type { Part } from '../shared/parts.ts';
import type { Database } from '../storage/database.ts';
import type { Seal } from '../storage/seal.ts';
import { SpillFile } from '../storage/spill/spill-file.ts';
import { createSpillJournal } from '../storage/spill/spill-journal.ts';

const RETRY_MS = 1_000;

interface SpillFacts {
  readonly config: Config;
  readonly database: Database;
  readonly replica: ReplicaIdentity;
  readonly seal: Seal;
}

/** The policy for writes while the journal is away, as far as this proxy can follow it. */
interface Spilling {
  readonly edges: SpillEdges | undefined;
  /** Said at the start. */
  readonly policy: string;
  readonly part: Part;
  /** Whether an earlier process has used this journal. If so, agents are served although it is away. */
  readonly mayStartAway: () => boolean;
}

/** Where writes go while the journal is away: ../engine/README.md, "Spilling". */
export function createSpill(facts: SpillFacts): Spilling {
  const { database, replica, seal } = facts;
  const { spillFolder, spillLimitBytes } = facts.config.journal;
  const why = whyNot(facts);
  if (why !== undefined || spillFolder === undefined)
    return {
      edges: undefined,
      policy: `writes are rejected: ${why ?? 'no folder is configured'}`,
      part: { name: 'spill', start: async () => undefined, stop: async () => undefined },
      mayStartAway: () => false,
    };
  const store = new SpillFile({ folder: spillFolder, limitBytes: spillLimitBytes, seal });
  return {
    edges: { store, journal: createSpillJournal({ database, replica }) },
    policy: `writes go to legacy and to ${spillFolder}`,
    part: { name: 'spill', start: () => store.start(), stop: () => store.stop() },
    mayStartAway: () => store.hasHistory,
  };
}

function whyNot({ config: { journal }, database }: SpillFacts): string | undefined {
  if (journal.whenAway === 'reject') return 'journal.whenAway is reject';
  if (database.kind === 'pglite') return 'the embedded journal is away only with the process itself';
  if (journal.spillFolder === undefined) return 'journal.spillFolder is not set';
  return isInMemory(journal.spillFolder)
    ? `journal.spillFolder ${journal.spillFolder} is in memory and does not survive a restart of the machine`
    : undefined;
}

/** `statfs` of Linux for tmpfs and ramfs. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

function isInMemory(folder: string): boolean {
  let there = resolve(folder);
  while (!existsSync(there)) there = dirname(there);
  return IN_MEMORY.has(statfsSync(there).type);
}

/** The start of this part may be repeated later, because agents are served even without the database. */
export function startingLate(part: Part, mayBeLate: () => boolean): Part {
  const stopping = new AbortController();
  let trying: Promise<void> | undefined;
  let isStarted = false;
  const start = async (): Promise<void> => {
    await part.start();
    isStarted = true;
  };
  const tryAgain = async (): Promise<void> => {
    while (!stopping.signal.aborted && !isStarted) {
      await new Promise((done) => setTimeout(done, RETRY_MS));
      if (!stopping.signal.aborted) await start().catch(() => undefined);
    }
  };
  return {
    name: part.name,
    async start() {
      try {
        await start();
      } catch (error) {
        if (!(error instanceof StorageError) || !mayBeLate()) throw error;
        trying = tryAgain();
      }
    },
    async stop() {
      stopping.abort();
      await trying;
      await part.stop();
    },
  };
}
