import type { BundleHead } from '../api/guard.ts';
import { column, link, spoken, type Table, tableOf, times } from './document.ts';

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
