import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

async function chaos(args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  });
  const [out, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { out, errors, code: code as number };
}

/** Its line. A run that ended without one has said why. */
function resultOf({ out, errors }: { readonly out: string; readonly errors: string }): unknown {
  if (out === '') throw new Error(`it ended without a result:\n${errors}`);
  return JSON.parse(out);
}

/** Processes that it has started, and those that they have, as Linux tells. */
function descendantsOf(parent: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === parent)
    .map(Number);
  return children.flatMap((pid) => [pid, ...descendantsOf(pid)]);
}

function parentOf(pid: string): number {
  try {
    // Behind the program's name, which may hold anything: its state, and its parent.
    const [, , parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(')').at(-1)?.split(' ') ?? [];
    return Number(parent);
  } catch {
    return 0;
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const ONE_ROUND = ['--rounds', '1', '--after', '0', '--only', 'reset-agents-first', '--json'];

describe('npm run chaos', { timeout: 400_000 }, () => {
  test('ends with success if nothing is lost, and prints one line', async () => {
    const { code, ...said } = await chaos(ONE_ROUND);
    expect([code, said.errors]).toEqual([0, '']);
    const result = resultOf(said);
    expect(result).toMatchObject({
      rounds: 1,
      lost: 0,
      duplicated: 0,
      misordered: 0,
      resurrected: 0,
      points_missed: [],
    });
    const { flips, returns, reverse_sent: sent } = result as Record<string, number>;
    expect(Math.min(flips ?? 0, returns ?? 0, sent ?? 0)).toBeGreaterThan(0);
  });

  test('a planted lost write ends it with 1, and it names the lane and the round', async () => {
    const { code, ...said } = await chaos([...ONE_ROUND, '--rounds', '2', '--plant', 'lost-write']);
    const { errors } = said;
    expect(code).toBe(1);
    expect(resultOf(said)).toMatchObject({ rounds: 1, lost: 1 });
    expect(errors).toContain('It ended after 1 of 2 rounds');
    expect(errors).toMatch(/Round 1 of seed 1 \(reset-agents-first while \w+\)/);
    expect(errors).toMatch(/lost: session-memory\/r1-\d: not on the orchestrator/);
    expect(errors).toContain('journal of session-memory/r1-');
  });

  test.each([
    ['lost-reverse', { lost: 1 }, /lost: session-memory\/r\d-\d: not on legacy/],
    ['double-reverse', { duplicated: 1 }, /duplicated: session-memory\/r\d-\d: twice on legacy/],
    ['flip-without-drain', { lost: 1 }, /lost: session-memory\/r\d-\d: not on the orchestrator/],
  ])('a planted %s in a flipped lane ends it with 1', async (plant, counts, finding) => {
    const { code, ...said } = await chaos([...ONE_ROUND, '--rounds', '4', '--plant', plant]);
    expect(code).toBe(1);
    expect(resultOf(said)).toMatchObject(counts);
    expect(said.errors).toMatch(finding);
  });

  test.skipIf(process.platform !== 'linux')(
    'a signal ends it and every process that it started',
    async () => {
      const child = spawn(process.execPath, [MAIN, '--rounds', '50', '--only', 'reset-agents-first'], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, NODE_NO_WARNINGS: '1' },
      });
      let errors = '';
      child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
      const exited = once(child, 'exit');
      const children = await eventually('a program of its own', () => {
        const found = descendantsOf(child.pid ?? 0);
        return found.length > 2 && found;
      });
      child.kill('SIGTERM');
      expect(await exited).toEqual([1, null]);
      expect(errors).toContain('ended by SIGTERM');
      await eventually('the end of all of them', () => !children.some(isRunning));
    },
  );

  test('an option that it does not know ends it before anything is started', async () => {
    const { errors, code } = await chaos(['--plant', 'nothing']);
    expect([code, errors]).toEqual([1, expect.stringContaining('--plant takes lost-write')]);
  });
});
