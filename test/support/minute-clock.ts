import { shiftDates } from './shifted-date.ts';

// Imported by a bench, and by the programs it starts before their own code (`NODE_OPTIONS`): SIGUSR2 moves their clocks with its own.

const MINUTE_MS = 60_000;
const shifted = shiftDates();
let aheadMs = 0;

/** Moves the wall clock of this process forward to the next whole minute. */
export function toNextMinute(): void {
  aheadMs += MINUTE_MS - (Date.now() % MINUTE_MS);
  shifted.by(aheadMs);
}

process.on('SIGUSR2', toNextMinute);
