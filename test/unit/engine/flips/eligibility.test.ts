import { expect, test } from 'vitest';
import {
  FLIP_FACTS,
  firstReason,
  judgeLane,
  judgeService,
  type ServiceFlipFacts,
} from '../../../../src/engine/flips/eligibility.ts';
import { cutoverBucket } from '../../../../src/domain/cutover-bucket.ts';
import { laneKeyOf } from '../../../../src/domain/ids.ts';
import { ownerNamed, SERVICE } from '../engine-parts.ts';

const LIMITS = { verifiedSeconds: 100, provenSeconds: 50 };

const READY: ServiceFlipFacts = {
  notReported: 0,
  otherVersions: 0,
  isAnySpilled: false,
  held: undefined,
  isAnyFlipped: true,
  flippedDiffer: 0,
  movedLately: 1,
  notFlippable: 0,
  isCovered: true,
  share: { number: 2, percentage: 50, version: '1-own' },
  permittedPercentage: 50,
  provenAgoSeconds: 10,
  isKilled: false,
  latch: null,
  isRampHeld: false,
  areFlipsHeld: false,
  provenPercentage: 100,
  first: undefined,
};

test('a service is ready when every fact holds', () => {
  const judged = judgeService(READY, LIMITS);
  expect(judged.every(({ reason }) => reason === undefined)).toBe(true);
  expect(firstReason(judged)).toBeUndefined();
});

test.each([
  [{ notFlippable: 2 }, 'flippable', 'not_flippable'],
  [{ isCovered: false }, 'permitted', 'not_covered'],
  [{ share: undefined }, 'permitted', 'not_permitted'],
  [{ permittedPercentage: 0 }, 'permitted', 'not_permitted'],
  [{ otherVersions: 1 }, 'permitted', 'versions_differ'],
  [{ notReported: 1 }, 'permitted', 'not_on_all_replicas'],
  [{ isAnySpilled: true }, 'permitted', 'spilling'],
  [{ provenAgoSeconds: undefined }, 'way_back_proven', 'never_proven'],
  [{ provenAgoSeconds: 51 }, 'way_back_proven', 'proof_too_old'],
  [{ isKilled: true }, 'guard_quiet', 'kill_switch'],
  [{ latch: 'errors' }, 'guard_quiet', 'latched'],
  [{ isRampHeld: true }, 'guard_quiet', 'ramp_held'],
  [{ areFlipsHeld: true }, 'guard_quiet', 'legacy_differs'],
  [{ flippedDiffer: 1 }, 'guard_quiet', 'flipped_lanes_differ'],
  [{ held: { person: 'ann', reason: 'a look', atMs: 0 } }, 'not_held', 'held'],
] as const)('%o is shown as the reason of one fact alone', (facts, fact, reason) => {
  const judged = judgeService({ ...READY, ...facts }, LIMITS);
  expect(judged.filter((one) => one.reason !== undefined)).toMatchObject([{ fact, reason }]);
});

const LANE = laneKeyOf(SERVICE, ownerNamed('ann'));
const BUCKET = cutoverBucket(SERVICE, LANE);
const LANE_READY = {
  service: SERVICE,
  candidate: { id: 1, lane: LANE, owner: ownerNamed('ann'), verifiedAgoSeconds: 10 },
  share: { number: 2, percentage: BUCKET, version: '1-own' },
  isSelected: true,
  areReadsMoved: true,
};

test('a lane is ready when every fact holds, and all facts are named', () => {
  const judged = judgeLane(LANE_READY, LIMITS);
  expect(firstReason(judged)).toBeUndefined();
  const named = [...judgeService(READY, LIMITS), ...judged].map(({ fact }) => fact);
  expect(new Set(named)).toEqual(new Set(FLIP_FACTS));
});

const { verifiedAgoSeconds: _never, ...UNVERIFIED } = LANE_READY.candidate;

test.each([
  [{ share: { ...LANE_READY.share, percentage: BUCKET - 1 } }, 'in_share', 'outside_share'],
  [{ share: undefined }, 'in_share', 'outside_share'],
  [{ isSelected: false }, 'in_share', 'outside_share'],
  [{ areReadsMoved: false }, 'reads_moved', 'reads_on_legacy'],
  [{ candidate: { ...LANE_READY.candidate, unclean: 'dead_letter' } }, 'clean', 'dead_letter'],
  // The lesson: a comparison is complete, at most a day old, and of today's definition; none at all is a refusal.
  [{ candidate: UNVERIFIED }, 'verified', 'not_verified'],
  [{ candidate: { ...LANE_READY.candidate, verifiedAgoSeconds: 101 } }, 'verified', 'not_verified'],
] as const)('%o keeps a lane on legacy', (facts, fact, reason) => {
  const judged = judgeLane({ ...LANE_READY, ...facts }, LIMITS);
  expect(judged.filter((one) => one.reason !== undefined)).toMatchObject([{ fact, reason }]);
});
