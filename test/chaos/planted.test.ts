import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

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

const ONE_ROUND = ['--rounds', '1', '--after', '0', '--only', 'reset-agents-first', '--json'];

describe('npm run chaos', { timeout: 120_000 }, () => {
  test('ends well where nothing is spoilt, and says so in one line', async () => {
    const { out, errors, code } = await chaos(ONE_ROUND);
    expect([code, errors]).toEqual([0, '']);
    expect(JSON.parse(out)).toMatchObject({
      rounds: 1,
      lost: 0,
      duplicated: 0,
      misordered: 0,
      resurrected: 0,
    });
  });

  test('a lost write that is planted ends it with 1, and it says which lane to look at and how far it came', async () => {
    const { out, errors, code } = await chaos([...ONE_ROUND, '--rounds', '2', '--plant', 'lost-write']);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ rounds: 1, lost: 1 });
    expect(errors).toContain('It ended after 1 of 2 rounds');
    expect(errors).toMatch(/Round 1 of seed 1 \(reset-agents-first\)/);
    expect(errors).toMatch(/lost: session-memory\/r1-\d: not on the orchestrator/);
    expect(errors).toContain('journal of session-memory/r1-');
  });

  test('an option that it does not know ends it before anything is started', async () => {
    const { errors, code } = await chaos(['--plant', 'nothing']);
    expect([code, errors]).toEqual([1, expect.stringContaining('--plant takes lost-write')]);
  });
});
