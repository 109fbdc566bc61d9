import { type FSWatcher, watch } from 'node:fs';
import { messageOf } from '../domain/errors.ts';
import { createDefinitionStore, shownFlags } from './definition-store.ts';
import { createEvaluation } from './evaluation.ts';
import type { Definitions } from './definitions.ts';
import { createFlagFolder, type FlagFolder } from './flag-folder.ts';
import { FlagHealth, type FlagSource, type FlagSourceListener } from './flag-source.ts';

interface OfflineFlagSettings extends FlagSourceListener {
  /** All its `*.json` files are read, in Unleash's client format: `{version: 2, features: [...], segments?: [...]}`. */
  readonly folder: string;
}

/** Polling finds changes on file systems that do not report them (network shares, some containers). */
const LOOK_EVERY_MS = 300;
/** Combines an editor's several events for one change into one read. */
const SETTLE_MS = 30;

/** Flags from files, evaluated like those of a server, but without a network. Changes take effect within 1 s. */
export function createOfflineFlags({ folder, ...listener }: OfflineFlagSettings): FlagSource {
  const store = createDefinitionStore();
  const { flags, unleash } = createEvaluation(store, {
    url: 'offline:flags',
    appName: 'crossfade',
    disableMetrics: true,
  });
  const files = createFlagFolder(folder);
  const health = new FlagHealth(listener, 'not read yet');
  const look = async (): Promise<void> => {
    const found = await lookAt(files);
    health.set(found.problem);
    if (found.definitions !== undefined) store.replace(found.definitions);
  };
  const looks = createLooks(folder, look);
  return {
    ...flags,
    async start() {
      const { definitions, problem } = await lookAt(files);
      // There are no earlier values to keep, and flags that are off by accident would end dual writes.
      if (problem !== undefined) throw unusable(folder, problem);
      health.set(undefined);
      if (definitions !== undefined) store.replace(definitions);
      looks.start();
    },
    async stop() {
      await looks.stop();
      unleash.destroy();
    },
    describe: () => ({ source: `files in ${folder}`, ...health.describe() }),
    names: () => store.getToggles().map(({ name }) => name),
    shown: (service) => shownFlags(store, service),
  };
}

/** Reads the flag files once, without watching them. Returns the names of the flags. @throws Error naming each unusable file */
export async function checkFlagFiles(folder: string): Promise<readonly string[]> {
  const { definitions, problem } = await lookAt(createFlagFolder(folder));
  if (problem !== undefined) throw unusable(folder, problem);
  return definitions?.features.map(({ name }) => name) ?? [];
}

function unusable(folder: string, problem: string): Error {
  return new Error(`the flag files in ${folder} cannot be used: ${problem}`);
}

interface Look {
  readonly definitions: Definitions | undefined;
  readonly problem: string | undefined;
}

async function lookAt(files: FlagFolder): Promise<Look> {
  try {
    const { definitions, isChanged, problems } = await files.scan();
    return {
      definitions: isChanged ? definitions : undefined,
      problem: problems.length === 0 ? undefined : problems.join('; '),
    };
  } catch (cause) {
    return { definitions: undefined, problem: messageOf(cause) };
  }
}

/** Reads soon after the folder reports a change, and at least every 300 ms; one read at a time. */
function createLooks(folder: string, look: () => Promise<void>): { start(): void; stop(): Promise<void> } {
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let watcher: FSWatcher | undefined;
  let isChanged = false;
  let isStopped = false;
  const lookIn = (ms: number): void => {
    clearTimeout(timer);
    if (!isStopped) timer = setTimeout(lookNow, ms).unref();
  };
  const lookNow = (): void => {
    isChanged = false;
    running = look().finally(() => {
      running = undefined;
      lookIn(isChanged ? SETTLE_MS : LOOK_EVERY_MS);
    });
  };
  const onChange = (): void => {
    // Only the first event since the last read starts the timer; otherwise constant changes would delay the read forever.
    if (!isChanged && running === undefined) lookIn(SETTLE_MS);
    isChanged = true;
  };
  return {
    start() {
      watcher = watchFolder(folder, onChange);
      lookIn(LOOK_EVERY_MS);
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      watcher?.close();
      await running;
    },
  };
}

function watchFolder(folder: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, changed);
    // The folder was removed; polling every 300 ms continues.
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
