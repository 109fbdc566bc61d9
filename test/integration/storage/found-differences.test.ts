import { expect, test } from 'vitest';
import { operationId, serviceName, type LaneKey } from '../../../src/domain/ids.ts';
import { createAuditStore } from '../../../src/storage/audit.ts';
import { createDifferenceStore } from '../../../src/storage/differences.ts';
import { PLAIN } from '../../../src/storage/seal.ts';
import { onEachJournal } from './each-journal.ts';

const SERVICE = serviceName('session-memory');
const HOUR_MS = 3_600_000;
const laneOf = (owner: string): LaneKey => `${SERVICE}/${owner}` as LaneKey;

onEachJournal((database) => {
  test('differences are found by action, lane, cause and time, page by page', async () => {
    const store = createDifferenceStore({ database: database(), seal: PLAIN });
    const add = (owner: string, more: { action?: string; path?: string; agoHours?: number }) =>
      store.add({
        operationId: operationId('0d9b0c9e-0000-7000-8000-000000000001'),
        service: SERVICE,
        action: more.action ?? 'get_context',
        lane: laneOf(owner),
        primary: 'legacy',
        atMs: Date.now() - (more.agoHours ?? 0) * HOUR_MS,
        comparison: {
          verdict: 'mismatch',
          differences: [{ path: more.path ?? 'a', class: 'value', legacy: 'x', orchestrator: 'y' }],
          suppressed: 0,
        },
      });
    await add('ann', { agoHours: 30 });
    await add('bob', { path: 'b' });
    await add('ann', { action: 'search' });
    const owners = async (query: object, limit = 10): Promise<string[]> =>
      (await store.find(SERVICE, { limit, ...query })).map(({ lane }) => lane.split('/')[1] ?? '');
    expect(await owners({})).toEqual(['ann', 'bob', 'ann']);
    expect(await owners({ action: 'search' })).toEqual(['ann']);
    expect(await owners({ lane: laneOf('bob') })).toEqual(['bob']);
    expect(await owners({ path: 'b', class: 'value' })).toEqual(['bob']);
    expect(await owners({ class: 'order' })).toEqual([]);
    expect(await owners({ sinceMs: Date.now() - 24 * HOUR_MS })).toEqual(['ann', 'bob']);
    const [newest] = await store.find(SERVICE, { limit: 1 });
    expect(await owners({ before: newest?.id }, 1)).toEqual(['bob']);
  });

  test('audit entries are found by person and prefix of the command', async () => {
    const audit = createAuditStore(database());
    const entry = { service: 'filtered', reason: 'x', details: {} };
    await audit.add({ ...entry, person: 'guard', command: 'guard trip' });
    await audit.add({ ...entry, person: 'ann', command: 'guard release' });
    await audit.add({ ...entry, person: 'ann', command: 'flags set' });
    const commands = async (query: object): Promise<string[]> =>
      (await audit.recent({ limit: 10, service: 'filtered', ...query })).map(({ command }) => command);
    expect(await commands({ person: 'ann' })).toEqual(['flags set', 'guard release']);
    expect(await commands({ command: 'guard' })).toEqual(['guard release', 'guard trip']);
    expect(await commands({ command: 'guard', person: 'ann' })).toEqual(['guard release']);
  });
});
