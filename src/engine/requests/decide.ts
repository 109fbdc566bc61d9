import type { ActionDefinition } from '../../domain/service-definition.ts';
import { type Decision, NO_LIMITS, type ReadLimits } from '../ports/decision.ts';
import type { FlagContext, Flags } from '../ports/ports.ts';

const PASSED_THROUGH: Decision = {
  primary: 'legacy',
  dualWrite: false,
  shadowRead: false,
  reason: 'passthrough',
};
const NOT_COVERED: Decision = {
  primary: 'legacy',
  dualWrite: false,
  shadowRead: false,
  reason: 'not_covered',
};
const COVERED_WRITE: Decision = { primary: 'legacy', dualWrite: true, shadowRead: false, reason: 'covered' };
const LEGACY_ONLY: Decision = {
  primary: 'legacy',
  dualWrite: false,
  shadowRead: false,
  reason: 'legacy_only',
};

/** The inputs of a decision. */
interface DecisionSources {
  readonly flags: Flags;
  readonly context: FlagContext;
  /** @defaultValue nothing is lowered */
  readonly limits?: ReadLimits | undefined;
}

/**
 * Decides from the action, the service's coverage, the flags and their limits. A write goes to the journal exactly while its
 * service is covered, whatever the flag says at this moment.
 */
export function decide(action: ActionDefinition, covered: boolean, ask: DecisionSources): Decision {
  if (action.kind === 'passthrough') return PASSED_THROUGH;
  if (!covered) return NOT_COVERED;
  if (action.kind === 'write') return COVERED_WRITE;
  if (action.legacyOnly !== undefined) return LEGACY_ONLY;
  return decideRead(ask);
}

function decideRead({ flags, context, limits = NO_LIMITS }: DecisionSources): Decision {
  const { service, action = '' } = context;
  const shadowRead = limits.mayShadow(service) && flags.isEnabled('shadow-read', context).enabled;
  if (flags.killSwitch()) return { primary: 'legacy', dualWrite: true, shadowRead, reason: 'kill_switch' };
  const { atMost, loweredBy } = limits.cutover(service, action);
  const isWhole = atMost >= 100;
  if (flags.isEnabled('read-cutover', isWhole ? context : { ...context, atMost }).enabled)
    return { primary: 'orchestrator', dualWrite: true, shadowRead, reason: 'flag_on' };
  const isLowered = !isWhole && flags.isEnabled('read-cutover', context).enabled;
  const reason = isLowered ? (loweredBy ?? 'interlock') : 'flag_off';
  return { primary: 'legacy', dualWrite: true, shadowRead, reason };
}
