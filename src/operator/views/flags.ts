import type { ShownFlag, ShownFlags } from '../api/flags.ts';
import type { ToldInterlock } from '../api/guard.ts';
import type { FlagStatus, ServiceStatus } from '../api/status.ts';
import type { ServiceFlag } from '../../domain/flags.ts';
import {
  type Block,
  type Cell,
  code,
  column,
  link,
  mark,
  more,
  note,
  numbers,
  percentage,
  remark,
  section,
  type Section,
  type Table,
  tableOf,
  type Tone,
} from './document.ts';

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
  waits_for_person: 'waits for a person: crossfade read-only',
};

/** `held`: less is active than is requested. `tripped`: because of the guard or the kill switch. */
export function flagState({
  asked,
  in_effect: inEffect,
  reason,
}: Pick<FlagStatus, 'asked' | 'in_effect' | 'reason'>): 'held' | 'tripped' | 'as_asked' {
  if (inEffect >= asked) return 'as_asked';
  return reason === 'latched' || reason === 'kill_switch' ? 'tripped' : 'held';
}

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
  return Object.entries(flags)
    .filter(([, { asked, in_effect: active }]) => asked > 0 !== active > 0)
    .map(([flag, status]) => `${flag}: ${flagReason(status)}`)
    .join('; ');
}

/** The reasons of an action that its flag does not already show. */
export function ownInterlocks(
  ofAction: readonly ToldInterlock[],
  ofFlag: readonly ToldInterlock[] = [],
): readonly ToldInterlock[] {
  const said = new Set(ofFlag.map(({ word }) => word));
  return ofAction.filter(({ word }) => !said.has(word));
}

/** Every flag with what it requests, and where the flags are stored. */
export function flagsSection(flags: ShownFlags): Section {
  return section(
    'Flags',
    remark(...sourceCell(flags)),
    ...(flags.fresh ? [] : [note('warn', 'The flags cannot be read. The last known ones are active.')]),
    requestedTable(flags.flags),
    ...(flags.editable
      ? [remark('Change one with: ', code('crossfade flags set FLAG PERCENT --person NAME --reason TEXT'))]
      : []),
  );
}

/** Where the flags are stored, and where they are changed. */
export function sourceCell({ source, editable, server }: ShownFlags): Cell {
  if (server !== null) return ['Unleash keeps the flags: ', link(server, server), '. Change them there.'];
  if (!editable) return [`From ${source}.`];
  return [`From ${source}. A change is written to the file and takes effect within a second.`];
}

export function requestedTable(flags: readonly ShownFlag[]): Table {
  return tableOf(
    flags,
    [
      column('flag', ({ name }) => code(name)),
      numbers('requested', ({ kind, asked }) =>
        kind === 'share' ? percentage(asked) : asked > 0 ? 'on' : 'off',
      ),
    ],
    { empty: 'No flags', advice: 'The configuration defines no service.' },
  );
}

const TONES: Readonly<Record<ReturnType<typeof flagState>, Tone>> = {
  as_asked: 'plain',
  held: 'warn',
  tripped: 'bad',
};

/** What each flag of a service requests, what is active, and why. */
export function activeFlagsTable({ flags }: Pick<ServiceStatus, 'flags'>): Table {
  return tableOf(
    Object.entries(flags),
    [
      column('flag', ([flag]) => code(flag)),
      numbers('requested', ([, { asked }]) => percentage(asked)),
      numbers('active', ([, { in_effect: active }]) => percentage(active)),
      column('why', ([, status]) => mark(flagReason(status), TONES[flagState(status)])),
    ],
    { empty: 'No flags' },
  );
}

/** What blocks each flag of a service, and what to do about it. */
export function blockedFlags({ flags }: Pick<ServiceStatus, 'flags'>): readonly Block[] {
  return Object.entries(flags).flatMap(([flag, { interlocks = [] }]) => interlockBlocks(flag, interlocks));
}

/** What blocks single actions, besides what blocks their flag. */
export function blockedActions({
  actions = {},
  flags,
}: Pick<ServiceStatus, 'actions' | 'flags'>): readonly Block[] {
  const ofFlag = flags['read-cutover'].interlocks;
  return Object.entries(actions).flatMap(([action, { interlocks }]) =>
    interlockBlocks(`read-cutover of ${action}`, ownInterlocks(interlocks, ofFlag)),
  );
}

/** Each interlock, then each advice once, because several interlocks may share it. */
function interlockBlocks(what: string, interlocks: readonly ToldInterlock[]): Block[] {
  if (interlocks.length === 0) return [];
  const advice = new Map(
    interlocks.map(({ next, command }) => [`${next} ${command ?? ''}`, { next, command }]),
  );
  return [
    more(
      `What blocks ${what}`,
      ...interlocks.map(({ word, says }) => remark(code(word), `  ${says}`)),
      ...[...advice.values()].map(({ next, command }) =>
        remark('→ ', next, ...(command === null ? [] : [' ', code(command)])),
      ),
    ),
  ];
}
