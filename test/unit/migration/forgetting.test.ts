import { describe, expect, test } from 'vitest';
import { positionOf } from '../../../src/domain/lane.ts';
import type { LegacyItem, Retention, StoredMemory } from '../../../src/domain/service-definition.ts';
import type { ListedMemory } from '../../../src/migration/copies/copy-plan.ts';
import { explainVanished } from '../../../src/migration/copies/forgetting.ts';
import type { LastApplied } from '../../../src/migration/journal-facts.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = Date.parse('2026-01-01T12:00:00.000Z');
const agoMs = (ms: number): string => new Date(NOW_MS - ms).toISOString();

function memory(id: string, createdAt: string, position = 1): StoredMemory {
  return {
    memory_id: id,
    memory_type: 'context',
    content: '{}',
    tags: [],
    position,
    created_at: createdAt,
    source_agent: null,
  };
}

function listed(id: string, createdAt: string, kind = 'entry'): ListedMemory {
  return { memory: memory(id, createdAt), fields: { kind: JSON.stringify(kind) } };
}

function item(at: string, kind = 'entry'): LegacyItem {
  return { fields: { kind: JSON.stringify(kind) }, timestamp: at, at };
}

async function explain(facts: {
  retention: Retention;
  existing: readonly ListedMemory[];
  vanished: readonly ListedMemory[];
  items?: readonly LegacyItem[];
  exists: boolean;
  owners?: number;
  emptyBelow?: number;
  lastApplied?: LastApplied;
}) {
  const { forgotten, lost } = await explainVanished({
    retention: facts.retention,
    source: { exists: facts.exists, items: facts.items ?? [] },
    vanished: facts.vanished.map((one) => one.memory),
    existing: facts.existing,
    lastApplied: async () => facts.lastApplied ?? { nowMs: NOW_MS },
    emptyBelow: facts.emptyBelow ?? 0,
    ownerCount: async () => facts.owners ?? 1,
  });
  return { forgotten: forgotten.map(({ memory_id }) => memory_id), lost: lost.map((one) => one.memory_id) };
}

describe('an owner that the primary no longer knows', () => {
  const existing = [listed('a', agoMs(3 * HOUR_MS)), listed('b', agoMs(HOUR_MS))];
  const gone = { existing, vanished: existing, exists: false };
  const all = ['a', 'b'];
  const cases: readonly {
    name: string;
    retention: Retention;
    owners?: number;
    forgotten: readonly string[];
  }[] = [
    { name: 'idle for exactly as long as is kept', retention: { idleSeconds: 3_600 }, forgotten: all },
    { name: 'used a second too lately to be idle', retention: { idleSeconds: 3_601 }, forgotten: [] },
    { name: 'one of too many', retention: { owners: 100 }, owners: 100, forgotten: all },
    { name: 'one of nearly too many', retention: { owners: 100 }, owners: 90, forgotten: all },
    { name: 'one of few', retention: { owners: 100 }, owners: 89, forgotten: [] },
    { name: 'nothing is forgotten by itself', retention: {}, owners: 1_000, forgotten: [] },
    {
      name: 'only entries are forgotten, never owners',
      retention: { entries: 1 },
      owners: 1_000,
      forgotten: [],
    },
  ];
  test.each(cases)('$name', async ({ retention, owners, forgotten }) => {
    const lost = all.filter((id) => !forgotten.includes(id));
    expect(await explain({ ...gone, retention, ...(owners !== undefined && { owners }) })).toEqual({
      forgotten,
      lost,
    });
  });
});

describe('how long an owner was idle is told by the journal’s clock', () => {
  const retention = { idleSeconds: 3_600 };
  const delivered = (createdAt: string): ListedMemory => ({
    ...listed('d', createdAt),
    memory: memory('d', createdAt, positionOf(3)),
  });
  const explained = (one: ListedMemory, lastAppliedAgoMs: number) =>
    explain({
      retention,
      existing: [one],
      vanished: [one],
      exists: false,
      lastApplied: { nowMs: NOW_MS, atMs: NOW_MS - lastAppliedAgoMs },
    });

  test('where the proxy’s was an hour fast when it took the write', async () => {
    expect(await explained(delivered(agoMs(0)), HOUR_MS)).toEqual({ forgotten: ['d'], lost: [] });
    expect(await explained(delivered(agoMs(-HOUR_MS)), HOUR_MS - 1)).toEqual({ forgotten: [], lost: ['d'] });
  });

  test('and by the service’s own for what was copied from it', async () => {
    const copied = listed('c', agoMs(0));
    expect(await explained(copied, HOUR_MS)).toEqual({ forgotten: [], lost: ['c'] });
  });
});

describe('an item that vanished from a list', () => {
  const old = listed('old', agoMs(HOUR_MS));
  const shown = [item(agoMs(2_000)), item(agoMs(1_000))];

  test('is forgotten where as many newer ones are shown as are kept', async () => {
    const found = await explain({
      retention: { entries: 2 },
      existing: [old],
      vanished: [old],
      items: shown,
      exists: true,
    });
    expect(found).toEqual({ forgotten: ['old'], lost: [] });
  });

  test('is lost where fewer are shown than are kept', async () => {
    const found = await explain({
      retention: { entries: 3 },
      existing: [old],
      vanished: [old],
      items: shown,
      exists: true,
    });
    expect(found).toEqual({ forgotten: [], lost: ['old'] });
  });

  test('is lost where nothing is shown on both sides and it is newer, beyond what two clocks may differ', async () => {
    const newer = listed('newer', agoMs(2_000 - 5_001));
    const within = listed('within', agoMs(2_000 - 5_000));
    const found = await explain({
      retention: { entries: 2 },
      existing: [newer, within],
      vanished: [newer, within],
      items: shown,
      exists: true,
    });
    expect(found).toEqual({ forgotten: ['within'], lost: ['newer'] });
  });

  test('is told by its place, whatever the clock said that gave it its time', async () => {
    const [before, common, after] = [
      { ...listed('before', agoMs(-HOUR_MS)), fields: { kind: '"other"' } },
      { ...listed('common', agoMs(2 * HOUR_MS)), memory: memory('common', agoMs(2 * HOUR_MS), 2) },
      { ...listed('after', agoMs(2 * HOUR_MS)), memory: memory('after', agoMs(2 * HOUR_MS), 3) },
    ];
    const found = await explain({
      retention: { entries: 2 },
      existing: [before, common, after],
      vanished: [before, after],
      items: shown,
      exists: true,
    });
    expect(found).toEqual({ forgotten: ['before'], lost: ['after'] });
  });

  test('is lost where its kind is not counted', async () => {
    const decision = listed('decision', agoMs(HOUR_MS), 'decision');
    const found = await explain({
      retention: { entries: 2, counts: ({ kind }) => kind === '"entry"' },
      existing: [old, decision],
      vanished: [old, decision],
      items: [...shown, item(agoMs(0), 'decision')],
      exists: true,
    });
    expect(found).toEqual({ forgotten: ['old'], lost: ['decision'] });
  });

  test('is lost where only idle owners are forgotten and the owner is still there', async () => {
    const found = await explain({
      retention: { idleSeconds: 1 },
      existing: [old],
      vanished: [old],
      items: shown,
      exists: true,
    });
    expect(found).toEqual({ forgotten: [], lost: ['old'] });
  });
});

test('owners are not counted where nothing vanished', async () => {
  const found = await explainVanished({
    retention: { owners: 1 },
    source: { exists: false, items: [] },
    vanished: [],
    existing: [],
    lastApplied: () => Promise.reject(new Error('the journal was asked')),
    emptyBelow: 0,
    ownerCount: () => Promise.reject(new Error('the service was asked')),
  });
  expect(found).toEqual({ forgotten: [], lost: [] });
});

test('an owner that begins again has forgotten what lies before its new beginning, whatever the retention says', async () => {
  const existing = [listed('of the earlier life', agoMs(1_000))];
  const facts = { retention: {}, existing, vanished: existing, exists: true };
  expect(await explain({ ...facts, emptyBelow: 2 })).toEqual({
    forgotten: ['of the earlier life'],
    lost: [],
  });
  expect(await explain({ ...facts, emptyBelow: 1 })).toEqual({
    forgotten: [],
    lost: ['of the earlier life'],
  });
});
