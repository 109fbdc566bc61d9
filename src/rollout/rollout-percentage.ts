/** The strategy parameter that holds the share, by strategy; `everything` and `some` have none. */
export const SHARE_OF_STRATEGY: Readonly<
  Record<string, { readonly parameter: string } | 'everything' | 'some'>
> = {
  default: 'everything',
  flexibleRollout: { parameter: 'rollout' },
  gradualRolloutRandom: { parameter: 'percentage' },
  gradualRolloutSessionId: { parameter: 'percentage' },
  gradualRolloutUserId: { parameter: 'percentage' },
  userWithId: 'some',
  remoteAddress: 'some',
  applicationHostname: 'some',
};

/** A list of users or hosts has no share. 1 means "more than nothing", because any share reaches a stage. */
const SOME = 1;

/** The parts of a flag that determine its requested share. */
interface Shares {
  readonly enabled: boolean;
  readonly strategies?: readonly {
    readonly name: string;
    readonly parameters: Readonly<Record<string, unknown>>;
  }[];
}

/**
 * The largest share that a strategy requests, in whole percents from 0 to 100. Constraints and segments are ignored. The SDK divides
 * owners into hundredths, so 33.3 selects 33 % and 0.5 selects no owner.
 */
export function rolloutPercentage(feature: Shares | undefined): number {
  if (feature?.enabled !== true) return 0;
  const strategies = feature.strategies ?? [];
  // The SDK evaluates an enabled flag without strategies as on for everyone.
  if (strategies.length === 0) return 100;
  return Math.max(...strategies.map(({ name, parameters }) => shareOf(name, parameters)));
}

function shareOf(name: string, parameters: Readonly<Record<string, unknown>>): number {
  const share = SHARE_OF_STRATEGY[name];
  if (share === undefined) return 0;
  if (share === 'everything') return 100;
  if (share === 'some') return SOME;
  const value = Number(parameters[share.parameter]);
  return Number.isFinite(value) ? Math.floor(Math.min(Math.max(value, 0), 100)) : 0;
}
