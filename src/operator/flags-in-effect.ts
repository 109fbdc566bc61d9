import { SERVICE_FLAGS, type ServiceFlag } from '../domain/flags.ts';

/** What lowered a flag, or that nothing did, in closed words. */
type InEffectReason = 'on' | 'off' | 'beginning' | 'ending' | 'not_covered' | 'kill_switch' | 'not_available';

export interface FlagStatus {
  /** Percent that the flag's definition asks for. */
  readonly asked: number;
  /** Percent that holds now. */
  readonly in_effect: number;
  readonly reason: InEffectReason;
}

/** What decides how much of a flag holds. */
export interface FlagFacts {
  readonly asked: Readonly<Record<ServiceFlag, number>>;
  /** Number of the service's coverage; 0 while its writes pass unjournaled. */
  readonly coverage: number;
  readonly isKilled: boolean;
}

type Rule = (asked: number, facts: FlagFacts) => Omit<FlagStatus, 'asked'>;

/** Dual writes hold for the whole service or not at all: coverage says so, and it follows the flag by some seconds. */
const dualWrite: Rule = (asked, { coverage }) => {
  if (coverage > 0) return { in_effect: 100, reason: asked > 0 ? 'on' : 'ending' };
  return { in_effect: 0, reason: asked > 0 ? 'beginning' : 'off' };
};

const whenCovered: Rule = (asked, { coverage }) => {
  if (asked === 0) return { in_effect: 0, reason: 'off' };
  return coverage === 0 ? { in_effect: 0, reason: 'not_covered' } : { in_effect: asked, reason: 'on' };
};

const unlessKilled: Rule = (asked, facts) => {
  const status = whenCovered(asked, facts);
  return status.reason === 'on' && facts.isKilled ? { in_effect: 0, reason: 'kill_switch' } : status;
};

const notAvailable: Rule = () => ({ in_effect: 0, reason: 'not_available' });

const RULES: Readonly<Record<ServiceFlag, Rule>> = {
  'dual-write': dualWrite,
  'shadow-read': whenCovered,
  'read-cutover': unlessKilled,
  'write-cutover': notAvailable,
  'legacy-read-only': notAvailable,
};

/** What each flag of a service asks for, what of it holds now, and why. */
export function flagsInEffect(facts: FlagFacts): Record<ServiceFlag, FlagStatus> {
  const entries = SERVICE_FLAGS.map((flag) => {
    const asked = facts.asked[flag];
    return [flag, { asked, ...RULES[flag](asked, facts) }] as const;
  });
  return Object.fromEntries(entries) as Record<ServiceFlag, FlagStatus>;
}
