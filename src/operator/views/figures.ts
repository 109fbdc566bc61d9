import type { Figure, Unit } from './document.ts';

/** Shown where there is no value. */
export const NOTHING = '–';

/** Made at the first use. The first number format of a process takes about 20 ms, and the help of a command prints no number. */
function formatOf(options: Intl.NumberFormatOptions): { format: (value: number) => string } {
  let made: Intl.NumberFormat | undefined;
  return { format: (value) => (made ??= new Intl.NumberFormat('en', options)).format(value) };
}

const grouped = formatOf({ maximumFractionDigits: 1 });
const precise = formatOf({ maximumSignificantDigits: 3 });

const PRINTED: Readonly<Record<Unit, (value: number) => string>> = {
  count: (value) => grouped.format(value),
  change: (value) => signed(value, ''),
  rate: (value) => `${precise.format(value * 100)} %`,
  change_rate: (value) => signed(value * 100, ' %', precise),
  ratio: (value) => `× ${precise.format(value)}`,
  percentage: (value) => `${grouped.format(value)} %`,
  ms: (value) => (value < 1_000 ? `${grouped.format(value)} ms` : `${grouped.format(value / 1_000)} s`),
  change_ms: (value) => signed(value, ' ms'),
  seconds: duration,
  days: (value) => counted(value, 'day'),
  yes_no: (value) => (value === 0 ? 'no' : 'yes'),
};

/** `1 item`, `2 items`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped.format(count)} ${count === 1 ? one : many}`;
}

/** A protocol word as people read it: `read_cutover` becomes `read cutover`. */
export const spoken = (word: string): string => word.replaceAll(/[_-]/g, ' ');

/** A number in the same words for every format. */
export function printedFigure({ value, unit }: Figure): string {
  return value === null ? NOTHING : PRINTED[unit](value);
}

function signed(value: number, unit: string, format = grouped): string {
  const sign = value === 0 ? '±' : value > 0 ? '+' : '−';
  return `${sign}${format.format(Math.abs(value))}${unit}`;
}

/** From this value on, the next larger unit is used. */
const LARGER: readonly (readonly [from: number, seconds: number, name: string])[] = [
  [2 * 86_400, 86_400, 'days'],
  [2 * 3_600, 3_600, 'h'],
  [120, 60, 'min'],
];

function duration(value: number): string {
  const [, unit, name] = LARGER.find(([from]) => value >= from) ?? [0, 1, 's'];
  return `${grouped.format(value / unit)} ${name}`;
}
