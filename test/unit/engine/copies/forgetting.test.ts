import { describe, expect, test } from 'vitest';
import { positionOf } from '../../../../src/domain/lane.ts';
import type { OwnersAround, Retention } from '../../../../src/domain/retention.ts';
import type { LegacyItem, StoredMemory } from '../../../../src/domain/service-definition.ts';
import type { ListedMemory } from '../../../../src/engine/items/copy-plan.ts';
import { explainVanished } from '../../../../src/engine/copies/copy-judgement.ts';
import type { FirstApplied, LastApplied } from '../../../../src/engine/ports/journal-facts.ts';

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
  around?: OwnersAround;
  emptyBelow?: number;
  lastApplied?: LastApplied;
}) {
  const { forgotten, lost } = await explainVanished({
    context: { timeZone: 'UTC' },
    retention: facts.retention,
    source: { exists: facts.exists, items: facts.items ?? [] },
    vanished: facts.vanished.map((one) => one.memory),
    existing: facts.existing,
    lastApplied: async () => facts.lastApplied ?? { nowMs: NOW_MS },
    emptyBelow: facts.emptyBelow ?? 0,
    ownersAround: async () => facts.around,
  });
  return { forgotten: forgotten.map(({ memory_id }) => memory_id), lost: lost.map((one) => one.memory_id) };
}

describe('an owner that the primary no longer has', () => {
  const existing = [listed('a', agoMs(3 * HOUR_MS)), listed('b', agoMs(HOUR_MS))];
  const gone = { existing, vanished: existing, exists: false };
  const all = ['a', 'b'];
  const older = { before: 1, since: 100 };
  const youngest = { before: 100, since: 0 };
  const cases: readonly {
    name: string;
    retention: Retention;
    around?: OwnersAround;
    forgotten: readonly string[];
  }[] = [
    { name: 'idle for exactly as long as is kept', retention: { idleSeconds: 3_600 }, forgotten: all },
    { name: 'used a second too lately to be idle', retention: { idleSeconds: 3_601 }, forgotten: [] },
    {
      name: 'made so long ago, where use does not count',
      retention: { idleSeconds: 3 * 3_600, isProlongedByUse: false },
      forgotten: all,
    },
    {
      name: 'idle for long enough, and an older owner is still there',
      retention: { idleSeconds: 3_600 },
      around: older,
      forgotten: [],
    },
    {
      name: 'older than as many owners as are kept',
      retention: { owners: 100 },
      around: { before: 0, since: 100 },
      forgotten: all,
    },
    {
      name: 'older than nearly as many owners as are kept',
      retention: { owners: 100 },
      around: { before: 0, since: 90 },
      forgotten: all,
    },
    {
      name: 'older than few owners, among many older ones that were not loaded',
      retention: { owners: 100 },
      around: { before: 1_000, since: 89 },
      forgotten: [],
    },
    {
      name: 'newer than all that remain',
      retention: { owners: 100, idleSeconds: 3_600 },
      around: youngest,
      forgotten: [],
    },
    { name: 'one of a service that does not show the order', retention: { owners: 1 }, forgotten: [] },
    {
      name: 'nothing is forgotten by itself',
      retention: {},
      around: { before: 0, since: 1_000 },
      forgotten: [],
    },
    {
      name: 'only entries are forgotten, never owners',
      retention: { entries: 1 },
      around: { before: 0, since: 1_000 },
      forgotten: [],
    },
  ];
  test.each(cases)('$name', async ({ retention, around, forgotten }) => {
    const lost = all.filter((id) => !forgotten.includes(id));
    expect(await explain({ ...gone, retention, ...(around !== undefined && { around }) })).toEqual({
      forgotten,
      lost,
    });
  });
});

describe('an owner that came right after as many others as the service keeps', () => {
  const others = Date.parse(agoMs(10_000));
  const judged = (madeMs: number) => {
    const one = listed('one', new Date(madeMs).toISOString());
    return explainVanished({
      context: { timeZone: 'UTC' },
      retention: { owners: 100, idleSeconds: 3_600 },
      source: { exists: false, items: [] },
      vanished: [one.memory],
      existing: [one],
      lastApplied: async () => ({ nowMs: NOW_MS }),
      emptyBelow: 0,
      ownersAround: async (instant) =>
        others < Date.parse(instant) ? { before: 95, since: 0 } : { before: 0, since: 95 },
    });
  };

  test('was not pushed out by them', async () => {
    expect(await judged(others + 180)).toMatchObject({ forgotten: [], lost: [{ memory_id: 'one' }] });
  });

  test('was pushed out by them if it came before them', async () => {
    expect(await judged(others)).toMatchObject({ forgotten: [{ memory_id: 'one' }], lost: [] });
  });
});

describe('the time since which a service has an owner', () => {
  const asked = async (
    existing: readonly ListedMemory[],
    { kept, ...lastApplied }: LastApplied & { readonly kept?: readonly FirstApplied[] },
  ): Promise<string[]> => {
    const instants: string[] = [];
    const firstFrom = (from: number): Pick<LastApplied, 'first'> => {
      const first = kept?.find(({ sequence }) => sequence >= from);
      return first === undefined ? {} : { first };
    };
    await explainVanished({
      context: { timeZone: 'UTC' },
      retention: { owners: 1 },
      source: { exists: false, items: [] },
      vanished: existing.map((one) => one.memory),
      existing,
      lastApplied: async (_before, from = 0) => ({ ...lastApplied, ...firstFrom(from) }),
      emptyBelow: 0,
      ownersAround: async (instant) => {
        instants.push(instant);
        return undefined;
      },
    });
    return instants;
  };
  const at = (position: number, createdAt: string): ListedMemory => ({
    ...listed(`at ${position}`, createdAt),
    memory: memory(`at ${position}`, createdAt, position),
  });

  /** Its outcome was recorded two seconds after it was sent. */
  const firstAt = (sequence: number) => ({ sequence, atMs: NOW_MS - 88_000, sentMs: NOW_MS - 90_000 });

  test('is when its oldest item came', async () => {
    const items = [at(positionOf(2), agoMs(90_000)), at(positionOf(3), agoMs(0))];
    expect(await asked(items, { nowMs: NOW_MS, atMs: NOW_MS })).toEqual([agoMs(90_000)]);
  });

  test('is not before its first write was sent, even if the proxy’s clock was slow', async () => {
    const items = [at(positionOf(2), agoMs(HOUR_MS))];
    const lastApplied = { nowMs: NOW_MS, kept: [firstAt(2)], atMs: NOW_MS };
    expect(await asked(items, lastApplied)).toEqual([agoMs(90_000)]);
  });

  test('is not limited by the first kept write if an item is older', async () => {
    const items = [at(positionOf(2), agoMs(HOUR_MS)), at(positionOf(3), agoMs(HOUR_MS))];
    const lastApplied = { nowMs: NOW_MS, kept: [firstAt(3)], atMs: NOW_MS };
    expect(await asked(items, lastApplied)).toEqual([agoMs(HOUR_MS)]);
  });

  test('is not limited by a write of an earlier life of the owner', async () => {
    const earlier = { sequence: 1, atMs: NOW_MS - HOUR_MS / 2, sentMs: NOW_MS - HOUR_MS / 2 };
    const lastApplied = { nowMs: NOW_MS, kept: [earlier, firstAt(2)], atMs: NOW_MS };
    expect(await asked([at(positionOf(2), agoMs(HOUR_MS))], lastApplied)).toEqual([agoMs(90_000)]);
  });

  test('is not before an older item’s time on the service', async () => {
    const items = [at(positionOf(1) + 1, agoMs(90_000)), at(positionOf(2), agoMs(HOUR_MS))];
    expect(await asked(items, { nowMs: NOW_MS, atMs: NOW_MS })).toEqual([agoMs(90_000)]);
  });
});

describe('an owner of a service that counts from making or loading', () => {
  const MINUTE_MS = 60_000;
  const retention = { idleSeconds: 3_600, isProlongedByUse: false, takesLocalTimeForUtc: true };
  const explained = async (madeAgoMs: number, usedAgoMs: number, timeZone = 'UTC') => {
    const one = listed('one', agoMs(madeAgoMs));
    const { forgotten } = await explainVanished({
      retention,
      context: { timeZone },
      source: { exists: false, items: [] },
      vanished: [one.memory],
      existing: [one],
      lastApplied: async () => ({ nowMs: NOW_MS, atMs: NOW_MS - usedAgoMs }),
      emptyBelow: 0,
      ownersAround: async () => undefined,
    });
    return forgotten.length === 1;
  };

  test.each([
    ['made an hour ago and used until now', HOUR_MS, 0, 'UTC', true],
    ['used later than it could have been kept, so loaded again', 3 * HOUR_MS, 10 * MINUTE_MS, 'UTC', false],
    ['loaded again, and not used for an hour since', 3 * HOUR_MS, HOUR_MS, 'UTC', true],
    ['used within a minute of its end', HOUR_MS + MINUTE_MS, 0, 'UTC', true],
    ['kept nine hours in its zone, and gone after eight', 8 * HOUR_MS, 0, 'Asia/Manila', false],
    ['kept nine hours in its zone, and gone after them', 9 * HOUR_MS, 0, 'Asia/Manila', true],
    ['kept less long in its zone', HOUR_MS / 2, 0, 'America/New_York', false],
  ] as const)('%s', async (_, madeAgoMs, usedAgoMs, timeZone, isForgotten) => {
    expect(await explained(madeAgoMs, usedAgoMs, timeZone)).toBe(isForgotten);
  });
});

describe('the idle time of an owner is counted by the clock of the journal', () => {
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

  test('even if the proxy’s clock was an hour fast at the write', async () => {
    expect(await explained(delivered(agoMs(0)), HOUR_MS)).toEqual({ forgotten: ['d'], lost: [] });
    expect(await explained(delivered(agoMs(-HOUR_MS)), HOUR_MS - 1)).toEqual({ forgotten: [], lost: ['d'] });
  });

  test('and by the service’s own clock for copied items', async () => {
    const copied = listed('c', agoMs(0));
    expect(await explained(copied, HOUR_MS)).toEqual({ forgotten: [], lost: ['c'] });
  });
});

describe('an item that vanished from a list', () => {
  const old = listed('old', agoMs(HOUR_MS));
  const shown = [item(agoMs(2_000)), item(agoMs(1_000))];

  test('is forgotten if as many newer items are shown as the service keeps', async () => {
    const found = await explain({
      retention: { entries: 2 },
      existing: [old],
      vanished: [old],
      items: shown,
      exists: true,
    });
    expect(found).toEqual({ forgotten: ['old'], lost: [] });
  });

  test('is lost if fewer items are shown than the service keeps', async () => {
    const found = await explain({
      retention: { entries: 3 },
      existing: [old],
      vanished: [old],
      items: shown,
      exists: true,
    });
    expect(found).toEqual({ forgotten: [], lost: ['old'] });
  });

  test('is lost if both sides share no item and it is newer than clocks allow', async () => {
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

  test('is judged by its place, whatever clock gave it its time', async () => {
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

  test('is lost if its kind is not counted', async () => {
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

  test('is lost if only idle owners are forgotten and its owner still exists', async () => {
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

test('nothing is queried if nothing vanished', async () => {
  const found = await explainVanished({
    context: { timeZone: 'UTC' },
    retention: { owners: 1 },
    source: { exists: false, items: [] },
    vanished: [],
    existing: [],
    lastApplied: () => Promise.reject(new Error('the journal was asked')),
    emptyBelow: 0,
    ownersAround: () => Promise.reject(new Error('the service was asked')),
  });
  expect(found).toEqual({ forgotten: [], lost: [] });
});

describe('an owner that was created again', () => {
  const existing = [listed('of the earlier life', agoMs(HOUR_MS))];
  const begun = { existing, vanished: existing, exists: true, emptyBelow: positionOf(2) };

  test('has forgotten what retention could have removed before', async () => {
    expect(await explain({ ...begun, retention: { idleSeconds: 3_600 } })).toMatchObject({ lost: [] });
    const crowded = { retention: { owners: 100 }, around: { before: 0, since: 100 } };
    expect(await explain({ ...begun, ...crowded })).toMatchObject({ lost: [] });
  });

  test('has lost what retention could not have removed', async () => {
    for (const retention of [{}, { idleSeconds: 3_601 }, { owners: 100 }])
      expect(await explain({ ...begun, retention })).toMatchObject({ lost: ['of the earlier life'] });
  });
});

describe('an owner that legacy had forgotten while the orchestrator was the primary', () => {
  const sessions = { idleSeconds: 3_600, isProlongedByUse: false, owners: 100 };
  const lane = (id: string, sequence: number): ListedMemory => {
    const at = agoMs(sequence === 1 ? 2 * HOUR_MS : 10_000);
    return { memory: memory(id, at, positionOf(sequence)), fields: { kind: '"entry"' } };
  };
  const known = { existing: [lane('before', 1), lane('since', 7)], lastApplied: appliedUntil(7) };

  test('forgets also what was written since, which legacy never got', async () => {
    const gone = { ...known, vanished: known.existing, exists: false, retention: sessions };
    expect(await explain(gone)).toEqual({ forgotten: ['before', 'since'], lost: [] });
  });

  test('has lost what legacy got of a later life', async () => {
    const later = [...known.existing, lane('later', 8)];
    const gone = { ...known, existing: later, vanished: later, retention: sessions };
    for (const exists of [true, false])
      expect(await explain({ ...gone, exists })).toEqual({ forgotten: ['before', 'since'], lost: ['later'] });
  });

  test('is not asked for where no owner is ever forgotten', async () => {
    const gone = { ...known, vanished: known.existing, exists: false, retention: { entries: 9 } };
    expect(await explain(gone)).toEqual({ forgotten: [], lost: ['before', 'since'] });
  });

  function appliedUntil(forgottenThrough: number): LastApplied {
    const first = { sequence: 1, atMs: NOW_MS - 2 * HOUR_MS, sentMs: NOW_MS - 2 * HOUR_MS };
    return { nowMs: NOW_MS, first, atMs: NOW_MS - 10_000, forgottenThrough };
  }
});

describe('a write of unknown outcome that may have created the owner again', () => {
  const HALF_HOUR_MS = HOUR_MS / 2;
  const existing = [listed('old', agoMs(HALF_HOUR_MS))];
  const explainedWith = async (madeAgoMs: number, acceptedAgoMs: number) => {
    const { forgotten } = await explainVanished({
      context: { timeZone: 'UTC' },
      retention: { owners: 1 },
      source: {
        exists: true,
        items: [],
        session: { userId: 'u', metadata: '{}', createdAt: agoMs(madeAgoMs) },
      },
      vanished: existing.map((one) => one.memory),
      existing,
      lastApplied: async () => ({ nowMs: NOW_MS, atMs: NOW_MS - HALF_HOUR_MS }),
      emptyBelow: 0,
      beginnings: [{ below: positionOf(9), acceptedAtMs: NOW_MS - acceptedAgoMs }],
      ownersAround: async () => ({ before: 0, since: 1 }),
    });
    return forgotten.map(({ memory_id }) => memory_id);
  };

  test('explains earlier items if the service shows an owner created since', async () => {
    expect(await explainedWith(60_000, 60_000)).toEqual(['old']);
  });

  test('explains nothing if the owner was created before it', async () => {
    expect(await explainedWith(HOUR_MS, 60_000)).toEqual([]);
  });

  test('explains nothing that was written after the owner was created', async () => {
    expect(await explainedWith(HALF_HOUR_MS + 6_000, HALF_HOUR_MS + 6_000)).toEqual([]);
  });
});
