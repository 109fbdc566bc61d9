import type { BundleHead, WatchedService } from '../api/guard.ts';
import { countedWords, type FindingGroup } from '../words.ts';
import { aside, column, link, mark, type Table, tableOf, times } from './document.ts';
import { printedFigure, spoken } from './figures.ts';

type TriggerLevel = WatchedService['triggers'][number];

/** What each trigger watches. */
const WATCHES: Readonly<Record<TriggerLevel['trigger'], string>> = {
  inconsistency: 'answers that differ',
  errors: 'failures of the orchestrator, or of the proxy',
  latency: 'slow minutes in the last five',
  deleted_item_seen: 'deleted items that were shown again',
  dead_letters: 'lanes with a dead letter for five minutes',
  lost: 'lanes with items that legacy lost (blocks further increases)',
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
export function foundNow({ trigger, steps, numbers, actions, details }: FindingGroup): string {
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
