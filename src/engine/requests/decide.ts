import type { Backend } from '../../domain/backend.ts';
import type { ActionDefinition } from '../../domain/service-definition.ts';
import type { WritesState } from '../../domain/stage.ts';
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

/** Legacy lacks what was written since it became read-only, so there is nothing to compare with. */
const FROM_THE_END = { primary: 'orchestrator', dualWrite: true, shadowRead: false } as const;

/** The inputs of a decision. */
interface DecisionSources {
  readonly flags: Flags;
  readonly context: FlagContext;
  /** @defaultValue nothing is lowered */
  readonly limits?: ReadLimits | undefined;
  /** The backend that is primary for the lane's writes. Only a read decides by it. @defaultValue legacy */
  readonly primary?: Backend;
  /** Whether legacy still takes writes of the service. @defaultValue open */
  readonly writes?: WritesState | undefined;
}

/**
 * Decides from the action, the service's coverage, the primary of the lane, the flags and their limits. A write goes to the journal
 * exactly while its service is covered, whatever the flag says at this moment. A read of a flipped lane goes to the orchestrator,
 * whatever flags and limits say.
 */
export function decide(action: ActionDefinition, covered: boolean, ask: DecisionSources): Decision {
  if (action.kind === 'passthrough') return PASSED_THROUGH;
  if (action.kind === 'read') return decideReadOf(action, covered, ask);
  return covered ? COVERED_WRITE : NOT_COVERED;
}

type ReadDefinition = Extract<ActionDefinition, { kind: 'read' }>;

function decideReadOf(action: ReadDefinition, covered: boolean, ask: DecisionSources): Decision {
  const { writes = 'open' } = ask;
  const isMapped = action.legacyOnly === undefined;
  if (isMapped && writes === 'complete') return { ...FROM_THE_END, reason: writes };
  if (ask.primary === 'orchestrator') return decideFlipped(action, ask);
  if (!covered) return NOT_COVERED;
  if (!isMapped) return LEGACY_ONLY;
  return writes === 'open' ? decideRead(ask) : { ...FROM_THE_END, reason: writes };
}

function decideFlipped(
  { legacyOnly }: ReadDefinition,
  { flags, context, limits = NO_LIMITS, writes = 'open' }: DecisionSources,
): Decision {
  const primary = legacyOnly === undefined ? 'orchestrator' : 'legacy';
  const shadowRead =
    primary === 'orchestrator' &&
    writes === 'open' &&
    limits.mayShadow(context.service) &&
    flags.isEnabled('shadow-read', context).enabled;
  return { primary, dualWrite: true, shadowRead, reason: 'flipped' };
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
