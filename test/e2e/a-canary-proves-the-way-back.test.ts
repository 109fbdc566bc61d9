import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLegacyStores } from '../accept/stores.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';

const CANARY = 'crossfade-canary';
const SERVICES = ['contextual-memory', 'jarvis-memory', 'session-memory'];

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment();
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
});

afterAll(async () => {
  await deployment?.end();
});

async function proven(): Promise<readonly string[]> {
  const rows = await deployment.journal<{ service: string }>(
    `select service from reverse_proofs where by = 'canary' order by service`,
  );
  return rows.map(({ service }) => service);
}

test('nothing is written to legacy before moved writes are requested', async () => {
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(await proven()).toEqual([]);
  expect(readLegacyStores(deployment.legacyFolder).entries.has(CANARY)).toBe(false);
});

test('the canary proves each service, and leaves only what cannot be deleted', async () => {
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0, writeCutover: 1 });
  await eventually('a proof of each service', async () => (await proven()).length === SERVICES.length);
  expect(await proven()).toEqual(SERVICES);
  const { sessions, memories, entries, decisions } = readLegacyStores(deployment.legacyFolder);
  expect(sessions.has(CANARY)).toBe(false);
  expect(memories.get(CANARY) ?? []).toEqual([]);
  expect(entries.get(CANARY)).toHaveLength(1);
  expect(decisions.get(CANARY)).toHaveLength(1);
});

test('the canary is in no count and on no other store', async () => {
  const lanes = await deployment.journal<{ key: string }>(`select key from lanes where owner = '${CANARY}'`);
  expect(lanes).toEqual([]);
  const items = await deployment.store(`select 1 from memory_entries where session_id like '%${CANARY}%'`);
  expect(items).toEqual([]);
  for (const service of SERVICES) expect((await deployment.serviceStatus(service)).lanes.total).toBe(0);
});
