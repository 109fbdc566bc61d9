import { printedFigure } from './report/figures.ts';

const SOURCES = {
  journal: 'the flags stored in the journal',
  files: 'the flag files, because the journal has no flags of this server',
} as const;

/** Which flags are in effect while their source cannot be read, and their age. */
export function flagsInUse(flags: {
  readonly from?: keyof typeof SOURCES;
  readonly age_seconds?: number;
}): string {
  const { from, age_seconds: seconds } = flags;
  if (from === undefined && seconds === undefined) return 'No flags are known, so all are off.';
  const source = from === undefined ? 'the flags that were last read' : SOURCES[from];
  return `In effect: ${source}${seconds === undefined ? '' : ` (${printedFigure({ value: seconds, unit: 'seconds' })} old)`}.`;
}
