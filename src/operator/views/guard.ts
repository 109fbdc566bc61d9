import type { BundleHead, GuardStatus, StainedAction, WatchedService } from '../api/guard.ts';
import type { Finding } from '../../engine/ports/finding.ts';
import {
  countedWords,
  type FindingGroup,
  groupedFindings,
  notMovedWords,
  standingFindings,
  standingWords,
} from '../words.ts';
import {
  aside,
  type Block,
  type Cell,
  code,
  column,
  instant,
  link,
  mark,
  type Mark,
  note,
  remark,
  section,
  type Section,
  type Table,
  tableOf,
  times,
} from './document.ts';
import { counted, printedFigure, spoken } from './figures.ts';

/** What keeps the reads of a service on legacy, what the guard finds, and how close each trigger is to a trip. */
export function guardSection(service: string, watched: WatchedService): Section {
  const { mark: held, tone } = heldMark(watched.held_by);
  const release =
    watched.latch === undefined ? [] : [remark('Release it with: ', code(releaseCommand(service)))];
  return section(
    service,
    note(tone, held),
    ...heldBlocks(watched),
    ...release,
    ...foundBlocks(watched.findings),
    triggersTable(watched.triggers),
  );
}

export const releaseCommand = (service: string): string =>
  `crossfade guard release ${service} --person NAME --reason TEXT`;

/** Whether reads stay on legacy, whatever their flag requests. */
export function heldMark(heldBy: string | null): Mark {
  return heldBy === null
    ? mark('Reads are not held on legacy', 'good')
    : mark(`Reads are held on legacy by ${spoken(heldBy)}`, 'bad');
}

/** Since when reads are held and why, what that does not move, and when they can return. Empty while they are not held. */
export function heldBlocks(guarded: GuardStatus): readonly Block[] {
  const { held_by: heldBy, latch, flags_off: off, flipped_lanes: flipped } = guarded;
  if (heldBy === null) return [];
  const stays = notMovedWords(flipped);
  const whole = stays === undefined ? [] : [remark(`${stays}.`)];
  if (latch === undefined)
    return [...whole, remark('Nothing to release. Reads move again when the cause is gone.')];
  return [
    ...whole,
    remark('Tripped ', instant(latch.tripped_at), ' by ', ...causeCell(latch.finding), '.'),
    remark('It can be released after ', instant(latch.cool_down_until), '.'),
    ...(off === undefined ? [] : [remark(flagsOffWords(off))]),
    ...standingBlocks(guarded.findings),
  ];
}

function causeCell({ trigger, action, detail, numbers }: Finding): Cell {
  const within = detail === undefined ? '' : `, ${detail}`;
  const counted = Object.keys(numbers).length === 0 ? '' : `: ${countedWords(trigger, numbers)}`;
  const of = action === undefined ? 'the service as a whole' : code(action);
  return [`${spoken(trigger)} of `, of, `${within}${counted}`];
}

/** Whether the flags show the trip. */
function flagsOffWords({
  state,
  flags = [],
  tries = 0,
  last_error: error,
}: NonNullable<GuardStatus['flags_off']>): string {
  if (state === 'not_configured') return 'The flags are unchanged. The latch overrides them.';
  if (state === 'off')
    return flags.length === 0
      ? 'No flag in Unleash had to be switched off.'
      : `Switched off in Unleash: ${flags.join(', ')}.`;
  const failed = tries === 0 ? '' : ` after ${counted(tries, 'failed attempt')}`;
  return `Not yet switched off in Unleash${failed}: ${error ?? 'the proxy is trying'}`;
}

/** A trigger that would trip the guard again right after a release. */
function standingBlocks(findings: readonly Finding[]): Block[] {
  const standing = standingFindings(findings);
  if (standing.length === 0) return [];
  return [
    note(
      'warn',
      `The guard still finds: ${standingWords(standing)}. Fix the cause first. A release is refused until then, unless you confirm it (--even-so). Counting starts again at the release, and the same answers will trip the guard again.`,
    ),
  ];
}

/** The findings of the last second, and the guard's reaction to each. */
export function foundBlocks(findings: readonly Finding[]): readonly Block[] {
  return groupedFindings(findings).map((group) => note('warn', `Found now: ${foundNow(group)}`));
}

/** After a release. The evidence that holds mismatches is not reset by it. */
export function releasedWords(
  service: string,
  {
    flags_off: flags,
    stained,
  }: { readonly flags_off: readonly string[]; readonly stained: readonly StainedAction[] },
): readonly string[] {
  return [
    `The latch of ${service} is released. The flags decide about its reads again, and the guard starts counting at zero.`,
    ...stained.map(
      ({ action, comparable, mismatches, comparisons_missing: missing }) =>
        `The evidence of ${action} keeps ${counted(mismatches, 'mismatch', 'mismatches')} of ${counted(comparable, 'comparison')}. ${counted(missing, 'more comparison')} must match before it is proven again.`,
    ),
    ...(flags.length === 0
      ? []
      : [`The trip switched off ${flags.join(' and ')}. Switch them on again to move reads.`]),
  ];
}

type TriggerLevel = WatchedService['triggers'][number];

/** What each trigger watches. */
const WATCHES: Readonly<Record<TriggerLevel['trigger'], string>> = {
  inconsistency: 'answers that differ',
  errors: 'failures of the orchestrator, or of the proxy',
  latency: 'slow minutes in the last five',
  deleted_item_seen: 'deleted items that were shown again',
  dead_letters: 'lanes with a dead letter for five minutes',
  lost: 'lanes with items that legacy lost (blocks further increases)',
  legacy_differs: 'flipped lanes in which legacy differs (blocks further flips)',
  stores: 'items and lanes in which a reconciliation found differences',
  not_comparable: 'reads that could not be compared (alert only)',
  not_compared: 'moved reads that are no longer compared (blocks further increases)',
  external: 'signals from outside',
};

/** How close each trigger of a service is to a trip. */
export function triggersTable(triggers: readonly TriggerLevel[]): Table {
  return tableOf(
    triggers,
    [
      column('trigger', ({ trigger }) => spoken(trigger)),
      column('reached', ({ reached }) =>
        mark(
          printedFigure({ value: reached, unit: 'rate' }),
          reached >= 1 ? 'bad' : reached >= 0.5 ? 'warn' : 'plain',
        ),
      ),
      column('watches', ({ trigger }) => WATCHES[trigger]),
      column('counted', ({ trigger, numbers, action, detail }) => [
        countedWords(trigger, numbers),
        ...[action, detail].flatMap((where) => (where === undefined ? [] : [aside(where)])),
      ]),
    ],
    { empty: 'No triggers' },
  );
}

/** What a trigger found in the last second, and the guard's reaction. */
function foundNow({ trigger, steps, numbers, actions, details }: FindingGroup): string {
  const where = actions.length === 0 ? '' : ` of ${actions.join(', ')}`;
  const within = details.length === 0 ? '' : ` (${details.join(', ')})`;
  const said = Object.keys(numbers).length === 0 ? '' : `: ${countedWords(trigger, numbers)}`;
  return `${spoken(trigger)}${where}${said}${within} → ${steps.map(spoken).join(', ')}`;
}

/** The bundles that trips have stored. */
export function bundlesTable(bundles: readonly BundleHead[]): Table {
  return tableOf(
    bundles,
    [
      column('trip', ({ bundle }) => link(`trip ${bundle}`, `/guard/bundles/${bundle}`)),
      times('tripped', ({ at }) => at),
      column('service', ({ service }) => service),
      column('trigger', ({ trigger }) => spoken(trigger)),
      column('size', ({ bytes }) => `${Math.ceil(bytes / 1_024)} KiB`),
    ],
    {
      empty: 'No trips',
      advice:
        'Each trip stores a bundle: signatures, minutes, flags, settings without secrets, and versions.',
    },
  );
}
