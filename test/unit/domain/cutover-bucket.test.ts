import { expect, test } from 'vitest';
import { normalizedStrategyValue } from 'unleash-client/lib/strategy/util.js';
import { cutoverBucket, cutoverGroup } from '../../../src/domain/cutover-bucket.ts';
import { blueprintsOf } from '../../../src/rollout/flag-blueprint.ts';
import { laneKeyOf, type Owner, serviceName } from '../../../src/domain/ids.ts';

const SERVICE = serviceName('session-memory');

test('a lane has the bucket that Unleash gives it in the group of both cutovers', () => {
  const owners = ['', 'é', '漢字', 'a/b c'].flatMap((tail) =>
    Array.from({ length: 500 }, (_, at) => `${'x'.repeat(at % 5)}${at}${tail}` as Owner),
  );
  for (const owner of owners) {
    const lane = laneKeyOf(SERVICE, owner);
    expect(cutoverBucket(SERVICE, lane)).toBe(normalizedStrategyValue(lane, cutoverGroup(SERVICE)));
  }
});

test('both cutovers are made with the group of the bucket', () => {
  const groups = blueprintsOf([SERVICE])
    .filter(({ name }) => name.endsWith('-cutover'))
    .map(({ strategy }) => strategy.parameters.groupId);
  expect(groups).toEqual([cutoverGroup(SERVICE), cutoverGroup(SERVICE)]);
});

test('a share takes lanes from all buckets alike', () => {
  const counts = new Map<number, number>();
  for (let at = 0; at < 20_000; at += 1) {
    const bucket = cutoverBucket(SERVICE, laneKeyOf(SERVICE, `owner-${at}` as Owner));
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
  }
  expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 100 }, (_, at) => at + 1),
  );
  expect(Math.max(...counts.values())).toBeLessThan(300);
});
