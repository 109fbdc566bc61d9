import { printedFigure } from './report/figures.ts';

const SOURCES = {
  journal: 'the flags that the journal keeps',
  files: 'the flag files, because the journal keeps no flags of this server',
} as const;

/** Which flags are in effect while their source cannot be read, and how old they are. */
export function flagsInUse(flags: {
  readonly from?: keyof typeof SOURCES;
  readonly age_seconds?: number;
}): string {
  const { from, age_seconds: seconds } = flags;
  if (from === undefined && seconds === undefined) return 'No flags are known: all are off.';
  const source = from === undefined ? 'what was last known' : SOURCES[from];
  return `In effect: ${source}${seconds === undefined ? '' : ` (${printedFigure({ value: seconds, unit: 'seconds' })} old)`}.`;
}
