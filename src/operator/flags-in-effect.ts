import { SERVICE_FLAGS, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { WritesState } from '../domain/stage.ts';
import type { Trigger } from '../engine/ports/finding.ts';
import { readsInEffect, type InterlockVerdict } from '../engine/guard/judge-flags.ts';
import type { FlagStatus } from './api/status.ts';
import { toldInterlocks } from './told-interlocks.ts';

/** The facts that decide the active share of a flag. */
export interface FlagFacts {
  readonly service: ServiceName;
  readonly asked: Readonly<Record<ServiceFlag, number>>;
  /** Number of the service's coverage; 0 while its writes are not journaled. */
  readonly coverage: number;
  readonly isKilled: boolean;
  /** A latch stops the service's reads. Known at once, while a verdict may be a second old. */
  readonly isHeld: boolean;
  /** The triggers for which shadow load is dropped. Empty while it is not dropped. */
  readonly shadowDroppedFor: readonly Trigger[];
  /** Absent before the first judgement. */
  readonly verdict?: InterlockVerdict | undefined;
  /** Whether legacy still takes writes. @defaultValue open */
  readonly writes?: WritesState;
}

type Rule = (asked: number, facts: FlagFacts) => Omit<FlagStatus, 'asked'>;

/**
 * Dual writes are active for the whole service or not at all. The coverage decides, and it follows the flag after some seconds.
 */
const dualWrite: Rule = (asked, { coverage }) => {
  if (coverage > 0) return { in_effect: 100, reason: asked > 0 ? 'on' : 'ending' };
  return { in_effect: 0, reason: asked > 0 ? 'beginning' : 'off' };
};

const whenCovered: Rule = (asked, { coverage }) => {
  if (asked === 0) return { in_effect: 0, reason: 'off' };
  return coverage === 0 ? { in_effect: 0, reason: 'not_covered' } : { in_effect: asked, reason: 'on' };
};

const unlessDropped: Rule = (asked, facts) => {
  const [status, triggers] = [whenCovered(asked, facts), facts.shadowDroppedFor];
  if (status.reason !== 'on' || triggers.length === 0) return status;
  return { in_effect: 0, reason: 'shadow_load_dropped', dropped_for: triggers };
};

const unlessKilled: Rule = (asked, facts) => {
  const status = whenCovered(asked, facts);
  if (status.reason !== 'on') return status;
  if (facts.isHeld) return { in_effect: 0, reason: 'latched' };
  return facts.isKilled ? { in_effect: 0, reason: 'kill_switch' } : status;
};

/** A person makes legacy read-only, whatever the flag says. The flag requests it, and shows what is missing. */
const onceRecorded: Rule = (asked, { writes = 'open' }) => {
  if (writes !== 'open') return { in_effect: 100, reason: 'on' };
  return { in_effect: 0, reason: asked > 0 ? 'waits_for_person' : 'off' };
};

const RULES: Readonly<Record<ServiceFlag, Rule>> = {
  'dual-write': dualWrite,
  'shadow-read': unlessDropped,
  'read-cutover': unlessKilled,
  'write-cutover': unlessKilled,
  'legacy-read-only': onceRecorded,
};

/** For each flag of a service: the requested share, the active share, and why. */
export function flagsInEffect(facts: FlagFacts): Record<ServiceFlag, FlagStatus> {
  const entries = SERVICE_FLAGS.map((flag) => {
    const asked = facts.asked[flag];
    const status = lowered(flag, { asked, ...RULES[flag](asked, facts) }, facts);
    return [flag, flag === 'read-cutover' ? ofActions(status, facts) : status] as const;
  });
  return Object.fromEntries(entries) as Record<ServiceFlag, FlagStatus>;
}

/** The share that the interlocks and the latch permit. */
function lowered(flag: ServiceFlag, status: FlagStatus, { service, verdict }: FlagFacts): FlagStatus {
  const judged = flag === 'legacy-read-only' && status.in_effect > 0 ? undefined : verdict?.flags[flag];
  if (judged === undefined || judged.reasons.length === 0) return status;
  const told = { ...status, interlocks: toldInterlocks(judged.reasons, { service }) };
  if (judged.inEffect >= status.in_effect) return told;
  const isLatched = judged.reasons.some(({ word }) => word === 'latched');
  return { ...told, in_effect: judged.inEffect, reason: isLatched ? 'latched' : 'interlock' };
}

/** Reads move action by action. While no action has moved, nothing is active, whatever share the interlocks permit. */
function ofActions(status: FlagStatus, { verdict }: FlagFacts): FlagStatus {
  // A verdict from before a change of the flag does not apply to the new share. The next verdict comes within a second.
  const isCurrent = verdict?.flags['read-cutover'].asked === status.asked;
  if (verdict === undefined || !isCurrent || status.in_effect === 0) return status;
  const inEffect = Math.min(readsInEffect(verdict), status.in_effect);
  const held = Object.entries(verdict.actions)
    .filter(([, action]) => action.inEffect < status.in_effect)
    .map(([name]) => name);
  if (held.length === 0) return status;
  const isLowered = inEffect < status.in_effect;
  return {
    ...status,
    in_effect: inEffect,
    ...(isLowered && { reason: 'interlock' as const }),
    held_actions: held,
  };
}

/** The requested or the effective shares, for the stage that they make. */
export function sharesOf(
  flags: Readonly<Record<ServiceFlag, Pick<FlagStatus, 'asked' | 'in_effect'>>>,
  which: 'asked' | 'in_effect',
): Record<ServiceFlag, number> {
  const entries = SERVICE_FLAGS.map((flag) => [flag, flags[flag][which]]);
  return Object.fromEntries(entries) as Record<ServiceFlag, number>;
}
