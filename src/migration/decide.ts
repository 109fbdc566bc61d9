import type { Backend } from '../domain/backend.ts';
import type { ActionDefinition } from '../domain/service-definition.ts';
import type { FlagContext, Flags } from './ports.ts';

/** Why a decision is what it is, in closed words. */
export type DecisionReason =
  'passthrough' | 'not_covered' | 'covered' | 'legacy_only' | 'flag_off' | 'flag_on' | 'kill_switch';

/** What to do with one operation. A plain value: printed, tested without I/O, put on a span. */
export interface Decision {
  /** Whom the agent's answer comes from, as far as the flags permit; the lane's fence may still keep a read on legacy. */
  readonly primary: Backend;
  readonly dualWrite: boolean;
  readonly shadowRead: boolean;
  readonly reason: DecisionReason;
}

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

/**
 * Decides from the action, the service's coverage and the flags alone.
 * A write goes to the journal exactly while its service is covered, whatever the flag says at this moment.
 */
export function decide(
  action: ActionDefinition,
  covered: boolean,
  ask: { readonly flags: Flags; readonly context: FlagContext },
): Decision {
  if (action.kind === 'passthrough') return PASSED_THROUGH;
  if (!covered) return NOT_COVERED;
  if (action.kind === 'write') return COVERED_WRITE;
  if (action.legacyOnly !== undefined) return LEGACY_ONLY;
  return decideRead(ask.flags, ask.context);
}

function decideRead(flags: Flags, context: FlagContext): Decision {
  const shadowRead = flags.isEnabled('shadow-read', context).enabled;
  if (flags.killSwitch()) return { primary: 'legacy', dualWrite: true, shadowRead, reason: 'kill_switch' };
  const isCutOver = flags.isEnabled('read-cutover', context).enabled;
  return {
    primary: isCutOver ? 'orchestrator' : 'legacy',
    dualWrite: true,
    shadowRead,
    reason: isCutOver ? 'flag_on' : 'flag_off',
  };
}
