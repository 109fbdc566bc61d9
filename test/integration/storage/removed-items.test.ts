import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operationId } from '../../../src/domain/ids.ts';
import type { Outcome } from '../../../src/domain/outcome.ts';
import type { Message } from '../../../src/domain/request.ts';
import type { ItemKeys, ServiceDefinition, WriteAction } from '../../../src/domain/service-definition.ts';
import { RemovedItems } from '../../../src/engine/compare/removed-items.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createKeyedWrites } from '../../../src/storage/journal/kept-replies.ts';
import { createSeal } from '../../../src/storage/seal.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { beginJournal, createJournalDatabase, present } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(async () => {
  await postgres.stop();
});

const ids = ({ fields }: Message): string[] => (fields['ids'] as (string | number)[]).map(String);
const keysOf: Readonly<Record<string, (request: Message) => ItemKeys>> = {
  delete_notes: (request) => ({ removed: ids(request) }),
  put_notes: (request) => ({ written: ids(request) }),
  clear_notes: () => ({ removesAll: true }),
};
const WRITE: WriteAction = {
  kind: 'write',
  owner: () => undefined,
  outcome: () => 'applied',
  reverse: 'exact',
  toOrchestrator: () => [],
};
const actions: ServiceDefinition['actions'] = Object.fromEntries(
  Object.entries(keysOf).map(([name, itemKeys]) => [
    name,
    { ...WRITE, itemKeys, ...(name === 'put_notes' && { onlyAdds: true as const }) },
  ]),
);

describe.each(DATABASES)('on %s', (kind) => {
  let database: Database;

  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });

  afterAll(async () => {
    await database.close();
  });

  test('items that writes removed and none restored are known from the journal', async () => {
    const seal = createSeal(Buffer.alloc(32, 7));
    const { journal, service, intent, laneOf } = beginJournal(database, seal);
    const write = async (
      owner: string,
      action: string,
      of: readonly (string | number)[],
      outcome?: Outcome,
    ) => {
      const asked = {
        ...intent(owner, JSON.stringify({ action, ids: of })),
        action,
        operationId: operationId(randomUUID()),
      };
      const state = present(await journal.append(asked));
      const ref = { laneId: state.id, lane: asked.lane, sequence: state.sequence };
      if (outcome !== undefined) await journal.recordOutcome({ ref, outcome });
    };
    await write('ann', 'put_notes', ['a', 'b', 'c', 4], 'applied');
    await write('ann', 'delete_notes', ['a', 'b', 4], 'applied');
    await write('ann', 'put_notes', ['b'], 'applied');
    await write('ann', 'delete_notes', ['c'], 'refused');
    await write('ann', 'delete_notes', ['d'], 'unknown');
    await write('ann', 'delete_notes', ['e']);
    await write('bob', 'delete_notes', ['f'], 'applied');
    await write('ann', 'something_else', ['g'], 'applied');
    const removed = new RemovedItems(
      new Map([[service, { definition: { actions } }]]),
      createKeyedWrites(database, seal),
    );
    expect(await removed.of(service, laneOf('ann'))).toEqual(new Set(['a', '4']));
    expect(await removed.of(service, laneOf('ann'), 2)).toEqual(new Set(['a', 'b', '4']));
    expect(await removed.of(service, laneOf('ann'), 1)).toEqual(new Set());
    expect(await removed.of(service, laneOf('bob'))).toEqual(new Set(['f']));
    expect(await removed.of(service, laneOf('eve'))).toEqual(new Set());
    await write('eve', 'put_notes', ['h', 'i'], 'applied');
    expect(await removed.of(service, laneOf('eve'))).toEqual(new Set());
    await write('eve', 'clear_notes', [], 'unknown');
    expect(await removed.of(service, laneOf('eve'))).toEqual(new Set());
    await write('eve', 'clear_notes', [], 'applied');
    await write('eve', 'put_notes', ['i', 'k'], 'applied');
    expect(await removed.of(service, laneOf('eve'))).toEqual(new Set(['h']));
  });

  test('a service whose writes have no keys is not queried', async () => {
    const { service, laneOf } = beginJournal(database);
    const asked: string[] = [];
    const writes = { appliedTo: async (lane: string) => (asked.push(lane), []) };
    const removed = new RemovedItems(new Map([[service, { definition: { actions: {} } }]]), writes);
    expect(await removed.of(service, laneOf('ann'))).toBeUndefined();
    expect(asked).toEqual([]);
  });
});
