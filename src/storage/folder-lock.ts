import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { messageOf } from '../domain/errors.ts';

const heldHere = new Set<string>();
// A guard file exists for a few milliseconds only. An older one remained after a crash.
const GUARD_STALE_MS = 10_000;

/**
 * Locks a folder against a second process, or a second user in this one. PGlite does not lock it, and two writers corrupt it.
 * Returns the release. A lock is taken over if its process is gone, or its pid was reused.
 * @throws Error with the pid that uses the folder
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
    throw new Error(`Another process is taking over the folder ${folder}: try again`);
  try {
    const holder = readHolder(path);
    if (holder !== undefined && isAlive(holder)) throw held(folder, holder.pid);
    rmSync(path, { force: true });
    if (!createLock(path))
      throw new Error(
        `Another process has just locked the folder ${folder}: stop it first, or use another folder`,
      );
  } finally {
    rmSync(guard, { force: true });
  }
}

interface Holder {
  readonly pid: number;
  /** Start time of the process in the kernel's ticks since boot, to detect a reused pid. Null if the system does not report it. */
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
    // EPERM: the process is alive and belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const started = startOf(holder.pid);
  return holder.started === null || started === null || holder.started === started;
}

function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The fields after the command's name, which may contain spaces and parentheses. starttime is field 22.
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
    // On a full disk an empty lock file now exists. It would lock out every process.
    rmSync(path, { force: true });
    throw new Error(`Cannot write to the folder ${dirname(path)}: ${messageOf(error)}`, {
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
    `The folder ${folder} is in use by process ${pid}, and only one process can use it: stop that process first`,
  );
}
