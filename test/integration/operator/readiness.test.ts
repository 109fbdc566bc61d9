import { expect, test } from 'vitest';
import { StorageError } from '../../../src/domain/errors.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import type { LaneCounts } from '../../../src/migration/journal-facts.ts';
import type { ServiceRuntime } from '../../../src/migration/service-runtime.ts';
import { readinessOf, type ReadinessParts } from '../../../src/proxy-readiness.ts';

const IDLE = { inFlight: 0, queued: 0, breaker: 'closed' } as const;
const NAMES = [serviceName('session-memory'), serviceName('jarvis-memory')];

const COUNTS: LaneCounts = {
  lanes: 10,
  seeded: 7,
  dirty: 0,
  copying: 0,
  stopped: 0,
  excepted: 0,
  deadLetters: 0,
  unknown: 0,
};

function partsWith(counts: () => Promise<LaneCounts>): ReadinessParts {
  const runtimes = NAMES.map((name) => [name, { name, legacy: { load: () => IDLE } }] as const);
  return {
    database: { query: () => Promise.resolve([]) },
    flags: { describe: () => ({ fresh: true }) },
    migration: {
      spillStatus: () => undefined,
      backlog: () => ({ deliveries: 0, copies: 0, listings: 0, shadowReads: 0 }),
    },
    orchestrator: { load: () => IDLE },
    services: new Map(runtimes as unknown as [(typeof NAMES)[number], ServiceRuntime][]),
    journal: { counts },
  };
}

test('lanes that wait for nobody are ready without a word', async () => {
  const { lanes } = await readinessOf(partsWith(() => Promise.resolve(COUNTS)));
  expect(lanes).toEqual({ ok: true });
});

test('stopped and excepted lanes and dead letters are counted over all services, and make nothing unready', async () => {
  const waiting = { ...COUNTS, stopped: 1, excepted: 2, deadLetters: 3 };
  const parts = await readinessOf(partsWith(() => Promise.resolve(waiting)));
  expect(parts['lanes']).toEqual({ ok: true, reason: '2 lanes stopped, 4 excepted, 6 dead letters' });
  expect(Object.values(parts).every(({ ok }) => ok)).toBe(true);
});

test('counts that cannot be read are no answer of their own: the journal says what is wrong', async () => {
  const away = new StorageError('away', { effect: 'not_applied' });
  const { lanes } = await readinessOf(partsWith(() => Promise.reject(away)));
  expect(lanes).toEqual({ ok: true, reason: 'not known: the database does not answer' });
});
