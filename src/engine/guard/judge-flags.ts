import { SERVICE_FLAGS, type ServiceFlag } from '../../domain/flags.ts';
import type { ActionFacts, InterlockFacts } from './interlock-facts.ts';
import { ACTION_INTERLOCKS, INTERLOCKS, type Check } from './interlock-table.ts';
import type { InterlockReason, InterlockWord } from './reason.ts';

/** The requested share of a flag, the active share, and every reason for the difference. Percent. */
export interface FlagVerdict {
  readonly asked: number;
  readonly inEffect: number;
  /**
   * The share that would be active under `enforce`, whatever the mode is. It is stored as granted. So if a person switches
   * interlocks on, earned shares stay and unchecked ones do not.
   */
  readonly permitted: number;
  /**
   * Under `warn` reasons are listed and lower nothing. Under `off` they are not listed. The latch and the kill switch apply in
   * every mode.
   */
  readonly reasons: readonly InterlockReason[];
}

export interface InterlockVerdict {
  readonly flags: Readonly<Record<ServiceFlag, FlagVerdict>>;
  /** read-cutover by action: the active share for its reads. */
  readonly actions: Readonly<Record<string, FlagVerdict>>;
}

/** The share that was active before, percent: of a flag as a whole, and of read-cutover by action. 0 if nothing was. */
export interface Granted {
  readonly flags: Readonly<Partial<Record<ServiceFlag, number>>>;
  readonly actions: Readonly<Record<string, number>>;
}

export const NOTHING_GRANTED: Granted = { flags: {}, actions: {} };

/** The latch and the kill switch are not interlocks. They apply in every mode. */
const ALWAYS_BINDING: ReadonlySet<InterlockWord> = new Set(['latched', 'kill_switch']);

/** Decides from facts alone which share of each flag is active. */
export function judgeFlags(facts: InterlockFacts, granted: Granted): InterlockVerdict {
  const flags = Object.fromEntries(
    SERVICE_FLAGS.map((flag) => [flag, judgeFlag(flag, facts, granted.flags[flag] ?? 0)]),
  ) as Record<ServiceFlag, FlagVerdict>;
  const actions = Object.fromEntries(
    Object.entries(facts.actions).map(([name, action]) => [
      name,
      judgeAction(action, flags['read-cutover'], { facts, granted: granted.actions[name] ?? 0 }),
    ]),
  );
  return { flags, actions };
}

/** Percent of lanes whose reads move. Reads move action by action, so this is the share of the action that moves most. */
export function readsInEffect({ flags, actions }: InterlockVerdict): number {
  const shares = Object.values(actions).map(({ inEffect }) => inEffect);
  return shares.length === 0 ? flags['read-cutover'].inEffect : Math.max(...shares);
}

function judgeFlag(flag: ServiceFlag, facts: InterlockFacts, granted: number): FlagVerdict {
  const asked = facts.asked[flag];
  if (asked === 0) return { asked, inEffect: 0, permitted: 0, reasons: [] };
  const { raise, keep } = INTERLOCKS[flag];
  const notKept = said(keep, facts);
  const notRaised = asked > granted ? said(raise, facts) : [];
  const reasons = spoken(facts, distinct([...notRaised, ...notKept]));
  const permitted = notKept.length > 0 ? 0 : notRaised.length > 0 ? granted : asked;
  return { asked, reasons, permitted, inEffect: bound(facts, { asked, permitted, reasons }) };
}

interface ActionContext {
  readonly facts: InterlockFacts;
  readonly granted: number;
}

/** Each increase of an action needs evidence. A granted share stays while the service's conditions hold. */
function judgeAction(action: ActionFacts, flag: FlagVerdict, { facts, granted }: ActionContext): FlagVerdict {
  const { asked } = flag;
  const isRaised = asked > granted && !action.isAccepted;
  const own = isRaised ? said(ACTION_INTERLOCKS, action) : [];
  const reasons = spoken(facts, [...flag.reasons, ...own]);
  const permitted = own.length > 0 ? Math.min(granted, flag.permitted) : flag.permitted;
  return { asked, reasons, permitted, inEffect: bound(facts, { asked: flag.inEffect, permitted, reasons }) };
}

function bound(
  { mode }: InterlockFacts,
  verdict: { asked: number; permitted: number; reasons: readonly InterlockReason[] },
): number {
  if (verdict.reasons.some(({ word }) => ALWAYS_BINDING.has(word))) return 0;
  return mode === 'enforce' ? verdict.permitted : verdict.asked;
}

function spoken({ mode }: InterlockFacts, reasons: readonly InterlockReason[]): readonly InterlockReason[] {
  return mode === 'off' ? reasons.filter(({ word }) => ALWAYS_BINDING.has(word)) : reasons;
}

function said<Facts>(checks: readonly Check<Facts>[], facts: Facts): InterlockReason[] {
  return checks
    .map((check) => check(facts))
    .filter(({ isFine }) => !isFine)
    .map(({ reason }) => reason);
}

/** Most conditions to stay are also conditions to raise. The first reason is kept, because the condition to raise is stricter. */
function distinct(reasons: readonly InterlockReason[]): InterlockReason[] {
  return [...new Map(reasons.toReversed().map((reason) => [reason.word, reason])).values()].toReversed();
}
