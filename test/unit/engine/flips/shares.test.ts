import { expect, test } from 'vitest';
import { cutoverBucket } from '../../../../src/domain/cutover-bucket.ts';
import { type LaneKey, laneKeyOf } from '../../../../src/domain/ids.ts';
import { flipVersion, type ShareParts, Shares } from '../../../../src/engine/flips/shares.ts';
import type { FlipShare } from '../../../../src/engine/ports/flip-ports.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import type { NotedShares } from '../../../../src/engine/ports/spill-ports.ts';
import { ownerNamed, recorder, SERVICE } from '../engine-parts.ts';

const VERSION = '1-own';
const MINUTE_MS = 60_000;

/** One service, whose flag requests a share of its lanes. */
function createShares({ known }: { readonly known?: FlipShare } = {}) {
  const row: { share: FlipShare | undefined } = { share: known };
  const facts = {
    asked: 0,
    atMost: 100 as number | undefined,
    calls: [] as string[],
    noted: {} as Readonly<Record<string, number>>,
    nowMs: 0,
  };
  const store: ShareParts['store'] = {
    shares: async () => new Map(row.share === undefined ? [] : [[SERVICE, row.share]]),
    async resize(_service, percentage, version) {
      facts.calls.push(`resize ${percentage}`);
      row.share = {
        number: (row.share?.number ?? 0) + 1,
        percentage,
        version: row.share?.version ?? version,
      };
    },
    async agree(_service, version) {
      facts.calls.push(`agree ${version}`);
    },
    hold: async () => undefined,
    lift: async () => false,
    held: async () => new Map(),
    nameFirst: async () => false,
    firstLane: async () => undefined,
  };
  const disk = {
    shares: { percentages: {}, atMs: 0 } as NotedShares,
    noteShares: async (shares: NotedShares) => {
      facts.noted = shares.percentages;
      disk.shares = shares;
    },
  };
  const { emit, events } = recorder();
  const shares = new Shares({
    store,
    versions: { [SERVICE]: VERSION },
    flags: { percentage: () => facts.asked },
    atMost: () => facts.atMost,
    disk,
    clock: { now: () => facts.nowMs, wallMs: () => facts.nowMs },
    emit,
  });
  return { shares, facts, row, disk, events };
}

const contains = (shares: Shares, key: LaneKey): boolean => shares.contains({ service: SERVICE, key });
const LANES = Array.from({ length: 200 }, (_, at) => laneKeyOf(SERVICE, ownerNamed(`owner-${at}`)));

test('nothing is shared, and no row is made, while the flag requests nothing', async () => {
  const { shares, facts } = createShares();
  await shares.follow();
  expect(facts.calls).toEqual([]);
  expect(shares.reported()).toEqual({});
  expect(LANES.some((lane) => contains(shares, lane))).toBe(false);
});

test('a share follows its flag, but no further than the interlocks permit', async () => {
  const { shares, facts, events } = createShares();
  Object.assign(facts, { asked: 60, atMost: 25 });
  await shares.follow();
  expect(shares.of(SERVICE)).toMatchObject({ number: 1, percentage: 25, version: VERSION });
  expect(shares.reported()).toEqual({ [SERVICE]: 1 });
  expect(events).toMatchObject([{ name: 'share:changed', event: { number: 1, percentage: 25 } }]);
  for (const lane of LANES) expect(contains(shares, lane)).toBe(cutoverBucket(SERVICE, lane) <= 25);
});

test('a share stays while it is not known what the interlocks permit', async () => {
  const { shares, facts } = createShares({ known: { number: 3, percentage: 40, version: VERSION } });
  facts.atMost = undefined;
  await shares.follow();
  expect(facts.calls).toEqual([]);
  facts.atMost = 0;
  await shares.follow();
  expect(facts.calls).toEqual(['resize 0']);
});

test('a share is noted on the disk before it is reported', async () => {
  const { shares, facts, disk } = createShares({ known: { number: 3, percentage: 40, version: VERSION } });
  facts.asked = 40;
  disk.noteShares = () => Promise.reject(new Error('the disk is full'));
  await expect(shares.follow()).rejects.toThrow('the disk is full');
  expect(shares.reported()).toEqual({});
});

test('a process that starts without the journal knows the lanes by its disk', () => {
  const { shares, disk } = createShares();
  disk.shares = { percentages: { [SERVICE]: 25 }, atMs: 0 };
  for (const lane of LANES) expect(contains(shares, lane)).toBe(cutoverBucket(SERVICE, lane) <= 25);
});

test('a raised flag counts for a process that starts with an older note', () => {
  const { shares, facts, disk } = createShares();
  disk.shares = { percentages: { [SERVICE]: 0 }, atMs: 0 };
  facts.asked = 60;
  for (const lane of LANES) expect(contains(shares, lane)).toBe(cutoverBucket(SERVICE, lane) <= 60);
});

test('an old note of a share proves nothing, because the share may be higher by now', () => {
  const { shares, facts, disk } = createShares();
  disk.shares = { percentages: { [SERVICE]: 10 }, atMs: 0 };
  facts.nowMs = 9 * MINUTE_MS - 1;
  expect(LANES.every((lane) => contains(shares, lane))).toBe(false);
  // The flag was raised and lowered meanwhile, and lanes beyond the note stay flipped.
  facts.asked = 20;
  facts.nowMs = 9 * MINUTE_MS;
  expect(LANES.every((lane) => contains(shares, lane))).toBe(true);
});

test('a note of the future proves nothing, because the clock was changed', () => {
  const { shares, disk } = createShares();
  disk.shares = { percentages: { [SERVICE]: 10 }, atMs: 1 };
  expect(LANES.every((lane) => contains(shares, lane))).toBe(true);
});

test('a replica that is cut off believes its share as long as others wait for it', async () => {
  const { shares, facts } = createShares({ known: { number: 3, percentage: 10, version: VERSION } });
  await shares.learn();
  facts.nowMs = 9 * MINUTE_MS - 1;
  expect(LANES.every((lane) => contains(shares, lane))).toBe(false);
  facts.nowMs = 9 * MINUTE_MS;
  expect(LANES.every((lane) => contains(shares, lane))).toBe(true);
});

test('a service whose lanes never moved keeps its writes, however old the note is', () => {
  const { shares, facts, disk } = createShares();
  disk.shares = { percentages: { [SERVICE]: 0 }, atMs: 0 };
  facts.nowMs = 24 * 60 * MINUTE_MS;
  expect(LANES.some((lane) => contains(shares, lane))).toBe(false);
});

test('the next process does not rely on the note of a replica that left', async () => {
  const { shares, facts, disk } = createShares({ known: { number: 3, percentage: 10, version: VERSION } });
  await shares.learn();
  await shares.leave();
  expect(facts.noted).toEqual({ [SERVICE]: 100 });
  const { shares: next, disk: same } = createShares();
  same.shares = disk.shares;
  expect(LANES.every((lane) => contains(next, lane))).toBe(true);
});

test('the note is written again every minute while lanes may move', async () => {
  const { shares, facts, disk } = createShares({ known: { number: 3, percentage: 10, version: VERSION } });
  await shares.learn();
  facts.nowMs = MINUTE_MS - 1;
  await shares.learn();
  expect(disk.shares.atMs).toBe(0);
  facts.nowMs = MINUTE_MS;
  await shares.learn();
  expect(disk.shares.atMs).toBe(MINUTE_MS);
});

test('a process that never learned the shares assumes that any lane is flipped', () => {
  const { shares } = createShares();
  expect(LANES.every((lane) => contains(shares, lane))).toBe(true);
});

test('that no lane may be flipped is noted as well', async () => {
  const { shares, facts } = createShares();
  await shares.learn();
  expect(facts.noted).toEqual({ [SERVICE]: 0 });
  expect(LANES.some((lane) => contains(shares, lane))).toBe(false);
});

test('a process with another version answers no write of a flipped lane', async () => {
  const { shares, facts } = createShares({ known: { number: 3, percentage: 0, version: '1-other' } });
  expect(shares.agrees(SERVICE)).toBe(true);
  await shares.follow();
  expect(shares.agrees(SERVICE)).toBe(false);
  expect(facts.calls).toEqual([`agree ${VERSION}`]);
});

test('the version changes with the definition', () => {
  const changed = { ...jarvisMemory, lanes: { ...jarvisMemory.lanes, sessionPrefix: 'other-' } };
  expect(flipVersion(changed)).not.toBe(flipVersion(jarvisMemory));
});
