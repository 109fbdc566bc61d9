import { expect, test } from 'vitest';
import { cutoverBucket } from '../../../../src/domain/cutover-bucket.ts';
import { type LaneKey, laneKeyOf } from '../../../../src/domain/ids.ts';
import { flipVersion, type ShareParts, Shares } from '../../../../src/engine/flips/shares.ts';
import type { FlipShare } from '../../../../src/engine/ports/flip-ports.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { ownerNamed, recorder, SERVICE } from '../engine-parts.ts';

const VERSION = '1-own';

/** One service, whose flag requests a share of its lanes. */
function createShares({ known }: { readonly known?: FlipShare } = {}) {
  const row: { share: FlipShare | undefined } = { share: known };
  const facts = {
    asked: 0,
    atMost: 100 as number | undefined,
    calls: [] as string[],
    noted: {} as Record<string, number>,
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
    shares: {} as Readonly<Record<string, number>>,
    noteShares: async (noted: Readonly<Record<string, number>>) => void (facts.noted = { ...noted }),
  };
  const { emit, events } = recorder();
  const shares = new Shares({
    store,
    versions: { [SERVICE]: VERSION },
    flags: { percentage: () => facts.asked },
    atMost: () => facts.atMost,
    disk,
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
  disk.shares = { [SERVICE]: 25 };
  for (const lane of LANES) expect(contains(shares, lane)).toBe(cutoverBucket(SERVICE, lane) <= 25);
});

test('a raised flag counts for a process that starts with an older note', () => {
  const { shares, facts, disk } = createShares();
  disk.shares = { [SERVICE]: 0 };
  facts.asked = 60;
  for (const lane of LANES) expect(contains(shares, lane)).toBe(cutoverBucket(SERVICE, lane) <= 60);
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
