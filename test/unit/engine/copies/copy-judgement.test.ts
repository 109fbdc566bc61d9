import { describe, expect, test } from 'vitest';
import { operationId, type Owner } from '../../../../src/domain/ids.ts';
import type { StoredMemory } from '../../../../src/domain/service-definition.ts';
import { judgeVanished } from '../../../../src/engine/copies/copy-judgement.ts';
import type { PendingWrite } from '../../../../src/engine/ports/ports.ts';
import type { ServiceRuntime } from '../../../../src/engine/ports/service-runtime.ts';
import { readJournaled } from '../../../../src/engine/copies/journaled-writes.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { laneNamed, SERVICE, writeOf } from '../engine-parts.ts';

const OWNER = 'ann' as Owner;

function memory(id: string): StoredMemory {
  return {
    memory_id: id,
    memory_type: 'context',
    content: '{}',
    tags: [],
    position: 1,
    created_at: '2026-01-01T00:00:00.000Z',
    source_agent: null,
  };
}

function judge(facts: {
  vanished: readonly string[];
  wasUncovered: boolean;
  covered?: readonly string[];
  unaccounted?: number;
  undecided?: readonly string[];
  listedLost?: readonly string[];
  isForgotten?: boolean;
}) {
  return judgeVanished({
    vanished: facts.vanished.map(memory),
    unaccounted: facts.unaccounted ?? 0,
    wasUncovered: facts.wasUncovered,
    covered: new Set(facts.covered),
    held: 10,
    removable: new Set<string>(),
    undecided: new Set(facts.undecided),
    listedLost: new Set(facts.listedLost),
    explain: async (gone) =>
      facts.isForgotten === true ? { forgotten: gone, lost: [] } : { forgotten: [], lost: gone },
  });
}

describe('an item that the primary no longer shows', () => {
  test('was deleted unseen where agents may have written unjournaled', async () => {
    const { deletes, lost, stop } = await judge({ vanished: ['a'], wasUncovered: true });
    expect([deletes.map(({ memory_id: id }) => id), lost, stop]).toEqual([['a'], [], undefined]);
  });

  test.each([
    ['agents may have deleted it unseen', { wasUncovered: true }],
    ['retention could explain it by now', { wasUncovered: false, isForgotten: true }],
    ['an unknown write may have named it', { wasUncovered: false, unaccounted: 2 }],
  ])('stays lost once it is listed as lost, although %s', async (_why, facts) => {
    const { deletes, forgotten, lost, stop } = await judge({
      ...facts,
      vanished: ['listed', 'other'],
      listedLost: ['listed'],
    });
    expect(lost.map(({ memory_id: id }) => id)).toEqual(['listed']);
    expect([...deletes, ...forgotten].map(({ memory_id: id }) => id)).toEqual(['other']);
    expect(stop).toBe('lost');
  });

  test('is lost even in a first copy if every replica journaled its write', async () => {
    const { deletes, lost, stop } = await judge({
      vanished: ['before', 'covered'],
      wasUncovered: true,
      covered: ['covered'],
    });
    expect(deletes.map(({ memory_id: id }) => id)).toEqual(['before']);
    expect(lost.map(({ memory_id: id }) => id)).toEqual(['covered']);
    expect(stop).toBe('lost');
  });

  test('stays and does not stop the copy while a decision is pending', async () => {
    const facts = { vanished: ['waits', 'new'], wasUncovered: false, undecided: ['waits'] };
    const { deletes, lost } = await judge(facts);
    expect([deletes, lost.map(({ memory_id: id }) => id)]).toEqual([[], ['new']]);
    expect(await judge({ ...facts, vanished: ['waits'] })).toMatchObject({ deletes: [], stop: undefined });
  });

  test('is not lost if a journaled delete may have meant it', async () => {
    const facts = { vanished: ['a'], wasUncovered: true, covered: ['a'], unaccounted: 1 };
    expect(await judge(facts)).toMatchObject({ lost: [], stop: undefined });
  });
});

describe('journaled writes of items that may be lost', () => {
  const lane = laneNamed('ann');
  const service = { name: SERVICE, definition: jarvisMemory, context: { timeZone: 'UTC' } } as ServiceRuntime;
  const write = (sequence: number, request: object, more: Partial<PendingWrite> = {}): PendingWrite => ({
    ...writeOf(lane, sequence),
    operationId: operationId(`00000000-0000-4000-8000-00000000000${sequence}`),
    action: 'add_memory',
    request: JSON.stringify({ action: 'add_memory', user_id: 'ann', ...request }),
    ...more,
  });
  const coveredBy = (...writes: readonly PendingWrite[]): number =>
    readJournaled({ service, owner: OWNER, writes, sequence: 9 }).covered.size;

  test('count applied writes that every replica journaled', () => {
    expect(coveredBy(write(1, { memory: 'a' }, { isCovered: true }))).toBe(1);
    expect(coveredBy(write(1, { memory: 'a' }))).toBe(0);
  });

  test('leave out a write of unknown outcome', () => {
    expect(coveredBy(write(1, { memory: 'a' }, { isCovered: true, isUncertain: true }))).toBe(0);
  });

  test('leave out items that a later journaled write deleted', () => {
    const clear = write(2, {}, { action: 'clear_memories' });
    expect(coveredBy(write(1, { memory: 'a' }, { isCovered: true }), clear)).toBe(0);
  });
});

describe('the journaled end of an owner', () => {
  const lane = laneNamed('ann');
  const context = { timeZone: 'UTC' };
  const service = { name: SERVICE, definition: sessionMemory, context } as ServiceRuntime;
  const write = (sequence: number, action: string, isUncertain = false): PendingWrite => ({
    ...writeOf(lane, sequence, JSON.stringify({ action, session_id: 'ann' })),
    action,
    isUncertain,
  });
  const endingOf = (...writes: readonly PendingWrite[]) =>
    readJournaled({ service, owner: OWNER, writes, sequence: 9 }).ending?.action;

  test('is the last delete, also one of unknown outcome', () => {
    expect(endingOf(write(1, 'create_session'), write(2, 'delete_session'))).toBe('end_session');
    expect(endingOf(write(1, 'delete_session', true), write(2, 'clear_session'))).toBe('end_session');
  });

  test('is taken back by a later creation that is certain', () => {
    expect(endingOf(write(1, 'delete_session'), write(2, 'create_session'))).toBeUndefined();
    expect(endingOf(write(1, 'delete_session'), write(2, 'create_session', true))).toBe('end_session');
  });

  test('is no clear of its items', () => {
    expect(endingOf(write(1, 'create_session'), write(2, 'clear_session'))).toBeUndefined();
  });
});
