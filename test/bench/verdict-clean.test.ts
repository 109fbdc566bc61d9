import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createStandIns, type StandIns } from '../../src/sandbox/stand-ins.ts';
import type { Dialogue } from '../accept/dialogues.ts';
import { freePorts } from '../support/ports.ts';
import { CleanRounds, type CleanPlan } from './verdict-clean.ts';
import { VerdictWatch } from './verdict-watch.ts';

const DIALOGUE: Dialogue = {
  id: 'one',
  vertical: 'Reminders',
  scenario: 'short',
  turns: [{ speaker: 'user', text: 'hello' }],
};

/** What GET /v1/guard says of the service. */
let steps: readonly string[] = [];
const guard = createServer((_request, response) => {
  const services = { 'session-memory': { findings: [{ trigger: 'latency_added', steps }] } };
  response.end(JSON.stringify({ services }));
});
const folder = mkdtempSync(join(tmpdir(), 'crossfade-clean-'));
let standIns: StandIns;
let plan: CleanPlan;

beforeAll(async () => {
  const [session = 0, healthPort = 0, contextual = 0, jarvis = 0] = await freePorts(4);
  standIns = createStandIns({
    'session-memory': {
      port: session,
      healthPort,
      dataFolder: folder,
      maxSessions: 1_000,
      cleanupSeconds: 3_600,
      fsync: false,
    },
    'contextual-memory': { port: contextual, dataFolder: folder, saveEveryMs: 60_000 },
    'jarvis-memory': { port: jarvis, dataFolder: folder, saveEveryMs: 60_000 },
  });
  await standIns.start();
  guard.listen(0, '127.0.0.1');
  await once(guard, 'listening');
  const at = (port: number): string => `tcp://127.0.0.1:${port}`;
  const world = {
    agents: { session: at(session), contextual: at(contextual), jarvis: at(jarvis) },
    httpUrl: `http://127.0.0.1:${(guard.address() as AddressInfo).port}`,
  } as CleanPlan['world'];
  plan = { world, watch: new VerdictWatch(), dialogues: [DIALOGUE], seed: 1, operations: 1, looksMs: 1 };
});

afterAll(async () => {
  guard.close();
  await standIns.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('while the guard drops shadow load, agents rest, then return at half the number', async () => {
  const rounds = new CleanRounds(plan);
  const dialoguesIn = async (now: readonly string[]): Promise<number> => {
    steps = now;
    let dialogues = 0;
    await rounds.next(() => (dialogues += 1));
    return dialogues;
  };
  expect(await dialoguesIn(['alert'])).toBe(64);
  expect(await dialoguesIn(['alert', 'drop_shadow_load'])).toBe(0);
  expect(rounds.trouble).toBe('the guard drops shadow load of session-memory for latency_added');
  expect(await dialoguesIn(['drop_shadow_load'])).toBe(0);
  // Two seconds are one rest.
  expect(await dialoguesIn([])).toBe(32);
  expect(rounds.trouble).toBe('');
  expect(await dialoguesIn([])).toBe(32);
  for (const dialogues of [16, 8, 4, 4]) {
    await dialoguesIn(['drop_shadow_load']);
    expect(await dialoguesIn([])).toBe(dialogues);
  }
  expect({ failed: rounds.failedCalls, errors: rounds.errors }).toEqual({ failed: 0, errors: [] });
}, 60_000);
