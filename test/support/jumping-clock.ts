import { shiftDates } from './shifted-date.ts';

/** Imported before a program of ours: the clock on its wall jumps by an hour with every SIGUSR2, forth, back behind the right time, and right again. */
const HOUR_MS = 3_600_000;
const ERRORS_MS = [HOUR_MS, -HOUR_MS, 0];

const shifted = shiftDates();
let jumps = 0;
process.on('SIGUSR2', () => {
  shifted.by(ERRORS_MS[jumps % ERRORS_MS.length] ?? 0);
  jumps += 1;
});
