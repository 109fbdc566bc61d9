import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { readSettings } from '../../../src/config/config.ts';
import { valueAt } from '../../../src/config/problems.ts';

const SECOND_IN_HOURS = 1 / 3_600;

/** Settings under which a life of months takes minutes. The interlocks are enforced. */
export const SHORTENED = {
  criteria: { comparisons: 5, withoutError: 1, mismatchRate: 0.5 },
  // A comparison of a whole lane is a proof of every read of the service.
  shadow: { lanePercentage: 20 },
  flips: { perSecond: 100, soakHours: SECOND_IN_HOURS },
  copies: { concurrency: 8 },
  guard: { coolDownSeconds: 1 },
  readOnly: { bypassFreeSeconds: 1, requiredSeconds: 5, settleSeconds: 5, censusSeconds: 2 },
  reconciliation: { changed: 'off', full: 'off' },
} as const;

/** One line for each setting that differs from its default. */
export function shortenedLines(folder: string): readonly string[] {
  const file = join(folder, 'defaults.yaml');
  writeFileSync(
    file,
    stringify({ services: { 'jarvis-memory': { legacy: { endpoint: 'tcp://127.0.0.1:1' } } } }),
  );
  const { tree } = readSettings(file, {}, 'embedded');
  return Object.entries(SHORTENED).flatMap(([section, settings]) =>
    Object.entries(settings).map(([name, value]) => {
      const shown = typeof value === 'number' ? Number(value.toPrecision(3)) : value;
      return `${section}.${name}: ${String(shown)} instead of ${String(valueAt(tree, `${section}.${name}`))}`;
    }),
  );
}
