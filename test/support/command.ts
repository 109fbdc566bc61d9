import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { COMPILE_CACHE } from './processes.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `crossfade <args>` to its end, without a terminal. */
export function runCommand(args: readonly string[]): Promise<CommandResult> {
  return new Promise((resolve) => {
    const env = { NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env, NODE_NO_WARNINGS: '1' };
    execFile(
      process.execPath,
      [MAIN, ...args],
      { env, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code ?? 1);
        resolve({ code, stdout, stderr });
      },
    );
  });
}

/** The last line that a command printed, which with --json is its result. */
export function resultOf<Result>({ stdout, stderr }: CommandResult): Result {
  const line = stdout.trim().split('\n').at(-1) ?? '';
  try {
    return JSON.parse(line) as Result;
  } catch {
    throw new Error(`no JSON at the end of:\n${stdout}\n${stderr}`);
  }
}
