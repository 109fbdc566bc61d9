import { cutoverBucket } from '../../domain/cutover-bucket.ts';
import type { FirstLane, FlipCandidate, FlipShare, FlipStanding } from '../ports/flip-ports.ts';
import type { ServiceName } from '../../domain/ids.ts';

/** What a lane needs to be flipped. The first five are facts of its service. */
export const FLIP_FACTS = [
  'flippable',
  'permitted',
  'way_back_proven',
  'guard_quiet',
  'not_held',
  'in_share',
  'reads_moved',
  'clean',
  'verified',
] as const;

export type FlipFactName = (typeof FLIP_FACTS)[number];

/** A fact, and why it does not hold. */
export interface FlipFact {
  readonly fact: FlipFactName;
  /** A closed word. Absent: it holds. */
  readonly reason?: string;
  /** What the reason counts, or since when, in seconds. */
  readonly have?: number;
  readonly need?: number;
}

/** What decides whether lanes of a service can be flipped. */
export interface ServiceFlipFacts extends FlipStanding {
  /** Actions whose writes cannot move to the orchestrator, or back. */
  readonly notFlippable: number;
  /** Whether dual writes are active. */
  readonly isCovered: boolean;
  /** Absent: the flag or its interlocks have never permitted a share. */
  readonly share: FlipShare | undefined;
  /** What the flag and its interlocks permit now, percent. */
  readonly permittedPercentage: number;
  /** What they would permit if the way back were proven, percent. */
  readonly provenPercentage: number;
  /** Since a write was last read back on legacy. Undefined: never. */
  readonly provenAgoSeconds: number | undefined;
  readonly isKilled: boolean;
  /** The trigger of the latch; null if the service has none. */
  readonly latch: string | null;
  readonly isRampHeld: boolean;
  /** The guard has found that legacy differs in a flipped lane. */
  readonly areFlipsHeld: boolean;
  /** A person lets this lane flip before the way back is proven. */
  readonly first: FirstLane | undefined;
}

/** How old evidence may be. */
export interface FlipLimits {
  readonly verifiedSeconds: number;
  readonly provenSeconds: number;
}

interface ServiceRule {
  readonly fact: FlipFactName;
  readonly reason: string;
  readonly holds: (facts: ServiceFlipFacts, limits: FlipLimits) => boolean;
  readonly numbers?: (facts: ServiceFlipFacts, limits: FlipLimits) => Pick<FlipFact, 'have' | 'need'>;
}

/** The first reason of a fact that holds is shown. */
const SERVICE_RULES: readonly ServiceRule[] = [
  {
    fact: 'flippable',
    reason: 'not_flippable',
    holds: ({ notFlippable }) => notFlippable > 0,
    numbers: ({ notFlippable }) => ({ have: notFlippable, need: 0 }),
  },
  { fact: 'permitted', reason: 'not_covered', holds: ({ isCovered }) => !isCovered },
  {
    fact: 'permitted',
    reason: 'not_permitted',
    holds: ({ share, permittedPercentage }) =>
      share === undefined || share.percentage === 0 || permittedPercentage === 0,
  },
  {
    fact: 'permitted',
    reason: 'versions_differ',
    holds: ({ otherVersions }) => otherVersions > 0,
    numbers: ({ otherVersions }) => ({ have: otherVersions, need: 0 }),
  },
  {
    fact: 'permitted',
    reason: 'not_on_all_replicas',
    holds: ({ notReported }) => notReported > 0,
    numbers: ({ notReported }) => ({ have: notReported, need: 0 }),
  },
  { fact: 'permitted', reason: 'spilling', holds: ({ isAnySpilled }) => isAnySpilled },
  {
    fact: 'way_back_proven',
    reason: 'never_proven',
    holds: ({ provenAgoSeconds }) => provenAgoSeconds === undefined,
  },
  {
    fact: 'way_back_proven',
    reason: 'proof_too_old',
    holds: ({ provenAgoSeconds = 0 }, { provenSeconds }) => provenAgoSeconds > provenSeconds,
    numbers: ({ provenAgoSeconds = 0 }, { provenSeconds }) => ({
      have: provenAgoSeconds,
      need: provenSeconds,
    }),
  },
  { fact: 'guard_quiet', reason: 'kill_switch', holds: ({ isKilled }) => isKilled },
  { fact: 'guard_quiet', reason: 'latched', holds: ({ latch }) => latch !== null },
  { fact: 'guard_quiet', reason: 'ramp_held', holds: ({ isRampHeld }) => isRampHeld },
  { fact: 'guard_quiet', reason: 'legacy_differs', holds: ({ areFlipsHeld }) => areFlipsHeld },
  {
    fact: 'guard_quiet',
    reason: 'flipped_lanes_differ',
    holds: ({ flippedDiffer }) => flippedDiffer > 0,
    numbers: ({ flippedDiffer }) => ({ have: flippedDiffer, need: 0 }),
  },
  { fact: 'not_held', reason: 'held', holds: ({ held }) => held !== undefined },
];

/** Facts of the service: of each the first reason against it. */
export function judgeService(facts: ServiceFlipFacts, limits: FlipLimits): readonly FlipFact[] {
  return FLIP_FACTS.filter((fact) => SERVICE_RULES.some((rule) => rule.fact === fact)).map((fact) => {
    const rule = SERVICE_RULES.find((one) => one.fact === fact && one.holds(facts, limits));
    return rule === undefined ? { fact } : { fact, reason: rule.reason, ...rule.numbers?.(facts, limits) };
  });
}

/** The facts as they would be if the way back were proven: what the lane that goes first is judged by. */
export function asIfProven(facts: ServiceFlipFacts): ServiceFlipFacts {
  const { share, provenPercentage, otherVersions } = facts;
  const percentage = Math.max(share?.percentage ?? 0, provenPercentage);
  return {
    ...facts,
    provenAgoSeconds: 0,
    permittedPercentage: provenPercentage,
    share: { number: 0, version: '', ...share, percentage },
    // Without a share there is no version yet that the replicas could differ from.
    otherVersions: share === undefined ? 0 : otherVersions,
  };
}

interface LaneFlipFacts {
  readonly service: ServiceName;
  readonly candidate: FlipCandidate;
  readonly share: FlipShare | undefined;
  /** Whether the flag selects the lane, up to the percentage that its interlocks permit. */
  readonly isSelected: boolean;
  /** Whether the orchestrator answers all reads of the lane. */
  readonly areReadsMoved: boolean;
}

/** Facts of one lane. */
export function judgeLane(facts: LaneFlipFacts, { verifiedSeconds }: FlipLimits): readonly FlipFact[] {
  const { candidate, share, isSelected, areReadsMoved, service } = facts;
  const { unclean, verifiedAgoSeconds: ago } = candidate;
  const bucket = cutoverBucket(service, candidate.lane);
  const percentage = share?.percentage ?? 0;
  const isShared = bucket <= percentage;
  const isVerified = ago !== undefined && ago <= verifiedSeconds;
  return [
    isShared && isSelected
      ? { fact: 'in_share' }
      : { fact: 'in_share', reason: 'outside_share', have: percentage, need: bucket },
    areReadsMoved ? { fact: 'reads_moved' } : { fact: 'reads_moved', reason: 'reads_on_legacy' },
    unclean === undefined ? { fact: 'clean' } : { fact: 'clean', reason: unclean },
    isVerified
      ? { fact: 'verified' }
      : {
          fact: 'verified',
          reason: 'not_verified',
          need: verifiedSeconds,
          ...(ago !== undefined && { have: ago }),
        },
  ];
}

/** The first reason against it; undefined if every fact holds. */
export function firstReason(facts: readonly FlipFact[]): string | undefined {
  return facts.find(({ reason }) => reason !== undefined)?.reason;
}
