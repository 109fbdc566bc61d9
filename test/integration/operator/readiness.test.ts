import { expect, test } from 'vitest';
import { StorageError } from '../../../src/domain/errors.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import type { LaneCounts } from '../../../src/engine/ports/journal-facts.ts';
import type { BackendLoad } from '../../../src/engine/ports/ports.ts';
import { readinessOf, type ReadinessParts } from '../../../src/compose/readiness.ts';
import { serviceWith } from '../../unit/engine/engine-parts.ts';

const IDLE = { inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' } as const;
const NAMES = [serviceName('session-memory'), serviceName('jarvis-memory')];

const COUNTS: LaneCounts = {
  lanes: 10,
  flipped: 0,
  legacyDiffers: 0,
  seeded: 7,
  dirty: 0,
  copying: 0,
  stopped: 0,
  excepted: 0,
  differs: 0,
  deadLetters: 0,
  unknown: 0,
  lostItems: 0,
  restored: 0,
};

function partsWith(counts: () => Promise<LaneCounts>, legacy: BackendLoad = IDLE): ReadinessParts {
  const load = (): BackendLoad => legacy;
  const runtimes = NAMES.map((name) => serviceWith({ name, legacy: { ...serviceWith().legacy, load } }));
  return {
    database: { query: () => Promise.resolve([]) },
    flags: { describe: () => ({ source: 'a file', fresh: true }), names: () => [] },
    migration: {
      spillStatus: () => undefined,
      mayWrite: () => true,
      backlog: () => ({ deliveries: 0, copies: 0, listings: 0, shadowReads: 0 }),
    },
    orchestrator: { load: () => IDLE },
    services: new Map(runtimes.map((runtime) => [runtime.name, runtime])),
    journal: { counts },
    ends: { states: { stateOf: () => 'open' } },
  };
}

test('lanes that need no person are ready without a message', async () => {
  const { lanes } = await readinessOf(partsWith(() => Promise.resolve(COUNTS)));
  expect(lanes).toEqual({ ok: true });
});

test('lanes that wait for a person are counted, and do not affect readiness', async () => {
  const waiting = { ...COUNTS, stopped: 1, excepted: 2, differs: 4, deadLetters: 3 };
  const parts = await readinessOf(partsWith(() => Promise.resolve(waiting)));
  expect(parts['lanes']).toEqual({
    ok: true,
    reason: '2 lanes stopped, 4 excepted, 8 different, 6 dead letters',
  });
  expect(Object.values(parts).every(({ ok }) => ok)).toBe(true);
});

test('counts that cannot be read add no message, because the journal reports that', async () => {
  const away = new StorageError('away', { effect: 'not_applied' });
  const { lanes } = await readinessOf(partsWith(() => Promise.reject(away)));
  expect(lanes).toEqual({ ok: true, reason: 'not known: the database does not answer' });
});

test('only a legacy service without a connection makes the proxy unready', async () => {
  const gone = { ...IDLE, isConnected: false };
  const parts = { ...partsWith(() => Promise.resolve(COUNTS), gone), orchestrator: { load: () => gone } };
  const reason = 'no connection to its endpoint';
  expect(await readinessOf(parts)).toMatchObject({
    'session-memory': { ok: false, reason },
    'jarvis-memory': { ok: false, reason },
    orchestrator: { ok: true, reason },
  });
});

test('a flag that may be misspelled adds a message', async () => {
  const parts = partsWith(() => Promise.resolve(COUNTS));
  const names = () => ['crossfade.session-memory.read-cutovr', 'somebody.elses'];
  const { flags } = await readinessOf({ ...parts, flags: { ...parts.flags, names } });
  expect(flags?.ok).toBe(true);
  expect(flags?.reason).toMatch(
    /crossfade\.session-memory\.read-cutover.*possibly typos: crossfade\.session-memory\.read-cutovr$/,
  );
});

test('a database that takes no heartbeats makes the proxy unready', async () => {
  const parts = partsWith(() => Promise.resolve(COUNTS));
  const { journal } = await readinessOf({
    ...parts,
    migration: { ...parts.migration, mayWrite: () => false },
  });
  expect(journal).toMatchObject({ ok: false, reason: expect.stringMatching(/takes no heartbeats/) });
});
