import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FlagSource } from '../../../src/rollout/flag-source.ts';
import { createOfflineFlags } from '../../../src/rollout/offline.ts';
import { contextOf, cutover, definitions, feature, SERVICE } from './flag-builder.ts';

const OWNERS = Array.from({ length: 2_000 }, (_, index) => `s-${index}`);

let folder: string;
let running: FlagSource[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-flags-'));
  running = [];
});

afterEach(async () => {
  for (const flags of running) await flags.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function flagsWith(strategies: readonly object[]): Promise<FlagSource> {
  writeFileSync(join(folder, 'crossfade.json'), definitions([feature('read-cutover', { strategies })]));
  const flags = createOfflineFlags({ folder, onProblem: () => undefined });
  running.push(flags);
  await flags.start();
  return flags;
}

const lanesIn = (flags: FlagSource, atMost?: number): string[] =>
  OWNERS.filter(
    (owner) =>
      flags.isEnabled('read-cutover', contextOf(owner, atMost === undefined ? {} : { atMost })).enabled,
  );

test('a flag at 80 % capped at 25 % selects the same lanes as a flag at 25 %', async () => {
  const asked = await flagsWith([cutover(80)]);
  const capped = lanesIn(asked, 25);
  const plain = lanesIn(await flagsWith([cutover(25)]));
  expect(capped).toEqual(plain);
  expect(capped.length / OWNERS.length).toBeGreaterThan(0.2);
});

test.each([
  [33.3, 33],
  [0.5, 0],
  [99.9, 99],
])('a flag at %s % selects, and shows, the same as one at %s %', async (fractional, whole) => {
  const flags = await flagsWith([cutover(fractional)]);
  expect(flags.percentage('read-cutover', SERVICE)).toBe(whole);
  expect(lanesIn(flags)).toEqual(lanesIn(await flagsWith([cutover(whole)])));
  expect(lanesIn(flags, whole)).toEqual(lanesIn(flags));
});

test('a cap above the request has no effect, a cap of 0 selects nothing', async () => {
  const flags = await flagsWith([cutover(50)]);
  const all = lanesIn(flags);
  expect(lanesIn(flags, 60)).toEqual(all);
  expect(lanesIn(flags, 0)).toEqual([]);
  expect(lanesIn(flags)).toEqual(all);
});

test('a flag without a strategy is capped by share of lanes too', async () => {
  for (const strategies of [[], [{ name: 'default', parameters: {} }]]) {
    const flags = await flagsWith(strategies);
    expect(lanesIn(flags)).toHaveLength(OWNERS.length);
    const share = lanesIn(flags, 10).length / OWNERS.length;
    expect(share).toBeGreaterThan(0.07);
    expect(share).toBeLessThan(0.13);
  }
});

test('an owner that a person listed stays selected under any cap', async () => {
  const flags = await flagsWith([
    { name: 'userWithId', parameters: { userIds: 's-7' } },
    { name: 'flexibleRollout', parameters: { rollout: '100', stickiness: 'sessionId', groupId: 'g' } },
  ]);
  expect(lanesIn(flags, 1)).toContain('s-7');
  expect(lanesIn(flags, 1).length).toBeLessThan(60);
});
