import type { FlagStatus } from './api/status.ts';
import { SERVICE_FLAGS, type ServiceFlag } from '../domain/flags.ts';

/** What lowered a flag, in words for people. */
const REASONS: Readonly<Record<FlagStatus['reason'], string>> = {
  on: 'as requested',
  off: 'as requested',
  beginning: 'starting',
  ending: 'ending',
  not_covered: 'dual writes are off',
  kill_switch: 'kill switch is on',
  latched: 'stopped by the guard',
  interlock: 'interlock',
  shadow_load_dropped: 'the guard has paused shadow reads to reduce load',
  not_available: 'not available yet',
};

interface Reasoned extends Pick<FlagStatus, 'asked' | 'in_effect' | 'reason' | 'held_actions'> {
  readonly interlocks?: readonly { readonly word: string }[];
}

/** Why a flag has its active share, in words for people. */
export function flagReason({ reason, interlocks = [], held_actions: held = [] }: Reasoned): string {
  if (reason !== 'interlock')
    return held.length === 0 ? REASONS[reason] : `${REASONS[reason]}; ${held.length} actions have less`;
  const [first, ...more] = interlocks.map(({ word }) => word.replaceAll(/[_-]/g, ' '));
  const why = first === undefined ? 'no action has enough evidence yet' : first;
  return `${REASONS.interlock}: ${why}${more.length === 0 ? '' : ` and ${more.length} more`}`;
}

/** Why the active stage is not the requested one: each flag that is on in only one of them, with its reason. */
export function stageReason(flags: Readonly<Partial<Record<ServiceFlag, Reasoned>>>): string {
  return SERVICE_FLAGS.flatMap((flag) => {
    const status = flags[flag];
    if (status === undefined || status.asked > 0 === status.in_effect > 0) return [];
    return [`${flag}: ${flagReason(status)}`];
  }).join('; ');
}
