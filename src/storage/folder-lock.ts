import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { messageOf } from '../domain/errors.ts';

const heldHere = new Set<string>();
// A guard file this old was left behind by a crash in the few milliseconds that it exists.
const GUARD_STALE_MS = 10_000;

/**
 * Keeps a second process (or a second user in this one) out of a folder: PGlite does not, and two writers corrupt it.
 * Returns the release. A lock whose process is gone, or whose pid was given to another process since, is taken over.
 * @throws Error naming the pid that holds the folder
 */
export function lockFolder(folder: string): () => void {
  const path = join(resolve(folder), 'lock');
  if (heldHere.has(path)) throw held(folder, process.pid);
  mkdirSync(resolve(folder), { recursive: true });
  if (!createLock(path)) takeOver(folder, path);
  heldHere.add(path);
  return () => {
    heldHere.delete(path);
    rmSync(path, { force: true });
  };
}

function createLock(path: string): boolean {
  return createFile(path, JSON.stringify({ pid: process.pid, started: startOf(process.pid) }));
}

function takeOver(folder: string, path: string): void {
  const guard = `${path}.takeover`;
  if (ageOf(guard) > GUARD_STALE_MS) rmSync(guard, { force: true });
  if (!createFile(guard, String(process.pid)))
    throw new Error(`The folder ${folder} is being taken over by another process; try again`);
  try {
    const holder = readHolder(path);
    if (holder !== undefined && isAlive(holder)) throw held(folder, holder.pid);
    rmSync(path, { force: true });
    if (!createLock(path)) throw new Error(`The folder ${folder} was locked by another process just now`);
  } finally {
    rmSync(guard, { force: true });
  }
}

interface Holder {
  readonly pid: number;
  /** When the process started, in the kernel's ticks since boot: tells a reused pid. Null where the system does not say. */
  readonly started: string | null;
}

function readHolder(path: string): Holder | undefined {
  try {
    const { pid, started } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    return typeof pid === 'number' ? { pid, started: started ?? null } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.pid === process.pid) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const started = startOf(holder.pid);
  return holder.started === null || started === null || holder.started === started;
}

function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Fields after the command's name, which may hold spaces and parentheses; starttime is the 22nd of all.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function createFile(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    // On a full disk it is there by now, and empty: it would keep everybody out.
    rmSync(path, { force: true });
    throw new Error(`The folder ${dirname(path)} cannot be written to: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function ageOf(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

function held(folder: string, pid: number): Error {
  return new Error(
    `The folder ${folder} is in use by process ${pid}; only one process can open it. Stop that one first`,
  );
}
