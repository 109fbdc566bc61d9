import { spawn } from 'node:child_process';
import { chmod, cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { mutated, type Mutant } from './mutant.ts';

/** A test that a fault keeps waiting has noticed it. */
const COMMAND_LIMIT_MS = 10 * 60_000;
const LEFT_OUT = new Set(['node_modules', '.git', '.cache', 'data']);
const SHOWN_CHARACTERS = 4_000;

export interface CommandEnd {
  readonly isPassed: boolean;
  readonly seconds: number;
  /** The end of what it printed. */
  readonly output: string;
}

/** A copy of the checkout in which faults do no harm. */
export interface Scratch {
  run(command: string): Promise<CommandEnd>;
  /** Runs a command while the fault is in the source. */
  runWith(mutant: Mutant, command: string): Promise<CommandEnd>;
  remove(): Promise<void>;
}

export async function createScratch(root: string): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-mutants-'));
  // Embedded PostgreSQL runs as another user, who must be able to read the test's files.
  await chmod(folder, 0o755);
  for (const entry of await readdir(root)) {
    if (LEFT_OUT.has(entry)) continue;
    const filter = (path: string): boolean => !LEFT_OUT.has(basename(path));
    await cp(join(root, entry), join(folder, entry), { recursive: true, filter });
  }
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  const run = (command: string): Promise<CommandEnd> => runIn(folder, command);
  return {
    run,
    async runWith(mutant, command) {
      const file = join(folder, mutant.file);
      const source = await readFile(file, 'utf8');
      await writeFile(file, mutated(source, mutant));
      try {
        return await run(command);
      } finally {
        await writeFile(file, source);
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function runIn(folder: string, command: string): Promise<CommandEnd> {
  const [program = '', ...args] = command.split(' ');
  const startedMs = performance.now();
  const path = `${join(folder, 'node_modules', '.bin')}:${process.env['PATH'] ?? ''}`;
  // A group of its own, so that a test's servers end with it.
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...process.env, PATH: path, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  const keep = (text: Buffer): void => {
    output = (output + text.toString('utf8')).slice(-SHOWN_CHARACTERS);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => killGroup(child.pid), COMMAND_LIMIT_MS);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      killGroup(child.pid);
      resolve({ isPassed: code === 0, seconds: (performance.now() - startedMs) / 1_000, output });
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // Nothing of the group is left.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
