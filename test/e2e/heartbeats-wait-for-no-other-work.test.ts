import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { addInteraction, askOnce, freshSession } from '../support/session-agent.ts';
import { lockTable } from '../support/table-lock.ts';

let deployment: Deployment;
const folder = mkdtempSync(join(tmpdir(), 'crossfade-heartbeats-'));

const CONNECTIONS = 2;
const HEARTBEATS = 6;
/** One a second; of a connection that waits for the lock, one in ten seconds. */
const WITHIN_MS = 25_000;

beforeAll(async () => {
  deployment = await startDeployment({
    asked: { dualWrite: true, shadowRead: 0, readCutover: 0 },
    config: { journal: { folder, poolSize: CONNECTIONS } },
  });
});

afterAll(async () => {
  await deployment?.end();
  rmSync(folder, { recursive: true, force: true });
});

test('heartbeats continue while every journal connection waits for a lock', async () => {
  const lock = await lockTable(deployment.databaseUrl, 'lanes');
  const request = addInteraction(freshSession(), 'said while the journal waits');
  const reply = askOnce(deployment.endpoints['session-memory'], request);
  try {
    await eventually('no free connection', async () => (await lock.waiting()) >= CONNECTIONS);
    const beats = new Set<string>();
    const look = async (): Promise<boolean> => {
      const [row] = await deployment.journal<{ at: string }>('select heartbeat_at::text as at from replicas');
      beats.add(row?.at ?? '');
      return beats.size > HEARTBEATS;
    };
    await eventually('heartbeats', look, WITHIN_MS);
    expect(await lock.waiting()).toBeGreaterThanOrEqual(CONNECTIONS);
  } finally {
    await lock.release();
  }
  await reply;
});
